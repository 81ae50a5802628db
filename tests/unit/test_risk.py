from __future__ import annotations

from typing import Any

import pytest

from dotai_nb.cluster.risk import floor, registry, worse
from dotai_nb.session.events import StepChecked
from dotai_nb.session.values import (
    Accepted,
    Action,
    Edge,
    Evidence,
    Node,
    NotAllowed,
    ObjectRef,
    Risk,
    RiskLevel,
    Step,
    Topology,
)

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "template": {"spec": {"containers": [{"name": "web", "image": "nginx:1.19"}]}},
    },
}


def ref(kind: str = "Deployment", *, group: str = "apps", namespace: str = "shop") -> ObjectRef:
    return ObjectRef(
        group=group,
        version="v1",
        kind=kind,
        resource=f"{kind.lower()}s",
        namespace=namespace,
        name="web",
    )


def step(
    evidence: Evidence, target: ObjectRef | None = None, action: Action = Action.UPDATE
) -> StepChecked:
    made = Step(
        number=1,
        action=action,
        target=target or ref(),
        method="DELETE" if action is Action.DELETE else "PATCH",
        path="/",
        argv=("kubectl",),
    )
    return StepChecked(step=made, evidence=evidence)


def accepted(
    before: dict[str, Any] | None, after: dict[str, Any] | None, **fields: Any
) -> Accepted:
    return Accepted(before=before, after=after, diff=(), **fields)


def workload(*, replicas: int = 2, image: str = "nginx:1.19") -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "web", "image": image}]}}
    return {**DEPLOYMENT, "spec": {"replicas": replicas, "template": template}}


def deleted(target: ObjectRef) -> StepChecked:
    return step(accepted({"metadata": {}}, None), target, Action.DELETE)


SCALED = accepted(workload(replicas=2), workload(replicas=4))

CASES: dict[str, tuple[StepChecked, str, str]] = {
    "a label": (
        step(accepted({"metadata": {}}, {"metadata": {"labels": {"a": "b"}}})),
        "low",
        "Each step changes an object in place and can be undone by another step.",
    ),
    "more replicas": (step(SCALED), "low", "Each step changes an object in place"),
    "scale to zero": (
        step(accepted(workload(), workload(replicas=0))),
        "high",
        "deployments.apps/web is scaled to zero",
    ),
    "a deletion": (deleted(ref()), "medium", "deployments.apps/web is deleted."),
    "a deletion of data": (
        deleted(ref("PersistentVolumeClaim", group="")),
        "high",
        "what it holds can't be had back",
    ),
    "a deletion of a StatefulSet": (deleted(ref("StatefulSet")), "high", "can't be had back"),
    "a deletion in the cluster's scope": (
        deleted(ref("ClusterPolicy", group="example.com", namespace="")),
        "high",
        "belongs to the whole cluster",
    ),
    "a change in the cluster's scope": (
        step(SCALED, ref("StorageClass", group="storage.k8s.io", namespace="")),
        "medium",
        "belongs to the whole cluster",
    ),
    "a new namespace": (
        step(accepted(None, {"metadata": {}}), ref("Namespace", group="", namespace="")),
        "low",
        "Each step changes",
    ),
    "kube-system": (step(SCALED, ref(namespace="kube-system")), "high", "is in kube-system"),
    "permissions": (
        step(SCALED, ref("Role", group="rbac.authorization.k8s.io")),
        "high",
        "changes who may do what",
    ),
    "another registry": (
        step(accepted(workload(), workload(image="ghcr.io/x/nginx:1.20"))),
        "medium",
        "from another registry: nginx:1.19 to ghcr.io/x/nginx:1.20",
    ),
    "an update without a budget": (
        step(accepted(workload(), workload(image="nginx:1.20"))),
        "low",
        "has no PodDisruptionBudget",
    ),
    "an update of a single replica": (
        step(accepted(workload(replicas=1), workload(replicas=1, image="nginx:1.20"))),
        "medium",
        "has one replica",
    ),
    "another manager": (
        step(accepted(workload(), workload(replicas=4), conflicts=("argocd-controller",))),
        "medium",
        "argocd-controller also sets what changes in deployments.apps/web",
    ),
    "a warning": (
        step(accepted(workload(), workload(replicas=4), warnings=("policy/v1beta1 is old",))),
        "medium",
        "The API server warns about deployments.apps/web: policy/v1beta1 is old",
    ),
    "not accepted": (
        step(NotAllowed(message="no")),
        "low",
        "The API server has not accepted the change",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_rule_gives_its_level_and_says_why(case: str) -> None:
    checked, level, reason = CASES[case]

    risk = floor([checked], Topology())

    assert risk.level == level
    assert any(reason in text for text in risk.reasons), risk.reasons


def test_the_highest_rule_of_any_step_gives_the_level_and_every_rule_a_reason() -> None:
    chosen = [
        CASES[name][0] for name in ("a deletion", "kube-system", "an update without a budget")
    ]

    risk = floor(chosen, Topology())

    assert risk.level is RiskLevel.HIGH
    assert len(risk.reasons) == 3


def test_a_budget_in_the_topology_is_seen() -> None:
    checked = CASES["an update without a budget"][0]
    nodes = (Node(ref=ref("PodDisruptionBudget", group="policy")), Node(ref=ref()))
    topology = Topology(nodes=nodes, edges=(Edge(source=0, target=1, label="protects"),))

    assert floor([checked], topology).reasons == (
        "Each step changes an object in place and can be undone by another step.",
    )


def test_the_model_can_raise_the_risk_and_never_lower_it() -> None:
    low = Risk(level=RiskLevel.LOW, reasons=("a", "both"))
    high = Risk(level=RiskLevel.HIGH, reasons=("both", "b"))

    assert worse(low, high) == worse(high, low)
    assert worse(low, high) == Risk(level=RiskLevel.HIGH, reasons=("both", "b", "a"))


@pytest.mark.parametrize(
    ("image", "host"),
    [
        ("nginx", "docker.io"),
        ("library/nginx:1.20", "docker.io"),
        ("ghcr.io/a/b:1", "ghcr.io"),
        ("localhost/a", "localhost"),
        ("registry:5000/a@sha256:00", "registry:5000"),
    ],
)
def test_the_registry_of_an_image_is_its_first_part_if_that_can_be_a_host(
    image: str, host: str
) -> None:
    assert registry(image) == host

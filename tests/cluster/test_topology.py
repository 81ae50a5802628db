"""What hangs on a change, on the real cluster; the risk of it; and the look afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dotai_nb.cluster.risk import floor
from dotai_nb.cluster.topology import around
from tests.cluster.steps import checked, connected

if TYPE_CHECKING:
    from dotai_nb.session.values import Topology
    from tests.cluster.admin import Admin
    from tests.cluster.controlplane.plane import Cluster
    from tests.cluster.fixtures import Agent, DeploymentFactory

IMAGES = {"images": {"my-api": "nginx:1.20"}}


def told(topology: Topology) -> set[tuple[str, str, str]]:
    names = [f"{node.ref.resource}/{node.ref.name}" for node in topology.nodes]
    return {(names[e.source], e.label, names[e.target]) for e in topology.edges}


def details(topology: Topology) -> dict[str, str]:
    return {f"{n.ref.resource}/{n.ref.name}": n.detail for n in topology.nodes}


@pytest.fixture
def shop(admin: Admin, namespace: str, deployment: DeploymentFactory) -> str:
    """A Deployment with everything that can hang on one; and others that don't."""
    labels = {"app": "my-api"}
    environment = [
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "token", "key": "b"}}},
    ]
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "containers": [{"name": "my-api", "image": "nginx:1.19", "env": environment}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "disk"}}],
        },
    }
    deployment(spec={"template": template}, wait=False)
    deployment("other", replicas=1)
    for manifest in belongings(labels):
        admin.create(manifest, namespace)
    mine = {"namespace": namespace, "label_selector": "app=my-api"}
    admin.wait_for("two pods", lambda: len(admin.list("v1", "Pod", **mine)) == 2)
    return namespace


def belongings(labels: dict[str, str]) -> list[dict[str, Any]]:
    backend = {"service": {"name": "api", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "my-api"}
    specs: list[tuple[str, str, str, dict[str, Any]]] = [
        ("v1", "Service", "api", {"selector": labels, "ports": [{"port": 80}]}),
        ("v1", "Service", "unrelated", {"selector": {"app": "x"}, "ports": [{"port": 80}]}),
        ("networking.k8s.io/v1", "Ingress", "front", {"rules": [{"http": {"paths": [path]}}]}),
        (
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "scaler",
            {"scaleTargetRef": reference, "minReplicas": 2, "maxReplicas": 4},
        ),
        (
            "policy/v1",
            "PodDisruptionBudget",
            "budget",
            {"selector": {"matchLabels": labels}, "minAvailable": 1},
        ),
    ]
    return [
        {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
        for version, kind, name, spec in specs
    ]


ALL = {
    ("deployments/my-api", "runs", "pods/my-api-…"),
    ("services/api", "selects", "deployments/my-api"),
    ("ingresses/front", "routes to", "services/api"),
    ("horizontalpodautoscalers/scaler", "scales", "deployments/my-api"),
    ("poddisruptionbudgets/budget", "protects", "deployments/my-api"),
    ("deployments/my-api", "uses", "configmaps/settings"),
    ("deployments/my-api", "uses", "secrets/token"),
    ("deployments/my-api", "uses", "persistentvolumeclaims/disk"),
}


async def test_everything_that_hangs_on_a_changed_deployment_is_shown_and_nothing_else(
    control_plane: Cluster, shop: str
) -> None:
    async with connected(control_plane.kubeconfig) as c:
        plan = [await checked(c, "set_image", shop, **IMAGES)]
        plan.append(await checked(c, "scale", shop, earlier=plan, replicas=4))
        topology = await around(c, plan)

    assert told(topology) == ALL
    first = topology.nodes[0]
    assert (first.ref, first.action) == (plan[0].step.target, "update")
    assert first.detail == "image nginx:1.19 → nginx:1.20; replicas 2 → 4"
    assert details(topology)["pods/my-api-…"] == "2 pods"
    assert [node.action for node in topology.nodes[1:]] == [None] * 8


@pytest.mark.parametrize(
    ("resource", "name", "label"),
    [
        ("services", "api", "selects"),
        ("poddisruptionbudgets", "budget", "protects"),
        ("horizontalpodautoscalers", "scaler", "scales"),
    ],
)
async def test_a_change_beside_a_deployment_shows_the_deployment(
    resource: str, name: str, label: str, control_plane: Cluster, shop: str
) -> None:
    given = {"resource": resource, "name": name}

    async with connected(control_plane.kubeconfig) as c:
        topology = await around(c, [await checked(c, "delete", shop, **given)])

    assert (f"{resource}/{name}", label, "deployments/my-api") in told(topology)
    assert "services/unrelated" not in details(topology)
    assert topology.nodes[0].action == "delete"


async def test_a_configmap_that_is_created_is_joined_to_the_deployment_that_uses_it(
    control_plane: Cluster, shop: str
) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings"},
        "data": {"a": "1"},
    }

    async with connected(control_plane.kubeconfig) as c:
        topology = await around(c, [await checked(c, "apply", shop, manifest=manifest)])

    assert told(topology) == ALL
    assert topology.nodes[0].ref.name == "settings"


async def test_a_kind_that_may_not_be_read_is_named(
    agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    deployment(wait=False)
    readable = ["deployments", "replicasets", "statefulsets", "daemonsets", "pods", "services"]
    rule = {"apiGroups": ["", "apps"], "resources": readable, "verbs": ["*"]}
    path = admin.path("rbac.authorization.k8s.io/v1", "Role", agent.namespace, "agent")
    headers = {"Content-Type": "application/merge-patch+json"}
    admin.request("PATCH", path, body={"rules": [rule]}, headers=headers)

    async with connected(agent.kubeconfig) as c:
        topology = await around(c, [await checked(c, "set_image", agent.namespace, **IMAGES)])

    unread = "couldn't read: ingresses, horizontalpodautoscalers, poddisruptionbudgets"
    assert topology.nodes[0].detail.endswith(unread)


async def test_the_risk_names_what_the_cluster_shows(
    control_plane: Cluster, shop: str, admin: Admin
) -> None:
    async with connected(control_plane.kubeconfig) as c:
        image = [await checked(c, "set_image", shop, images={"my-api": "ghcr.io/a/b:1"})]
        with_budget = floor(image, await around(c, image))
        admin.delete("policy/v1", "PodDisruptionBudget", "budget", shop)
        without_budget = floor(image, await around(c, image))
        zero = [await checked(c, "scale", shop, replicas=0)]
        nothing_left = floor(zero, await around(c, zero))

    no_budget = "deployments.apps/my-api has no PodDisruptionBudget."
    assert with_budget.level == "medium"
    assert "another registry: nginx:1.19 to ghcr.io/a/b:1" in with_budget.reasons[0]
    assert no_budget not in with_budget.reasons
    assert no_budget in without_budget.reasons
    assert nothing_left.level == "high"

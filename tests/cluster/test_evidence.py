"""The API server's answers to dry runs, each kind from the real server; nothing is persisted."""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.client.exceptions import NotFoundException

from dotai_nb.cluster.difference import apply_patch, normalised
from dotai_nb.cluster.evidence import check
from dotai_nb.errors import ApiError, StepRefused
from dotai_nb.session.values import Accepted, Evidence, NotAllowed, Refused
from tests.cluster.between import between
from tests.cluster.steps import build, checked, comparable, connected, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cluster.admin import Admin
    from tests.cluster.controlplane.audit import AuditRecord
    from tests.cluster.controlplane.plane import Cluster
    from tests.cluster.fixtures import Agent, DeploymentFactory

IMAGE = "/spec/template/spec/containers/0/image"
RUN = {"images": {"my-api": "nginx:1.20"}}


def accepted(evidence: Evidence) -> Accepted:
    assert isinstance(evidence, Accepted), evidence
    return evidence


def refused(evidence: Evidence) -> Refused:
    assert isinstance(evidence, Refused), evidence
    return evidence


def manifest(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


async def test_a_dry_run_shows_before_and_after_and_persists_nothing(
    agent: Agent,
    admin: Admin,
    deployment: DeploymentFactory,
    audit: Callable[[], list[AuditRecord]],
) -> None:
    before = deployment()

    async with connected(agent.kubeconfig) as c:
        with c.trail() as audit_ids:
            evidence = accepted((await checked(c, "set_image", agent.namespace, **RUN)).evidence)

    assert evidence.diff == ({"op": "replace", "path": IMAGE, "value": "nginx:1.20"},)
    assert evidence.before is not None
    assert evidence.uid == before["metadata"]["uid"]
    assert evidence.resource_version == evidence.before["metadata"]["resourceVersion"]
    assert evidence.after is not None
    assert apply_patch(normalised(evidence.before), evidence.diff) == normalised(evidence.after)
    live = admin.get("apps/v1", "Deployment", "my-api", agent.namespace)
    assert normalised(live) == normalised(before)
    assert live["metadata"]["generation"] == before["metadata"]["generation"]
    ours = [record for record in audit() if record.audit_id in audit_ids]
    assert [record.verb for record in ours if record.is_write] == ["patch"]
    assert all(record.dry_run for record in ours if record.is_write)


async def test_a_create_has_no_object_before(agent: Agent, admin: Admin) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {}}

    async with connected(agent.kubeconfig) as c:
        made = await checked(c, "apply", agent.namespace, manifest=config)

    evidence = accepted(made.evidence)
    assert (made.step.action, evidence.before, evidence.uid) == ("create", None, "")
    assert [operation["path"] for operation in evidence.diff] == [""]
    assert admin.find("v1", "ConfigMap", "cm", agent.namespace) is None


async def test_a_delete_tells_what_goes_with_it(
    control_plane: Cluster, admin: Admin, namespace: str, deployment: DeploymentFactory
) -> None:
    deployment(replicas=2)
    deployment("other", replicas=1)

    async with connected(control_plane.kubeconfig) as c:
        deleted = accepted((await checked(c, "delete", namespace)).evidence)
        orphaned = accepted((await checked(c, "delete", namespace, propagation="orphan")).evidence)

    owned = [
        *(f"replicasets.apps/{o['metadata']['name']}" for o in replica_sets(admin, namespace)),
        *(f"pods/{o['metadata']['name']}" for o in pods(admin, namespace)),
    ]
    assert sorted(deleted.dependents) == sorted(owned)
    assert len(owned) == 3
    assert orphaned.dependents == ()
    assert (deleted.after, deleted.diff) == (None, ({"op": "remove", "path": ""},))
    assert admin.find("apps/v1", "Deployment", "my-api", namespace) is not None


def replica_sets(admin: Admin, namespace: str) -> list[dict[str, Any]]:
    return admin.list("apps/v1", "ReplicaSet", namespace, label_selector="app=my-api")


def pods(admin: Admin, namespace: str) -> list[dict[str, Any]]:
    return admin.list("v1", "Pod", namespace, label_selector="app=my-api")


async def test_types_that_may_not_be_listed_are_told_with_a_delete(
    agent: Agent, deployment: DeploymentFactory
) -> None:
    deployment(replicas=1)

    async with connected(agent.kubeconfig) as c:
        evidence = accepted((await checked(c, "delete", agent.namespace)).evidence)

    assert "types may not be listed; there may be more" in evidence.dependents[-1]
    assert len(evidence.dependents) == 3


async def test_a_namespace_is_deleted_with_everything_in_it(
    control_plane: Cluster, namespace: str, deployment: DeploymentFactory
) -> None:
    deployment(replicas=1)

    async with connected(control_plane.kubeconfig) as c:
        given = {"resource": "namespaces", "name": namespace}
        evidence = accepted((await checked(c, "delete", "", **given)).evidence)

    assert "deployments.apps/my-api" in evidence.dependents
    assert "configmaps/kube-root-ca.crt" in evidence.dependents


@pytest.mark.parametrize("patch_type", ["strategic", "merge"])
async def test_an_unknown_field_is_refused_in_the_servers_words(
    patch_type: str, agent: Agent, deployment: DeploymentFactory
) -> None:
    deployment(wait=False)
    given = {"patch": {"spec": {"replikas": 3}}, "patch_type": patch_type}

    async with connected(agent.kubeconfig) as c:
        evidence = refused((await checked(c, "patch", agent.namespace, **given)).evidence)

    assert 'unknown field "spec.replikas"' in evidence.message
    assert evidence.code in {400, 422}
    assert "terminationMessagePath" not in evidence.message, "the whole object is in the message"


async def test_an_unknown_field_of_an_apply_is_refused_in_the_servers_words(
    agent: Agent, deployment: DeploymentFactory
) -> None:
    deployment(wait=False)
    given = {"manifest": manifest("my-api", replikas=3)}

    async with connected(agent.kubeconfig) as c:
        evidence = refused((await checked(c, "apply", agent.namespace, **given)).evidence)

    assert ".spec.replikas: field not declared in schema" in evidence.message


async def test_another_managers_field_is_a_conflict_that_names_it(
    agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    deployment(wait=False)
    apply_as("argocd-controller", admin, agent.namespace, manifest("my-api", replicas=2))

    async with connected(agent.kubeconfig) as c:
        given = {"manifest": manifest("my-api", replicas=3)}
        applied = refused((await checked(c, "apply", agent.namespace, **given)).evidence)
        scaled = accepted((await checked(c, "scale", agent.namespace, replicas=3)).evidence)
        imaged = accepted((await checked(c, "set_image", agent.namespace, **RUN)).evidence)

    assert (applied.code, applied.reason) == (409, "Conflict")
    assert re.search(r'conflicts? with "argocd-controller"', applied.message)
    assert scaled.conflicts == ("argocd-controller",)
    assert imaged.conflicts == ()


def apply_as(manager: str, admin: Admin, namespace: str, body: dict[str, Any]) -> None:
    name = body["metadata"]["name"]
    admin.request(
        "PATCH",
        admin.path(body["apiVersion"], body["kind"], namespace, name),
        query={"fieldManager": manager, "force": "true"},
        body=body,
        headers={"Content-Type": "application/apply-patch+yaml"},
    )


async def test_a_quota_refuses_and_is_no_lack_of_permission(agent: Agent, admin: Admin) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few"},
        "spec": {"hard": {"count/configmaps": "0"}},
    }
    admin.create(quota, agent.namespace)
    admin.wait_for(
        "the quota is counted",
        lambda: (
            "hard" in admin.get("v1", "ResourceQuota", "few", agent.namespace).get("status", {})
        ),
    )
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {}}

    async with connected(agent.kubeconfig) as c:
        evidence = refused((await checked(c, "apply", agent.namespace, manifest=config)).evidence)

    assert (evidence.code, evidence.reason) == (403, "Forbidden")
    assert "exceeded quota: few" in evidence.message


@pytest.mark.parametrize("reason", ["Invalid", "Forbidden"])
async def test_an_admission_policy_refuses_in_its_own_words(
    reason: str, agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    deployment(wait=False)
    name = add_policy(admin, agent.namespace, reason)

    async with connected(agent.kubeconfig) as c:

        async def look() -> Evidence:
            return (await checked(c, "scale", agent.namespace, replicas=9)).evidence

        evidence = await look()
        async with asyncio.timeout(30):  # until the API server's own watch has seen the policy
            while not isinstance(evidence, Refused):
                await asyncio.sleep(0.05)
                evidence = await look()
        allowed = (await checked(c, "scale", agent.namespace, replicas=3)).evidence

    assert "at most five replicas" in refused(evidence).message
    assert name in refused(evidence).message
    accepted(allowed)


def add_policy(admin: Admin, namespace: str, reason: str) -> str:
    """At most five replicas; it goes with its namespace."""
    group = "admissionregistration.k8s.io"
    owner = admin.get("v1", "Namespace", namespace)["metadata"]
    reference = {"apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": owner["uid"]}
    meta = {"name": f"few-{namespace}", "ownerReferences": [reference]}
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["deployments/scale", "deployments"],
    }
    validation = {
        "expression": "object.spec.replicas <= 5",
        "message": "at most five replicas",
        "reason": reason,
    }
    admin.create(
        {
            "apiVersion": f"{group}/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": meta,
            "spec": {
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [validation],
            },
        }
    )
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    admin.create(
        {
            "apiVersion": f"{group}/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": meta,
            "spec": {
                "policyName": meta["name"],
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": selector},
            },
        }
    )
    return str(meta["name"])


@pytest.mark.parametrize(
    ("change", "arguments"),
    [
        ("set_image", RUN),
        ("scale", {"replicas": 3}),
        ("delete", {}),
        ("apply", {"manifest": manifest("my-api", replicas=2)}),
    ],
)
async def test_without_the_permission_the_server_says_who_may_not_do_what(
    change: str, arguments: dict[str, Any], reader: Agent, deployment: DeploymentFactory
) -> None:
    deployment(wait=False)

    async with connected(reader.kubeconfig) as c:
        evidence = (await checked(c, change, reader.namespace, **arguments)).evidence

    assert isinstance(evidence, NotAllowed)
    assert f'User "{reader.username}" cannot' in evidence.message


async def test_an_object_that_may_not_be_read_is_not_allowed(agent: Agent, admin: Admin) -> None:
    admin.create(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}}, agent.namespace
    )

    async with connected(agent.kubeconfig) as c:
        given = {"resource": "secrets", "name": "token", "changes": {"a": "b"}}
        evidence = (await checked(c, "label", agent.namespace, **given)).evidence

    assert isinstance(evidence, NotAllowed)
    assert 'cannot get resource "secrets"' in evidence.message


async def test_a_change_without_effect_is_refused(
    agent: Agent, deployment: DeploymentFactory
) -> None:
    deployment(wait=False)

    async with connected(agent.kubeconfig) as c:
        evidence = refused((await checked(c, "scale", agent.namespace, replicas=2)).evidence)

    assert (evidence.code, evidence.reason) == (0, "NoChange")
    assert "would change nothing" in evidence.message


async def test_the_second_step_on_an_object_is_checked_on_what_the_first_leaves(
    agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    before = deployment(wait=True)

    async with connected(agent.kubeconfig) as c:
        first = await checked(c, "set_image", agent.namespace, **RUN)
        second = await checked(c, "scale", agent.namespace, earlier=[first], replicas=4)
        patch = {"metadata": {"annotations": {"a": "b"}}, "spec": {"minReadySeconds": 1}}
        third = await checked(
            c,
            "patch",
            agent.namespace,
            earlier=[first, second],
            patch=patch,
            patch_type="strategic",
        )
        plan = [first, second, third]
        evidence = [accepted(each.evidence) for each in plan]
        untouched = admin.get("apps/v1", "Deployment", "my-api", agent.namespace)
        assert normalised(untouched) == normalised(before)
        await run(c, *plan)

    for left, right in pairwise(evidence):
        assert left.after is not None
        assert right.before is not None
        assert normalised(left.after) == normalised(right.before)
    assert evidence[1].diff == ({"op": "replace", "path": "/spec/replicas", "value": 4},)
    live = admin.get("apps/v1", "Deployment", "my-api", agent.namespace)
    assert comparable(live) == comparable(evidence[2].after)


async def test_two_steps_that_set_one_field_are_to_be_one_step(
    agent: Agent, deployment: DeploymentFactory
) -> None:
    deployment(wait=False)
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "my-api", "image": "x:1"}]}}}}

    async with connected(agent.kubeconfig) as c:
        first = await checked(c, "set_image", agent.namespace, **RUN)
        again = {"patch": patch, "patch_type": "strategic", "earlier": [first]}
        second = await checked(c, "patch", agent.namespace, **again)
        back = {"images": {"my-api": "nginx:1.19"}, "earlier": [first]}
        undone = await checked(c, "set_image", agent.namespace, **back)

    for each in (second, undone):
        evidence = refused(each.evidence)
        assert evidence.reason == "Overlap"
        assert "spec.template.spec.containers[my-api].image" in evidence.message
        assert "`replaces: [1]`" in evidence.message


async def test_a_step_behind_a_create_or_a_delete_of_its_object_is_refused(
    agent: Agent, deployment: DeploymentFactory
) -> None:
    deployment(wait=False)
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {}}

    async with connected(agent.kubeconfig) as c:
        deleted = await checked(c, "delete", agent.namespace)
        scaled = await checked(c, "scale", agent.namespace, earlier=[deleted], replicas=4)
        created = await checked(c, "apply", agent.namespace, manifest=config)
        config["data"] = {"a": "b"}
        again = await checked(c, "apply", agent.namespace, manifest=config, earlier=[created])

    assert "Step 1 would delete deployments.apps/my-api" in refused(scaled.evidence).message
    assert "Step 1 would create configmaps/cm" in refused(again.evidence).message


async def test_the_server_judges_two_steps_together(
    control_plane: Cluster, admin: Admin, namespace: str
) -> None:
    """Each number alone is fine; together they are not, and only the server can say so."""
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}},
    }
    admin.create(budget, namespace)
    given = {"resource": "poddisruptionbudgets", "name": "web", "patch_type": "merge"}

    async with connected(control_plane.kubeconfig) as c:
        first = await checked(c, "patch", namespace, patch={"spec": {"minAvailable": 1}}, **given)
        second = await checked(
            c, "patch", namespace, patch={"spec": {"maxUnavailable": 1}}, earlier=[first], **given
        )

    accepted(first.evidence)
    assert "minAvailable and maxUnavailable cannot be both set" in refused(second.evidence).message


async def test_a_scale_by_one_who_may_not_read_the_object_shows_its_scale(
    control_plane: Cluster, admin: Admin, agent: Agent, deployment: DeploymentFactory
) -> None:
    deployment(wait=False)
    rules = [{"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["*"]}]
    role = admin.path("rbac.authorization.k8s.io/v1", "Role", agent.namespace, "agent")
    admin.request(
        "PATCH",
        role,
        body={"rules": rules},
        headers={"Content-Type": "application/merge-patch+json"},
    )

    async with connected(agent.kubeconfig) as c:
        made = await checked(c, "scale", agent.namespace, replicas=4)
        [result] = await run(c, made)

    evidence = accepted(made.evidence)
    assert evidence.before is not None
    assert evidence.before["kind"] == "Scale"
    assert evidence.diff == ({"op": "replace", "path": "/spec/replicas", "value": 4},)
    assert result.result == "succeeded", result
    live = admin.get("apps/v1", "Deployment", "my-api", agent.namespace)
    assert live["spec"]["replicas"] == 4


@pytest.fixture
def widgets(admin: Admin, namespace: str) -> Iterator[str]:
    """The group of a custom resource that is served, with one object `w`."""
    group = f"{namespace}.example.com"
    admin.create(definition(group))
    widget = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "w"}}

    def created() -> bool:
        try:
            admin.create({**widget, "spec": {"size": {"count": 1}}}, namespace)
        except NotFoundException:
            return False
        return True

    admin.wait_for("the custom resource is served", created)
    yield group
    admin.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"widgets.{group}")


async def test_a_custom_resource_is_scaled_where_its_definition_says(
    control_plane: Cluster, admin: Admin, namespace: str, widgets: str
) -> None:
    given = {"resource": f"widgets.{widgets}", "name": "w"}
    patch = {"patch": {"spec": {"size": {"unit": "m"}}}, "patch_type": "merge"}

    async with connected(control_plane.kubeconfig) as c:
        made = await checked(c, "scale", namespace, replicas=3, **given)
        second = await checked(c, "patch", namespace, earlier=[made], **given, **patch)
        await run(c, made, second)

    assert accepted(made.evidence).diff == (
        {"op": "replace", "path": "/spec/size/count", "value": 3},
    )
    live = admin.get(f"{widgets}/v1", "Widget", "w", namespace)
    assert live["spec"] == {"size": {"count": 3, "unit": "m"}}


async def test_a_custom_resource_takes_no_strategic_patch(
    control_plane: Cluster, namespace: str, widgets: str
) -> None:
    given = {"resource": f"widgets.{widgets}", "name": "w", "patch": {"spec": {}}}

    async with connected(control_plane.kubeconfig) as c:
        with pytest.raises(StepRefused, match="takes no strategic merge patch"):
            await checked(c, "patch", namespace, patch_type="strategic", **given)


async def test_a_definition_is_deleted_with_its_objects(
    control_plane: Cluster, widgets: str
) -> None:
    async with connected(control_plane.kubeconfig) as c:
        given = {"resource": "crd", "name": f"widgets.{widgets}"}
        evidence = accepted((await checked(c, "delete", "", **given)).evidence)

    assert evidence.dependents == (f"widgets.{widgets}/w",)


def definition(group: str) -> dict[str, Any]:
    count: dict[str, Any] = {"type": "object", "properties": {"count": {"type": "integer"}}}
    count["properties"]["unit"] = {"type": "string"}
    schema = {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": {"size": count}},
            "status": {"type": "object", "properties": {"count": {"type": "integer"}}},
        },
    }
    scale = {"specReplicasPath": ".spec.size.count", "statusReplicasPath": ".status.count"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, "scale": scale},
    }
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
    }


async def test_before_is_the_very_state_that_the_dry_run_was_made_of(
    agent: Agent, admin: Admin, deployment: DeploymentFactory, control_plane: Cluster,
    tmp_path: Path,
) -> None:  # fmt: skip
    deployment()
    async with (
        between(control_plane, agent, tmp_path) as (proxy, kubeconfig),
        connected(kubeconfig) as c,
    ):
        step = await build(c, "label", agent.namespace, changes={"tier": "front"})
        await check(c, step, ())  # from now on the first read is the look
        seen = proxy.reads

        async def change_what_was_read() -> None:
            while proxy.reads == seen:
                await asyncio.sleep(0.01)
            changed = {"metadata": {"labels": {"color": "blue"}}}
            admin.patch("apps/v1", "Deployment", "my-api", agent.namespace, changed)

        proxy.disturb = change_what_was_read
        evidence = accepted(await check(c, step, ()))

    assert evidence.before is not None
    assert evidence.before["metadata"]["labels"]["color"] == "blue"
    assert evidence.diff == ({"op": "add", "path": "/metadata/labels/tier", "value": "front"},)


@pytest.mark.parametrize(
    ("change", "arguments"),
    [("scale", {"replicas": 1}), ("delete", {}), ("label", {"changes": {"a": "b"}})],
)
async def test_an_object_that_is_not_there_makes_no_evidence(
    change: str, arguments: dict[str, Any], agent: Agent
) -> None:
    async with connected(agent.kubeconfig) as c:
        with pytest.raises(ApiError, match='deployments "nobody" not found in namespace') as caught:
            await checked(c, change, agent.namespace, name="nobody", **arguments)
    assert "kubectl_get" in caught.value.hint

"""Two identities on a real API server: it refuses the investigator itself, whatever we send."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest

import dotai_nb
from dotai_nb.cluster.connection import Connection
from dotai_nb.cluster.identities import find_identities
from dotai_nb.cluster.request import Request
from dotai_nb.cluster.transport import Transport
from dotai_nb.errors import ApiError, ImpersonationRefused
from dotai_nb.session.store import load
from dotai_nb.session.values import Status, VerdictKind
from dotai_nb.settings import Settings
from dotai_nb.views import markdown
from tests.cluster import steps
from tests.cluster.investigator import INVESTIGATOR, applied, may_everything, may_investigate
from tests.cluster.test_operate import update_turns
from tests.wire.aimock import fixtures_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.cluster.admin import Admin
    from tests.cluster.controlplane.audit import AuditRecord
    from tests.cluster.controlplane.plane import Cluster
    from tests.cluster.fixtures import Agent, DeploymentFactory
    from tests.wire.fixtures import Aimock

MERGE = "application/merge-patch+json"
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}}


@pytest.fixture(scope="module", autouse=True)
def manifests(control_plane: Cluster, admin: Admin) -> Iterator[None]:
    with applied(control_plane, admin):
        yield


@pytest.fixture
async def unguarded(agent: Agent, admin: Admin) -> AsyncIterator[Transport]:
    """The investigation's transport, without our guard before it and with RBAC allowing it all."""
    may_investigate(admin, agent)
    may_everything(admin, agent.namespace)
    settings = Settings(kubeconfig=str(agent.kubeconfig), investigate_as=INVESTIGATOR)
    identities = find_identities(settings)
    person = Transport(identities.executing, user_agent="unguarded/1")
    transport = person.investigating(identities)
    yield transport
    await transport.close()


def request(verb: str, resource: str, name: str = "", **parts: Any) -> dict[str, Any]:
    return {"verb": verb, "version": "v1", "resource": resource, "name": name, **parts}


APPS = {"group": "apps"}
REPLICAS = {"spec": {"replicas": 0}}
PATCH = {"content_type": MERGE, "body": REPLICAS, **APPS}

WRITES = {
    "create": request("create", "configmaps", body=CONFIG),
    "patch": request("patch", "deployments", "my-api", **PATCH),
    "scale": request("patch", "deployments", "my-api", subresource="scale", **PATCH),
    "delete": request("delete", "deployments", "my-api", **APPS),
    "delete with options": request(
        "delete", "deployments", "my-api", body={"propagationPolicy": "Foreground"}, **APPS
    ),
    "delete a collection": request("delete", "deployments", **APPS),
}
CONNECTS = {
    "exec": request("create", "pods", "POD", subresource="exec", query={"command": "id"}),
    "attach": request("create", "pods", "POD", subresource="attach", query={"stdout": "true"}),
    "port-forward": request("create", "pods", "POD", subresource="portforward"),
    "proxy, a read by its verb": request("get", "pods", "POD", subresource="proxy"),
    "proxy of a service": request("get", "services", "kubernetes", subresource="proxy"),
}


async def sent(transport: Transport, request: Request) -> int:
    reply = await transport.send(request, str(uuid.uuid4()), timeout=10)
    return reply.code


def pod_of(admin: Admin, namespace: str) -> str:
    name: str = admin.list("v1", "Pod", namespace)[0]["metadata"]["name"]
    return name


@pytest.mark.parametrize("parts", WRITES.values(), ids=WRITES)
async def test_the_api_server_refuses_a_write_and_takes_its_dry_run(
    unguarded: Transport,
    agent: Agent,
    admin: Admin,
    deployment: DeploymentFactory,
    parts: dict[str, Any],
) -> None:
    before = deployment()
    write = Request(namespace=agent.namespace, **parts)
    with pytest.raises(ApiError, match="it never writes and never connects") as caught:
        await sent(unguarded, write)
    assert caught.value.code == 403
    assert "dotai-investigator-dry-run-only" in caught.value.message
    assert await sent(unguarded, write.as_dry_run()) in {200, 201}
    after = admin.get("apps/v1", "Deployment", "my-api", agent.namespace)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"] == before["spec"]
    assert "deletionTimestamp" not in after["metadata"]
    assert admin.find("v1", "ConfigMap", "new", agent.namespace) is None


@pytest.mark.parametrize("parts", CONNECTS.values(), ids=CONNECTS)
async def test_the_api_server_refuses_to_connect_dry_run_or_not(
    unguarded: Transport,
    agent: Agent,
    admin: Admin,
    deployment: DeploymentFactory,
    parts: dict[str, Any],
) -> None:
    deployment()
    if parts["resource"] == "services":
        port = {"ports": [{"port": 80}], "selector": {"app": "my-api"}}
        meta = {"metadata": {"name": "kubernetes"}, "spec": port}
        admin.create({"apiVersion": "v1", "kind": "Service", **meta}, agent.namespace)
    else:
        parts = {**parts, "name": pod_of(admin, agent.namespace)}
    tunnel = Request(namespace=agent.namespace, **parts)
    with pytest.raises(ApiError, match="it never writes and never connects") as caught:
        await sent(unguarded, tunnel)
    assert caught.value.code == 403
    with pytest.raises(ApiError, match="dryRun is not supported") as caught:
        await sent(unguarded, tunnel.as_dry_run())
    assert caught.value.code == 400


async def test_the_api_server_hands_out_no_token_not_even_in_a_dry_run(
    unguarded: Transport, agent: Agent, admin: Admin
) -> None:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = Request(
        verb="create", version="v1", resource="serviceaccounts", name="agent",
        subresource="token", namespace=agent.namespace, body=body,
    )  # fmt: skip
    # To anyone else a dry run of this gives a token that is good.
    given = admin.request("POST", token.path, query={"dryRun": "All"}, body=body)
    assert given["status"]["token"]
    for asked in (token, token.as_dry_run()):
        with pytest.raises(ApiError, match="dotai-investigator-dry-run-only") as caught:
            await sent(unguarded, asked)
        assert caught.value.code == 403


async def test_reads_and_questions_about_itself_go_through(
    unguarded: Transport, agent: Agent, deployment: DeploymentFactory
) -> None:
    deployment()
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}},
    }
    asked = Request(
        verb="create", group="authorization.k8s.io", version="v1",
        resource="selfsubjectaccessreviews", body=review,
    )  # fmt: skip
    assert await sent(unguarded, asked) == 201
    place = {"version": "v1", "namespace": agent.namespace}
    assert await sent(unguarded, Request(verb="list", resource="pods", **place)) == 200
    one = Request(verb="get", group="apps", resource="deployments", name="my-api", **place)
    assert await sent(unguarded, one) == 200


async def test_the_guard_is_out_of_the_investigators_own_reach(
    unguarded: Transport, admin: Admin
) -> None:
    # Admission never sees its own policies: only RBAC protects them.
    place = {"group": "admissionregistration.k8s.io", "version": "v1"}
    name = "dotai-investigator-dry-run-only"
    for resource in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
        with pytest.raises(ApiError, match="cannot delete resource") as caught:
            await sent(unguarded, Request(verb="delete", resource=resource, name=name, **place))
        assert caught.value.code == 403
    kept = admin.get("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", name)
    assert "deletionTimestamp" not in kept["metadata"]


async def test_the_guard_stands_in_nobody_elses_way(agent: Agent, admin: Admin) -> None:
    admin.create(CONFIG, agent.namespace)
    async with steps.connected(agent.kubeconfig) as c:
        checked = await steps.checked(
            c, "annotate", agent.namespace, resource="configmaps", name="new",
            changes={"a": "b"},
        )  # fmt: skip
        [result] = await steps.run(c, checked)
    assert result.result == "succeeded"


async def test_an_operation_investigates_as_one_identity_and_executes_as_the_other(
    agent: Agent,
    admin: Admin,
    aimock: Aimock,
    deployment: DeploymentFactory,
    audit: Callable[[], list[AuditRecord]],
    tmp_path: Path,
) -> None:
    may_investigate(admin, agent)
    deployment()
    settings = Settings.model_validate(
        {
            "KUBECONFIG": str(agent.kubeconfig),
            "ANTHROPIC_API_KEY": "test-key",
            "ANTHROPIC_BASE_URL": aimock(fixtures_for(update_turns())).url,
            "DOT_AI_SESSION_DIR": str(tmp_path),
            "DOT_AI_ROLLOUT_TIMEOUT": 60,
            "DOT_AI_MODEL_RETRIES": 0,
            "DOT_AI_INVESTIGATE_AS": INVESTIGATOR,
        }
    )
    op = await dotai_nb.operate("Update my-api to nginx:1.20", settings=settings)
    op.approve(digest=op.digest)
    await op.execute()

    assert op.status == Status.EXECUTED_SUCCESSFULLY
    assert op.session.verdict is not None
    assert op.session.verdict.verdict == VerdictKind.PASSED
    loaded = load(op.path)
    started = loaded.session.started
    assert (started.identity, started.executes_as) == (INVESTIGATOR, agent.username)
    review = markdown.review(loaded.session)
    assert f"| Investigates as | `{INVESTIGATOR}` |" in review
    assert f"| Executes as | `{agent.username}`, separate from the investigation |" in review

    ours = [r for r in audit() if r.user == agent.username]
    assert all(r.user_agent.startswith("dotai-nb/") for r in ours)
    executed = {e.event.audit_id for e in loaded.recorded if e.event.type == "step_started"}
    as_person = [r for r in ours if not r.impersonated_user]
    written = [r for r in ours if r.is_write and not r.dry_run]
    assert {r.audit_id for r in written} == executed
    assert all(r in as_person for r in written)
    # Beside the write, the person is asked for only to pin the cluster and to know who it is.
    rest = {(r.resource, r.name) for r in as_person if r not in written}
    assert rest == {("namespaces", "kube-system"), ("selfsubjectreviews", "")}
    investigated = [r for r in ours if r.impersonated_user]
    assert {r.impersonated_user for r in investigated} == {INVESTIGATOR}
    assert {r.impersonated_groups for r in investigated} == {
        ("system:serviceaccounts", "system:serviceaccounts:dotai", "system:authenticated")
    }
    assert {"get", "list", "watch", "patch"} <= {r.verb for r in investigated}
    assert [r for r in investigated if r.is_write and r.dry_run]


async def test_a_login_that_may_not_impersonate_is_told_what_to_grant(agent: Agent) -> None:
    settings = Settings(kubeconfig=str(agent.kubeconfig), investigate_as=INVESTIGATOR)
    with pytest.raises(ImpersonationRefused, match=agent.username) as caught:
        await Connection.open(settings)
    assert f"may not act as {INVESTIGATOR}" in caught.value.message
    assert "`impersonate` on serviceaccounts 'investigator' in namespace 'dotai'" in str(
        caught.value
    )


async def test_another_context_investigates_and_the_persons_own_executes(
    agent: Agent, reader: Agent, admin: Admin, audit: Callable[[], list[AuditRecord]]
) -> None:
    admin.create(CONFIG, agent.namespace)
    settings = Settings(
        kubeconfig=f"{agent.kubeconfig}{os.pathsep}{reader.kubeconfig}",
        investigate_as=f"context:{reader.context}",
    )
    step = {"verb": "patch", "content_type": MERGE, "body": {"data": {"a": "b"}}}
    place = {"version": "v1", "resource": "configmaps", "name": "new"}
    c = await Connection.open(settings)
    try:
        assert (c.identity, c.executes_as) == (reader.username, agent.username)
        assert c.context == agent.context
        await c.verify()
        dry_run = Request(**step, **place, namespace=agent.namespace, dry_run=True)
        with pytest.raises(ApiError, match="forbidden"):
            await c.investigate(dry_run)
    finally:
        await c.close()
    by_name = {r.user for r in audit() if r.resource == "configmaps" and r.dry_run}
    assert by_name == {reader.username}

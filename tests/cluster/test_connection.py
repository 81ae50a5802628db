"""The connection on a real API server, as identities with few rights."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dotai_nb.cluster.connection import Connection, is_practice
from dotai_nb.cluster.guard import Grant
from dotai_nb.cluster.request import Precondition, Request
from dotai_nb.errors import ApiError, CredentialsRejected, RequestRefused
from dotai_nb.session.values import Action, ObjectRef, Step
from dotai_nb.settings import Settings
from tests.cluster.controlplane.kubeconfig import Endpoint, write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.cluster.admin import Admin
    from tests.cluster.controlplane.audit import AuditRecord
    from tests.cluster.controlplane.plane import Cluster
    from tests.cluster.fixtures import Agent, DeploymentFactory

MERGE = "application/merge-patch+json"


@asynccontextmanager
async def connected(agent: Agent, **settings: Any) -> AsyncIterator[Connection]:
    connection = await Connection.open(Settings(kubeconfig=str(agent.kubeconfig), **settings))
    try:
        yield connection
    finally:
        await connection.close()


def web(agent: Agent, verb: str = "get", **parts: Any) -> Request:
    place = {"group": "apps", "version": "v1", "resource": "deployments"}
    given: dict[str, Any] = {"verb": verb, **place, "namespace": agent.namespace, "name": "web"}
    return Request(**(given | parts))


async def test_open_pins_the_cluster_and_knows_who_it_is(
    control_plane: Cluster, agent: Agent, admin: Admin
) -> None:
    async with connected(agent) as connection:
        assert connection.context == agent.context
        assert connection.namespace == agent.namespace
        assert connection.identity == agent.username
        assert connection.server_version.startswith("v1.")
        assert connection.fingerprint.server == control_plane.server
        # The agent may not read kube-system: that is recorded, not guessed.
        assert connection.fingerprint.cluster_uid is None
        await connection.verify()
        assert not await is_practice(connection)


async def test_an_identity_that_may_read_kube_system_pins_its_uid(
    control_plane: Cluster, admin: Admin
) -> None:
    settings = Settings(kubeconfig=str(control_plane.kubeconfig))
    connection = await Connection.open(settings, context=control_plane.context)
    uid = admin.get("v1", "Namespace", "kube-system")["metadata"]["uid"]
    assert connection.fingerprint.cluster_uid == uid
    await connection.verify()
    await connection.close()


async def test_rejected_credentials_say_to_renew_them(
    control_plane: Cluster, tmp_path: Path
) -> None:
    ca = control_plane.ca_file.read_bytes() if control_plane.ca_file else None
    path = tmp_path / "expired.yaml"
    write_kubeconfig(path, "expired", Endpoint(control_plane.server, ca), {"token": "expired"})
    with pytest.raises(CredentialsRejected, match="'expired'") as caught:
        await Connection.open(Settings(kubeconfig=str(path)))
    assert "Renew" in caught.value.hint


async def test_a_server_whose_certificate_another_ca_signed_is_not_talked_to(
    control_plane: Cluster, tmp_path: Path
) -> None:
    path = tmp_path / "other.yaml"
    write_kubeconfig(path, "other", Endpoint(control_plane.server, None), {"token": "secret"})
    with pytest.raises(Exception, match="not trusted") as caught:
        await Connection.open(Settings(kubeconfig=str(path)))
    assert "certificate-authority" in str(caught.value)


async def test_a_refused_read_is_told_in_the_servers_words(agent: Agent) -> None:
    async with connected(agent) as connection:
        with pytest.raises(ApiError, match="forbidden") as caught:
            await connection.investigate(
                Request(verb="list", version="v1", resource="pods", namespace="kube-system")
            )
        assert (caught.value.code, caught.value.reason) == (403, "Forbidden")
        assert agent.username in caught.value.message


async def test_every_request_is_found_in_the_audit_log_by_its_audit_id(
    agent: Agent, deployment: DeploymentFactory, audit: Callable[[], list[AuditRecord]]
) -> None:
    deployment("web", wait=False)
    async with connected(agent) as connection:
        with connection.trail() as trail:
            await connection.investigate(web(agent))
            await connection.investigate(
                web(
                    agent, "patch", content_type=MERGE, body={"spec": {"replicas": 3}}, dry_run=True
                )
            )
    ours = [record for record in audit() if record.user == agent.username]
    joined = {record.audit_id: record for record in ours if record.audit_id in trail}
    assert set(joined) == set(trail)
    assert {(record.verb, record.dry_run) for record in joined.values()} >= {
        ("get", False),
        ("patch", True),
    }
    assert all(record.user_agent.startswith("dotai-nb/") for record in ours)


@pytest.mark.parametrize(
    "parts",
    [
        {"resource": "pods", "subresource": "exec"},
        {"resource": "pods", "subresource": "attach"},
        {"resource": "pods", "subresource": "portforward"},
        {"resource": "pods", "subresource": "proxy"},
        {"resource": "services", "subresource": "proxy"},
        {"resource": "pods", "name": "web/exec"},
        {"resource": "serviceaccounts", "subresource": "token", "verb": "create", "dry_run": True},
        {"resource": "pods", "subresource": "eviction", "verb": "create", "dry_run": True},
        {"resource": "configmaps", "verb": "patch", "body": {}},
        {"resource": "configmaps", "verb": "delete"},
        {"resource": "configmaps", "verb": "create", "name": "", "body": {}},
        {"resource": "configmaps", "verb": "delete", "dry_run": True, "body": {"dryRun": []}},
    ],
    ids=str,
)
async def test_the_guard_refuses_before_anything_is_sent(
    agent: Agent, audit: Callable[[], list[AuditRecord]], parts: dict[str, Any]
) -> None:
    async with connected(agent) as connection:
        await connection.discovery.openapi.document("", "v1")
        before = [record for record in audit() if record.user == agent.username]
        with pytest.raises(RequestRefused), connection.trail() as trail:
            await connection.investigate(web(agent, **({"group": "", "version": "v1"} | parts)))
        assert not trail
        assert [record for record in audit() if record.user == agent.username] == before


@pytest.mark.parametrize("body", [None, {"propagationPolicy": "Foreground"}])
async def test_a_deletes_dry_run_deletes_nothing_with_and_without_options(
    agent: Agent, admin: Admin, body: dict[str, Any] | None
) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}}
    uid = admin.create(manifest, agent.namespace)["metadata"]["uid"]
    async with connected(agent) as connection:
        request = web(agent, "delete", group="", resource="configmaps", name="kept", body=body)
        await connection.investigate(request.as_dry_run())
    found = admin.find("v1", "ConfigMap", "kept", agent.namespace)
    assert found is not None
    assert found["metadata"]["uid"] == uid
    assert "deletionTimestamp" not in found["metadata"]


async def test_dry_runs_are_known_from_the_servers_openapi(agent: Agent) -> None:
    async with connected(agent) as connection:
        supports = connection.discovery.supports_dry_run
        assert await supports("apps", "v1", "deployments", "patch")
        assert await supports("apps", "v1", "deployments", "patch", "scale")
        assert await supports("", "v1", "namespaces", "delete")
        assert not await supports("apps", "v1", "nothings", "patch")
        assert not await supports("nowhere.io", "v1", "pods", "patch")


async def test_an_approved_step_is_applied_once_and_a_changed_object_answers_409(
    agent: Agent, admin: Admin, audit: Callable[[], list[AuditRecord]]
) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {}}
    created = admin.create(manifest, agent.namespace)["metadata"]
    seen = Precondition(uid=created["uid"], resource_version=created["resourceVersion"])
    steps = [_label(agent, 1, "a"), _label(agent, 2, "b")]
    async with connected(agent) as connection:
        later = datetime.now(UTC) + timedelta(minutes=5)
        grant = Grant("0" * 64, connection.fingerprint, steps, later)
        audit_id = str(uuid.uuid4())
        await connection.execute(grant, steps[0], audit_id=audit_id, precondition=seen)
        with pytest.raises(RequestRefused, match="sent already"):
            await connection.execute(grant, steps[0], audit_id=str(uuid.uuid4()))
        with pytest.raises(ApiError) as caught:
            await connection.execute(grant, steps[1], audit_id=str(uuid.uuid4()), precondition=seen)
        assert caught.value.code == 409
    labels = admin.get("v1", "ConfigMap", "conf", agent.namespace)["metadata"]["labels"]
    assert labels == {"step": "a"}
    writes = [record for record in audit() if record.user == agent.username and record.is_write]
    assert [(record.code, record.dry_run) for record in writes] == [(200, False), (409, False)]
    assert writes[0].audit_id == audit_id


async def test_a_watch_tells_what_changes_and_ends_by_itself(agent: Agent, admin: Admin) -> None:
    async with connected(agent) as connection:
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "watched"}}
        created = admin.create(manifest, agent.namespace)
        admin.patch("v1", "ConfigMap", "watched", agent.namespace, {"data": {"a": "b"}})
        request = Request(
            verb="watch",
            version="v1",
            resource="configmaps",
            namespace=agent.namespace,
            query={"resourceVersion": created["metadata"]["resourceVersion"]},
        )
        seen = [event async for event in connection.watch(request, timeout=1)]
    assert [(event["type"], event["object"]["data"]) for event in seen] == [
        ("MODIFIED", {"a": "b"})
    ]


async def test_allowed_namespaces_are_kept_before_the_server_is_asked(
    agent: Agent, audit: Callable[[], list[AuditRecord]]
) -> None:
    async with connected(agent, namespaces="elsewhere") as connection:
        with pytest.raises(RequestRefused, match="DOT_AI_NAMESPACES"):
            await connection.investigate(web(agent))
        with pytest.raises(RequestRefused, match="DOT_AI_NAMESPACES"):
            await connection.investigate(web(agent, "list", name="", namespace=""))
    asked = [record for record in audit() if record.user == agent.username]
    assert not [record for record in asked if record.resource == "deployments"]


def _label(agent: Agent, number: int, value: str) -> Step:
    return Step(
        number=number,
        action=Action.UPDATE,
        target=ObjectRef(
            version="v1",
            kind="ConfigMap",
            resource="configmaps",
            namespace=agent.namespace,
            name="conf",
        ),
        method="PATCH",
        path=f"/api/v1/namespaces/{agent.namespace}/configmaps/conf",
        query={"fieldManager": "dotai-nb"},
        content_type=MERGE,
        body={"metadata": {"labels": {"step": value}}},
        argv=("kubectl", "label", "configmap", "conf", f"step={value}"),
    )

"""Nothing below the connection repeats a write or follows a redirect."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dotai_nb.cluster.guard import Grant
from dotai_nb.cluster.request import Document, Precondition, Request
from dotai_nb.errors import (
    ApiError,
    ConnectionFailed,
    CredentialsRejected,
    OutcomeUnknown,
    RequestRefused,
    WrongCluster,
)
from dotai_nb.session.values import Action, Fingerprint, ObjectRef, Step
from dotai_nb.settings import Settings
from tests.unit.raw_server import DROP, RawServer, Received, answer, operations, serving, status

if TYPE_CHECKING:
    from collections.abc import Callable

POD = Request(verb="get", version="v1", resource="pods", namespace="default", name="web")
_ACTIONS = {
    "POST": Action.CREATE,
    "PUT": Action.UPDATE,
    "PATCH": Action.UPDATE,
    "DELETE": Action.DELETE,
}


def step(method: str, number: int = 1, body: Any = None) -> Step:
    name = "" if method == "POST" else "/web"
    return Step(
        number=number,
        action=_ACTIONS[method],
        target=ObjectRef(
            version="v1", kind="ConfigMap", resource="configmaps", namespace="default", name="web"
        ),
        method=method,
        path=f"/api/v1/namespaces/default/configmaps{name}",
        query={"fieldManager": "dotai-nb"},
        content_type="application/merge-patch+json" if method == "PATCH" else "application/json",
        body=body if body is not None or method == "DELETE" else {"data": {"a": "b"}},
        argv=("kubectl", "get", "configmap"),
    )


def grant(server: RawServer, *steps: Step) -> Grant:
    pinned = server.connection().fingerprint
    return Grant("0" * 64, pinned, steps, datetime.now(UTC) + timedelta(minutes=5))


def cluster(write: bytes) -> Callable[[Received], bytes]:
    """Documents are answered, so that a connection is kept; writes get what the test wants."""

    def reply(request: Received) -> bytes:
        if request.target.startswith("/openapi/v3/api/v1"):
            return answer(200, operations("api/v1", "configmaps"))
        return answer(200, {"gitVersion": "v1"}) if request.method == "GET" else write

    return reply


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_write_whose_connection_is_dropped_is_sent_exactly_once(method: str) -> None:
    async with serving(cluster(DROP)) as server:
        connection = server.connection()
        await connection.investigate(Document("/version"))
        approved = step(method)
        with pytest.raises(OutcomeUnknown, match="Step 1 was sent"):
            await connection.execute(grant(server, approved), approved, audit_id=str(uuid.uuid4()))
        assert len(server.of(method)) == 1
        await connection.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_dropped_dry_run_on_a_kept_connection_is_sent_exactly_once(method: str) -> None:
    async with serving(cluster(DROP)) as server:
        connection = server.connection()
        await connection.investigate(Document("/version"))
        verbs = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
        request = Request(
            verb=verbs[method],
            version="v1",
            resource="configmaps",
            namespace="default",
            name="" if method == "POST" else "web",
            body={"data": {}},
            dry_run=True,
        )
        with pytest.raises(ConnectionFailed):
            await connection.investigate(request)
        assert len(server.of(method)) == 1
        assert server.connections == 1, "the dry run used the connection that was kept"
        await connection.close()


async def test_a_dropped_read_is_repeated_once_with_another_audit_id() -> None:
    async with serving(lambda _: DROP) as server:
        connection = server.connection()
        with connection.trail() as trail, pytest.raises(ConnectionFailed):
            await connection.investigate(POD)
        assert [r.headers["audit-id"] for r in server.received] == trail
        assert len(set(trail)) == 2
        await connection.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_redirect_is_not_followed(method: str) -> None:
    async with serving(cluster(answer(307, {}, Location="/elsewhere"))) as server:
        connection = server.connection()
        approved = step(method)
        with pytest.raises(ConnectionFailed, match="redirect"):
            await connection.execute(grant(server, approved), approved, audit_id="a")
        assert not [r for r in server.received if r.target == "/elsewhere"]
        assert len(server.of(method)) == 1
        await connection.close()


async def test_a_read_is_not_redirected_either() -> None:
    async with serving(lambda _: answer(302, {}, Location="/login")) as server:
        connection = server.connection()
        with pytest.raises(ConnectionFailed, match="/login"):
            await connection.investigate(Document("/version"))
        assert len(server.received) == 1
        await connection.close()


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (answer(409, status(409, "Conflict", "changed")), ApiError),
        (answer(429, status(429, "TooManyRequests", "busy"), Retry_After="0"), ApiError),
        (answer(500, status(500, "InternalError", "failed calling webhook: timeout")), ApiError),
        (answer(500, status(500, "InternalError", "etcdserver: timed out")), OutcomeUnknown),
        (answer(504, status(504, "Timeout", "Timeout: slow")), OutcomeUnknown),
        (answer(502, b"<h1>Bad Gateway</h1>", media="text/html"), OutcomeUnknown),
        (answer(503, b"no backend", media="text/plain"), OutcomeUnknown),
        (answer(500, b"<h1>Oops</h1>", media="text/html"), OutcomeUnknown),
        (answer(520, b"unknown", media="text/plain"), OutcomeUnknown),
        (answer(503, status(503, "ServiceUnavailable", "starting")), ApiError),
        (answer(200, b"<form>Log in</form>", media="text/html"), OutcomeUnknown),
        (answer(401, status(401, "Unauthorized", "who?")), CredentialsRejected),
    ],
)
async def test_a_write_that_fails_is_sent_once_and_says_whether_it_is_in_doubt(
    said: bytes, error: type[Exception]
) -> None:
    async with serving(cluster(said)) as server:
        connection = server.connection()
        approved = step("PATCH")
        with pytest.raises(error) as caught:
            await connection.execute(grant(server, approved), approved, audit_id="a")
        assert isinstance(caught.value, error)
        assert isinstance(caught.value, OutcomeUnknown) == (error is OutcomeUnknown)
        assert len(server.of("PATCH")) == 1
        await connection.close()


async def test_a_write_that_finds_nobody_listening_was_not_sent(unused_port: int) -> None:
    async with serving(cluster(answer(200, {}))) as server:
        connection = server.connection()
        approved = step("PATCH")
        right = grant(server, approved)
        await connection.discovery.openapi.document("", "v1")
    await connection.close()
    gone = RawServer(url=f"http://127.0.0.1:{unused_port}")
    away = gone.connection()
    away.discovery = connection.discovery
    away._guard._discovery = connection.discovery
    away.fingerprint = right.fingerprint
    with pytest.raises(ConnectionFailed, match="No connection"):
        await away.execute(right, approved, audit_id="a")
    await away.close()


async def test_a_step_is_executed_once_with_its_precondition_and_audit_id() -> None:
    async with serving(cluster(answer(200, {"kind": "ConfigMap"}))) as server:
        connection = server.connection()
        approved = step("PATCH")
        right = grant(server, approved)
        precondition = Precondition(uid="u", resource_version="7")
        reply = await connection.execute(
            right, approved, audit_id="once", precondition=precondition
        )
        assert reply.audit_id == "once"
        with pytest.raises(RequestRefused, match="sent already"):
            await connection.execute(right, approved, audit_id="twice")
        (sent,) = server.of("PATCH")
        assert sent.headers["audit-id"] == "once"
        assert sent.headers["user-agent"].startswith("dotai-nb/")
        assert b'"resourceVersion": "7"' in sent.body
        await connection.close()


async def test_an_audit_id_is_good_for_one_write() -> None:
    async with serving(cluster(answer(200, {}))) as server:
        connection = server.connection()
        first, second = step("PATCH"), step("PUT", 2)
        right = grant(server, first, second)
        await connection.execute(right, first, audit_id="a")
        with pytest.raises(RequestRefused, match="used for a write"):
            await connection.execute(right, second, audit_id="a")
        await connection.close()


async def test_an_approval_for_another_cluster_sends_nothing() -> None:
    async with serving(cluster(answer(200, {}))) as server:
        connection = server.connection()
        approved = step("PATCH")
        elsewhere = Fingerprint(server="https://other", ca_sha256="", cluster_uid=None)
        later = datetime.now(UTC) + timedelta(minutes=5)
        with pytest.raises(WrongCluster):
            await connection.execute(
                Grant("0", elsewhere, [approved], later), approved, audit_id="a"
            )
        assert not server.of("PATCH")
        await connection.close()


async def test_read_only_executes_nothing_and_still_dry_runs() -> None:
    async with serving(cluster(answer(200, {"kind": "ConfigMap"}))) as server:
        connection = server.connection(Settings(read_only=True))
        approved = step("PATCH")
        with pytest.raises(RequestRefused, match="DOT_AI_READ_ONLY"):
            await connection.execute(grant(server, approved), approved, audit_id="a")
        assert not server.of("PATCH")
        request = Request(
            verb="patch",
            version="v1",
            resource="configmaps",
            namespace="default",
            name="web",
            content_type="application/merge-patch+json",
            body={},
            dry_run=True,
        )
        await connection.investigate(request)
        assert [r.target for r in server.of("PATCH")] == [request.url]
        await connection.close()


async def test_a_deletes_dry_run_is_said_in_its_body_too() -> None:
    async with serving(cluster(answer(200, {"kind": "Status"}))) as server:
        connection = server.connection()
        request = Request(
            verb="delete",
            version="v1",
            resource="configmaps",
            namespace="default",
            name="web",
            body={"propagationPolicy": "Foreground"},
            dry_run=True,
        )
        await connection.investigate(request)
        (sent,) = server.of("DELETE")
        assert sent.target.endswith("?dryRun=All")
        assert b'"dryRun": ["All"]' in sent.body
        await connection.close()

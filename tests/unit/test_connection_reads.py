"""Reads: what is tried again, what is told, and what travels with them."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import pytest

from dotai_nb.cluster.connection import Connection, is_practice
from dotai_nb.cluster.kubeconfig import User
from dotai_nb.cluster.request import Document, Request
from dotai_nb.errors import ApiError, ConnectionFailed, CredentialsRejected, WrongCluster
from dotai_nb.settings import Settings
from tests.unit.raw_server import Received, answer, serving, status

if TYPE_CHECKING:
    from pathlib import Path

POD = Request(verb="get", version="v1", resource="pods", namespace="default", name="web")
HELPER_VERSION = "client.authentication.k8s.io/v1"


async def test_a_busy_server_is_asked_three_times_in_all() -> None:
    busy = answer(429, status(429, "TooManyRequests", "busy"), Retry_After="0")
    async with serving(lambda _: busy) as server:
        connection = server.connection()
        with pytest.raises(ApiError) as caught:
            await connection.investigate(POD)
        assert (caught.value.code, caught.value.reason) == (429, "TooManyRequests")
        assert len(server.received) == 3
        await connection.close()


async def test_a_server_error_is_asked_twice() -> None:
    async with serving(lambda _: answer(500, status(500, "InternalError", "boom"))) as server:
        connection = server.connection()
        with pytest.raises(ApiError, match="boom"):
            await connection.investigate(POD)
        assert len(server.received) == 2
        await connection.close()


async def test_a_refusal_is_told_in_the_servers_words_with_its_audit_id() -> None:
    words = 'pods "web" is forbidden: User "x" cannot get resource "pods"'
    async with serving(lambda _: answer(403, status(403, "Forbidden", words))) as server:
        connection = server.connection()
        with pytest.raises(ApiError) as caught:
            await connection.investigate(POD)
        assert caught.value.message == words
        assert caught.value.reason == "Forbidden"
        assert caught.value.audit_id == server.received[0].headers["audit-id"]
        assert len(server.received) == 1
        await connection.close()


async def test_an_answer_of_a_login_page_is_not_taken_for_an_api_server() -> None:
    async with serving(lambda _: answer(200, b"<html>", media="text/html")) as server:
        connection = server.connection()
        with pytest.raises(ConnectionFailed, match="text/html"):
            await connection.investigate(Document("/version"))
        await connection.close()


async def test_a_server_that_does_not_answer_in_time_is_told() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    from tests.unit.raw_server import RawServer

    port = listening.sockets[0].getsockname()[1]
    connection = RawServer(url=f"http://127.0.0.1:{port}").connection()
    with pytest.raises(ConnectionFailed, match=r"did not answer within 0\.05 s"):
        await connection.investigate(POD, timeout=0.05)
    await connection.close()
    listening.close()


async def test_nobody_listening_says_where_and_what_to_check(unused_port: int) -> None:
    settings = Settings()
    from tests.unit.raw_server import RawServer

    connection = RawServer(url=f"http://127.0.0.1:{unused_port}").connection(settings)
    with pytest.raises(ConnectionFailed, match=str(unused_port)) as caught:
        await connection.investigate(POD)
    assert "cluster runs" in caught.value.hint
    await connection.close()


async def test_warnings_are_read_as_the_server_wrote_them() -> None:
    header = '299 - "unknown field \\"spec.x\\", ignored", 299 - "second"'
    async with serving(lambda _: answer(200, {}, Warning=header)) as server:
        connection = server.connection()
        reply = await connection.investigate(POD)
        assert reply.warnings == ('unknown field "spec.x", ignored', "second")
        await connection.close()


async def test_trails_hold_the_requests_of_child_tasks_and_of_trails_inside() -> None:
    async with serving(lambda _: answer(200, {})) as server:
        connection = server.connection()
        with connection.trail() as outer:
            await asyncio.gather(connection.investigate(POD), connection.investigate(POD))
            with connection.trail() as inner:
                await connection.investigate(POD)
        await connection.investigate(POD)
        sent = [r.headers["audit-id"] for r in server.received]
        assert sorted(outer) == sorted(sent[:3])
        assert inner == sent[2:3]
        await connection.close()


async def test_watch_events_are_decoded_and_an_error_event_is_raised() -> None:
    events = [
        {"type": "ADDED", "object": {"metadata": {"name": "a"}}},
        {"type": "ERROR", "object": status(410, "Expired", "too old resource version")},
    ]
    lines = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    async with serving(lambda _: answer(200, lines)) as server:
        connection = server.connection()
        request = Request(verb="watch", version="v1", resource="pods", namespace="default")
        stream = connection.watch(request, timeout=5)
        assert await anext(stream) == events[0]
        with pytest.raises(ApiError, match="too old") as caught:
            await anext(stream)
        assert caught.value.code == 410
        assert server.received[0].target.endswith("?timeoutSeconds=5&watch=true")
        await connection.close()


async def test_a_rejected_helper_login_is_renewed_once_for_a_read(tmp_path: Path) -> None:
    script = _helper(tmp_path)

    def reply(request: Received) -> bytes:
        good = request.headers.get("authorization") == "Bearer token-2"
        return answer(200, {}) if good else answer(401, status(401, "Unauthorized", "no"))

    async with serving(reply) as server:
        connection = server.connection(user=User(helper=script))
        await connection.investigate(POD)
        assert [r.headers["authorization"] for r in server.received] == [
            "Bearer token-1",
            "Bearer token-2",
        ]
        await connection.close()


async def test_a_rejected_token_says_to_renew_it() -> None:
    async with serving(lambda _: answer(401, status(401, "Unauthorized", "no"))) as server:
        connection = server.connection(user=User(token="old"))
        with pytest.raises(CredentialsRejected, match="401") as caught:
            await connection.investigate(POD)
        assert "Renew" in caught.value.hint
        assert "old" not in str(caught.value)
        assert len(server.received) == 1
        await connection.close()


async def test_impersonation_of_the_kubeconfig_is_kept() -> None:
    impersonate = (("Impersonate-User", "dev"), ("Impersonate-Group", "team"))
    async with serving(lambda _: answer(200, {})) as server:
        connection = server.connection(user=User(token="t", impersonate=impersonate))
        await connection.investigate(POD)
        headers = server.received[0].headers
        assert headers["impersonate-user"] == "dev"
        assert headers["impersonate-group"] == "team"
        await connection.close()


async def test_open_finds_out_who_where_and_what(tmp_path: Path) -> None:
    async with serving(_small_cluster("uid-1")) as server:
        settings = Settings(kubeconfig=str(_kubeconfig(tmp_path / "config", server.url)))
        connection = await Connection.open(settings)
        assert connection.context == "raw"
        assert connection.namespace == "shop"
        assert connection.server_version == "v1.37.2"
        assert connection.identity == "someone"
        assert connection.fingerprint.server == server.url
        assert connection.fingerprint.cluster_uid == "uid-1"
        assert await is_practice(connection)
        await connection.verify()
        await connection.close()


async def test_verify_refuses_when_the_context_leads_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "config"
    async with serving(_small_cluster("a")) as first, serving(_small_cluster("b")) as second:
        connection = await Connection.open(Settings(kubeconfig=str(_kubeconfig(path, first.url))))
        _kubeconfig(path, second.url)
        with pytest.raises(WrongCluster, match=second.url):
            await connection.verify()
        await connection.close()


async def test_verify_refuses_when_another_cluster_answers_at_the_same_address(
    tmp_path: Path,
) -> None:
    uids = iter(["first", "second"])

    def reply(request: Received) -> bytes:
        return _small_cluster(next(uids) if "kube-system" in request.target else "")(request)

    async with serving(reply) as server:
        path = _kubeconfig(tmp_path / "config", server.url)
        connection = await Connection.open(Settings(kubeconfig=str(path)))
        with pytest.raises(WrongCluster, match="second"):
            await connection.verify()
        await connection.close()


def _small_cluster(uid: str):
    def reply(request: Received) -> bytes:
        if request.target == "/version":
            return answer(200, {"gitVersion": "v1.37.2"})
        if "selfsubjectreviews" in request.target:
            return answer(201, {"status": {"userInfo": {"username": "someone"}}})
        return answer(200, {"metadata": {"uid": uid}})

    return reply


def _kubeconfig(path: Path, server: str) -> Path:
    context = {"cluster": "c", "user": "u", "namespace": "shop"}
    document = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "raw", "context": context}],
        "current-context": "raw",
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _helper(folder: Path) -> dict[str, object]:
    """A credential helper that gives token-1, then token-2, …"""
    script = folder / "helper.py"
    script.write_text(
        "import json, pathlib\n"
        f"count = pathlib.Path({str(folder / 'count')!r})\n"
        "number = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(number))\n"
        f"print(json.dumps({{'apiVersion': {HELPER_VERSION!r}, 'kind': 'ExecCredential',\n"
        "  'status': {'token': f'token-{number}'}}))\n",
        encoding="utf-8",
    )
    return {"apiVersion": HELPER_VERSION, "command": sys.executable, "args": [str(script)]}

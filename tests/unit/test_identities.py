"""Which request carries whose identity, seen by a server that writes every header down."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dotai_nb.cluster.connection import Connection
from dotai_nb.cluster.guard import Grant
from dotai_nb.cluster.identities import find_identities, to_grant
from dotai_nb.cluster.request import Document, Request
from dotai_nb.errors import ImpersonationRefused, SettingsError, WrongCluster
from dotai_nb.session.fold import fold
from dotai_nb.settings import Settings
from dotai_nb.views import html, markdown, plain
from tests.unit.raw_server import answer, operations, serving, status
from tests.unit.sessions import proposal_session, started
from tests.unit.test_connection_sends_once import step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.raw_server import Received

ROBOT = "system:serviceaccount:dotai:investigator"
POD = Request(verb="get", version="v1", resource="pods", namespace="shop", name="web")


def kubeconfig(path: Path, **contexts: tuple[str, dict[str, Any]]) -> Settings:
    """A kubeconfig of contexts, each a server and a user; the first is the current one."""
    document = {
        "current-context": next(iter(contexts)),
        "clusters": [{"name": n, "cluster": {"server": s}} for n, (s, _) in contexts.items()],
        "users": [{"name": n, "user": user} for n, (_, user) in contexts.items()],
        "contexts": [
            {"name": n, "context": {"cluster": n, "user": n, "namespace": "shop"}} for n in contexts
        ],
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return Settings(kubeconfig=str(path))


def cluster(uids: dict[str, str] | None = None) -> Callable[[Received], bytes]:
    """An API server that tells everyone their name; `uids` by token, else one for all."""

    def reply(request: Received) -> bytes:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        name = request.headers.get("impersonate-user", token)
        match request.target.split("?")[0]:
            case "/version":
                return answer(200, {"gitVersion": "v1.37.2"})
            case "/api/v1/namespaces/kube-system":
                uid = (uids or {}).get(token, "uid-1")
                return answer(200, {"metadata": {"uid": uid}})
            case path if path.endswith("/selfsubjectreviews"):
                return answer(201, {"status": {"userInfo": {"username": name}}})
            case path if path.startswith("/openapi"):
                return answer(200, operations("api/v1", "pods", "configmaps"))
            case _:
                return answer(200, {})

    return reply


def impersonated(requests: list[Received]) -> set[str]:
    return {request.headers.get("impersonate-user", "") for request in requests}


async def execute(c: Connection) -> None:
    """Send an approved patch."""
    approved = step("PATCH")
    grant = Grant("0" * 64, c.fingerprint, [approved], datetime.now(UTC) + timedelta(minutes=5))
    await c.execute(grant, approved, audit_id="a")


async def test_only_what_investigates_carries_the_impersonation(tmp_path: Path) -> None:
    async with serving(cluster()) as server:
        own = {"token": "alice", "as": "alice-admin", "as-groups": ["admins"]}
        settings = kubeconfig(tmp_path / "config", mine=(server.url, own))
        c = await Connection.open(settings.model_copy(update={"investigate_as": ROBOT}))
        assert (c.identity, c.executes_as) == (ROBOT, "alice-admin")

        server.received.clear()
        await c.investigate(Document("/version"))
        await c.investigate(POD)
        patch = Request(
            verb="patch", version="v1", resource="configmaps", namespace="shop", name="a",
            content_type="application/merge-patch+json", body={}, dry_run=True,
        )  # fmt: skip
        await c.investigate(patch)
        watch = Request(verb="watch", version="v1", resource="pods", namespace="shop")
        assert [event async for event in c.watch(watch, timeout=1)] == []
        assert server.of("GET", watch.url.partition("?")[0] + "?timeoutSeconds=1&watch=true")
        assert impersonated(server.received) == {ROBOT}
        assert all("impersonate-group" not in r.headers for r in server.received)

        server.received.clear()
        await c.verify()
        await execute(c)
        # The kubeconfig's own impersonation is the person's, and stays with the person.
        assert impersonated(server.received) == {"alice-admin"}
        assert {r.headers["impersonate-group"] for r in server.received} == {"admins"}
        assert {r.method for r in server.received} == {"GET", "PATCH"}
        assert {r.headers["authorization"] for r in server.received} == {"Bearer alice"}
        await c.close()


async def test_without_the_setting_one_identity_is_shared(tmp_path: Path) -> None:
    async with serving(cluster()) as server:
        c = await Connection.open(
            kubeconfig(tmp_path / "config", mine=(server.url, {"token": "a"}))
        )
        assert (c.identity, c.executes_as) == ("a", "")
        assert impersonated(server.received) == {""}
        await c.close()


async def test_a_second_context_that_is_the_same_user_counts_as_shared(tmp_path: Path) -> None:
    async with serving(cluster()) as server:
        user = (server.url, {"token": "a"})
        settings = kubeconfig(tmp_path / "config", mine=user, other=user)
        c = await Connection.open(settings.model_copy(update={"investigate_as": "context:other"}))
        assert (c.identity, c.executes_as) == ("a", "")
        await c.close()


async def test_another_context_investigates_with_its_own_login(tmp_path: Path) -> None:
    async with serving(cluster()) as server:
        contexts = {"mine": (server.url, {"token": "a"}), "robot": (server.url, {"token": "r"})}
        settings = kubeconfig(tmp_path / "config", **contexts)
        c = await Connection.open(settings.model_copy(update={"investigate_as": "context:robot"}))
        assert (c.context, c.identity, c.executes_as) == ("mine", "r", "a")
        server.received.clear()
        await c.investigate(POD)
        assert server.received[0].headers["authorization"] == "Bearer r"
        server.received.clear()
        await c.verify()
        await execute(c)
        written = server.of("PATCH")
        assert [r.headers["authorization"] for r in written] == ["Bearer a"]
        assert {r.headers["authorization"] for r in server.of("GET", "/api/")} == {"Bearer a"}
        await c.close()


async def test_a_credential_helper_runs_once_for_both(tmp_path: Path) -> None:
    count = tmp_path / "count"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "t"},
    }
    code = f"open({str(count)!r}, 'a').write('x'); print({json.dumps(credential)!r})"
    helper = {"apiVersion": credential["apiVersion"], "command": sys.executable}
    async with serving(cluster()) as server:
        user = {"exec": {**helper, "args": ["-c", code]}}
        settings = kubeconfig(tmp_path / "config", mine=(server.url, user))
        c = await Connection.open(settings.model_copy(update={"investigate_as": "user:robot"}))
        assert (c.identity, c.executes_as) == ("robot", "t")
        assert count.read_text(encoding="utf-8") == "x"
        await c.close()


def test_a_context_of_another_server_or_another_ca_is_refused(tmp_path: Path) -> None:
    settings = kubeconfig(
        tmp_path / "config", mine=("https://a", {}), other=("https://b", {})
    ).model_copy(update={"investigate_as": "context:other"})
    with pytest.raises(WrongCluster, match="'other', which leads to https://b"):
        find_identities(settings)
    # An address that one of them trusts by another CA may be another cluster's.
    document = yaml.safe_load((tmp_path / "config").read_text())
    document["clusters"][1]["cluster"] = {
        "server": "https://a", "certificate-authority-data": "Q0E="
    }  # fmt: skip
    (tmp_path / "config").write_text(yaml.safe_dump(document))
    with pytest.raises(WrongCluster, match="another CA"):
        find_identities(settings)


async def test_another_cluster_behind_the_same_address_is_refused(tmp_path: Path) -> None:
    async with serving(cluster({"a": "uid-a", "r": "uid-r"})) as server:
        contexts = {"mine": (server.url, {"token": "a"}), "robot": (server.url, {"token": "r"})}
        settings = kubeconfig(tmp_path / "config", **contexts)
        with pytest.raises(WrongCluster, match="uid-r"):
            await Connection.open(settings.model_copy(update={"investigate_as": "context:robot"}))


async def test_a_refused_impersonation_says_what_to_grant(tmp_path: Path) -> None:
    def reply(request: Received) -> bytes:
        if "impersonate-user" in request.headers:
            return answer(403, status(403, "Forbidden", 'users "robot" is forbidden'))
        return cluster()(request)

    async with serving(reply) as server:
        settings = kubeconfig(tmp_path / "config", mine=(server.url, {"token": "a"}))
        with pytest.raises(ImpersonationRefused, match="may not act as robot") as caught:
            await Connection.open(settings.model_copy(update={"investigate_as": "user:robot"}))
        assert "`impersonate` on users 'robot'" in str(caught.value)


def test_what_to_grant_names_the_service_account() -> None:
    assert "serviceaccounts 'investigator' in namespace 'dotai'" in to_grant(ROBOT)


@pytest.mark.parametrize(
    "value",
    [
        "investigator", "system:serviceaccount:dotai", "system:serviceaccount:a:b:c", "user:",
        "user: x", "context:", "User:x", " ", "user:a\r\nImpersonate-Group: system:masters",
    ],
)  # fmt: skip
def test_a_value_that_names_no_identity_is_an_error_and_never_shares(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("DOT_AI_INVESTIGATE_AS", value)
    with pytest.raises(SettingsError, match="system:serviceaccount:NAMESPACE:NAME") as caught:
        Settings.from_environment()
    assert "DOT_AI_INVESTIGATE_AS" in str(caught.value)


@pytest.mark.parametrize("value", ["", ROBOT, "user:Jane Doe", "context:prod/read", "user:a@b.c"])
def test_a_value_that_names_an_identity_is_taken(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("DOT_AI_INVESTIGATE_AS", value)
    assert Settings.from_environment().investigate_as == value


def test_a_shared_identity_is_said_and_leaves_old_files_as_they_are() -> None:
    session = fold(proposal_session())
    assert "executesAs" not in started().json_object()
    name = session.started.identity
    assert f"<code>{name}</code>, shared with the investigation" in html.facts(session)
    assert f"| Executes as | `{name}`, shared with the investigation |" in markdown.review(session)
    assert "executes as" not in plain.plain(session)


def test_separate_identities_are_both_shown() -> None:
    first = started(executes_as="alice")
    assert first.json_object()["executesAs"] == "alice"
    session = replace(fold(proposal_session()), started=first)
    assert "<code>alice</code>, separate from the investigation" in html.facts(session)
    assert "| Executes as | `alice`, separate from the investigation |" in markdown.review(session)
    assert "executes as: alice" in plain.plain(session)

"""Types are found by kubectl's names, also on servers without aggregated discovery."""

from __future__ import annotations

from typing import Any

import pytest

from dotai_nb.cluster.discovery import Discovery
from dotai_nb.cluster.request import Document, Reply
from dotai_nb.errors import ApiError


def resource(plural: str, kind: str, *short: str, **parts: Any) -> dict[str, Any]:
    return {
        "resource": plural,
        "responseKind": {"kind": kind},
        "singularResource": kind.lower(),
        "shortNames": list(short),
        "scope": "Namespaced",
        "verbs": ["get", "list"],
        **parts,
    }


def group(name: str, **versions: list[dict[str, Any]]) -> dict[str, Any]:
    listed = [{"version": version, "resources": found} for version, found in versions.items()]
    return {"metadata": {"name": name}, "versions": listed}


class Server:
    """Answers documents, and counts how often it was asked for all types."""

    def __init__(self, documents: dict[str, Any]) -> None:
        self.documents = documents
        self.asked: list[str] = []

    async def read(self, document: Document) -> Reply:
        self.asked.append(document.path)
        if document.path not in self.documents:
            raise ApiError("not found", code=404)
        return Reply(code=200, body=self.documents[document.path], audit_id="")


def listing(*groups: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "APIGroupDiscoveryList", "items": list(groups)}


def server() -> Server:
    core = group(
        "",
        v1=[resource("pods", "Pod", "po", categories=["all"]), resource("events", "Event", "ev")],
    )
    apps = group("apps", v1=[resource("deployments", "Deployment", "deploy")])
    horizontal = resource("horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa")
    autoscaling = group("autoscaling", v2=[horizontal], v1=[horizontal])
    new_events = group("events.k8s.io", v1=[resource("events", "Event", "ev")])
    tricky = group("example.com", v1=[resource("po", "Tricky")])
    return Server({"/api": listing(core), "/apis": listing(apps, autoscaling, new_events, tricky)})


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("deploy", "deployments.apps/v1"),
        ("deployment", "deployments.apps/v1"),
        ("Deployment", "deployments.apps/v1"),
        ("deployments.apps", "deployments.apps/v1"),
        ("deploy.apps", "deployments.apps/v1"),
        ("deployments.v1.apps", "deployments.apps/v1"),
        ("events", "events/v1"),
        ("ev.events.k8s.io", "events.events.k8s.io/v1"),
        ("hpa", "horizontalpodautoscalers.autoscaling/v2"),
        ("hpa.v1.autoscaling", "horizontalpodautoscalers.autoscaling/v1"),
        ("po", "po.example.com/v1"),
        ("pod", "pods/v1"),
    ],
)
async def test_a_type_is_found_by(name: str, found: str) -> None:
    kind = await Discovery(server().read).resolve(name)
    assert f"{kind}/{kind.version}" == found


async def test_an_unknown_type_asks_did_you_mean() -> None:
    with pytest.raises(ApiError, match="resource type 'deploymnet'") as caught:
        await Discovery(server().read).resolve("deploymnet")
    assert caught.value.code == 404
    assert "deployments" in caught.value.hint


async def test_types_are_read_once_and_again_when_one_is_not_found() -> None:
    answers = server()
    discovery = Discovery(answers.read)
    await discovery.resolve("pods")
    await discovery.resolve("deploy")
    assert answers.asked == ["/api", "/apis"]
    answers.documents["/apis"] = listing(group("new.io", v1=[resource("widgets", "Widget")]))
    assert (await discovery.of_kind("new.io/v1", "Widget")).plural == "widgets"
    assert answers.asked == ["/api", "/apis"] * 2


async def test_a_first_miss_does_not_read_twice() -> None:
    answers = server()
    with pytest.raises(ApiError):
        await Discovery(answers.read).resolve("nothing")
    assert answers.asked == ["/api", "/apis"]


async def test_an_old_server_lists_group_by_group_and_one_that_is_away_is_left_out() -> None:
    def old(name: str, kind: str) -> dict[str, Any]:
        return {"name": name, "kind": kind, "namespaced": True, "verbs": ["get", "list"]}

    deployments = [old("deployments", "Deployment"), old("deployments/scale", "Scale")]
    answers = Server(
        {
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/api/v1": {"resources": [old("pods", "Pod")]},
            "/apis": {
                "kind": "APIGroupList",
                "groups": [
                    {
                        "name": "apps",
                        "versions": [{"version": "v1beta1"}, {"version": "v1"}],
                        "preferredVersion": {"version": "v1"},
                    },
                    {"name": "away.io", "versions": [{"version": "v1"}]},
                ],
            },
            "/apis/apps/v1": {"resources": deployments},
            "/apis/apps/v1beta1": {"resources": deployments},
        }
    )
    discovery = Discovery(answers.read)
    found = await discovery.resolve("deployments")
    assert (found.version, found.subresources) == ("v1", ("scale",))
    assert [str(kind) for kind in await discovery.preferred()] == ["pods", "deployments.apps"]
    assert await discovery.is_namespaced("", "v1", "pods")

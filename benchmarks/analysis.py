"""A whole analysis with ten tool calls: from no connection to a proposal in its session file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.keep_alive import KeepAlive, Learning, told
from benchmarks.report import Row, Under
from benchmarks.shop import NAME
from benchmarks.timing import interleaved
from dotai_nb.cluster.connection import Connection
from dotai_nb.knowledge.source import NoKnowledge
from dotai_nb.llm.conversation import Answer, Text, ToolUse
from dotai_nb.llm.scripted import ScriptedModel
from dotai_nb.session.values import Outcome
from dotai_nb.workflow.operate import begin
from dotai_nb.workflow.source import Source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.shop import Shop
    from dotai_nb.session.session import Session

_ROUNDS = 15
_CALLS = 10

_ZERO_DOWNTIME = {"maxUnavailable": 0, "maxSurge": 1}
_PATCH = {
    "spec": {
        "strategy": {"rollingUpdate": _ZERO_DOWNTIME},
        "template": {"spec": {"containers": [{"name": NAME, "image": "nginx:1.20"}]}},
    }
}
_PROPOSAL: dict[str, Any] = {
    "outcome": "proposal",
    "summary": "The image is updated; no pod goes before its successor is ready.",
    "observations": [{"text": "Three replicas run nginx:1.19.", "calls": [1, 2]}],
    "steps": [{"step": 1, "reason": "The intent asks for it."}],
    "risk": {"level": "low", "reasons": ["The rollout can be undone."]},
    "validation_intent": "All pods run nginx:1.20 and are ready.",
}


def _turns() -> tuple[Answer, ...]:
    """Four turns of a model: the objects, their past and their types, two dry runs, the plan."""
    on_it = {"resource": "deployment", "name": NAME}
    calls: list[list[tuple[str, dict[str, Any]]]] = [
        [
            ("kubectl_get", {"resource": "deployments"}),
            ("kubectl_describe", on_it),
            ("kubectl_get", {"resource": "pods", "label_selector": f"app={NAME}"}),
            ("kubectl_get", {"resource": "services,poddisruptionbudgets"}),
        ],
        [
            ("kubectl_events", {}),
            ("kubectl_get_resource_json", {**on_it, "field": "spec.template"}),
            ("kubectl_get_crd_schema", {"resource": "deployment", "field": "spec.strategy"}),
            ("kubectl_api_resources", {"group": "apps"}),
        ],
        [
            ("kubectl_patch_dryrun", {**on_it, "patch": _PATCH}),
            ("kubectl_scale_dryrun", {**on_it, "replicas": 4}),
        ],
        [("propose", _PROPOSAL)],
    ]
    return tuple(_turn(number, made) for number, made in enumerate(calls, start=1))


def _turn(number: int, calls: list[tuple[str, dict[str, Any]]]) -> Answer:
    uses = [
        ToolUse(f"call-{number}-{position}", name, given)
        for position, (name, given) in enumerate(calls)
    ]
    words = Text("I look at what there is before I propose anything.")
    return Answer((words, *uses), "tool_use", "scripted")


async def rows(shop: Shop) -> AsyncIterator[Row]:
    """Beside the same requests raw, which neither decode, nor write, nor decide anything."""
    raw = KeepAlive(shop)
    try:
        learning = await Learning.begin(shop)
        _check(await _analysed(shop, learning))
        requests = raw.prepare(learning.seen)
        ours = partial(_whole, shop)
        whole, bare = await interleaved(ours, partial(raw.send, requests), rounds=_ROUNDS)
        yield Row("an analysis with 10 tool calls", whole, told(requests), bare, Under(0.5))
    finally:
        raw.close()


async def _whole(shop: Shop) -> None:
    _check(await _analysed(shop, await Connection.open(shop.settings)))


async def _analysed(shop: Shop, connection: Connection) -> Session:
    run = await begin(
        f"Update {NAME} to nginx:1.20 with zero downtime",
        namespace="",
        source=Source(connection, ScriptedModel(_turns(), name="bench")),
        knowledge=NoKnowledge(),
        directory=shop.folder / "sessions",
        settings=shop.settings,
        live=lambda _: None,
    )
    try:
        await run.analyse()
        return run.session
    finally:
        await run.close()


def _check(session: Session) -> None:
    """It was what it should be: every call answered well, and a plan that can be approved."""
    assert session.outcome is Outcome.PROPOSAL
    assert [t.state for t in session.tools] == ["ok"] * (_CALLS + 1), session.tools
    assert session.digest

"""Whatever a model says, the analysis ends in a state that holds, and names no unchecked step.

Everything is real but the model's words: the journal, the toolbox, and a connection to an address
where nobody listens, so that a call whose arguments happen to be right fails as on a bad network.
"""

from __future__ import annotations

import os
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from dotai_nb.cluster.connection import Connection
from dotai_nb.cluster.identities import Identities
from dotai_nb.cluster.kubeconfig import Access, Cluster, User
from dotai_nb.errors import DotAiError
from dotai_nb.knowledge.source import NoKnowledge
from dotai_nb.llm.conversation import Answer, Text, Thinking, ToolUse
from dotai_nb.llm.scripted import ScriptedModel
from dotai_nb.session.approval import plan_digest
from dotai_nb.session.store import load
from dotai_nb.session.values import Accepted, NotAllowed, Outcome, Refused, Status, Usage
from dotai_nb.settings import Settings
from dotai_nb.workflow import operate as live
from dotai_nb.workflow.source import Source
from dotai_nb.workflow.tools import TOOLS
from tests.unit.sessions import create_step, delete_step, refused_step, update_step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from dotai_nb.llm.conversation import Block
    from dotai_nb.session.session import Session

OUTPUTS = 10_000 if os.environ.get("DOTAI_TEST_FULL") else 1_000
PARTS = 10
TURNS = 12
"""Outputs of one session at most; a proposal that stands ends it earlier."""

WORDS = (
    "", " ", "pods", "Secret", "../..", "$(id)", "a\nb", "</cluster-data>", "«redacted»", "$patch",
    "\x00", "\u202e", "\ufffd", "proposal", "no_change_needed", "high", "passed", "x" * 5_000,
)  # fmt: skip
SHAPES: dict[str, Any] = {
    "propose": {
        "outcome": "proposal",
        "summary": "s",
        "observations": [{"text": "t", "calls": [1]}],
        "steps": [{"step": 2, "reason": "r"}, {"step": 3, "reason": "r"}],
        "risk": {"level": "low", "reasons": ["r"]},
        "validation_intent": "v",
    },
    "conclude": {"verdict": "passed", "summary": "s"},
    "kubectl_get": {"resource": "pods", "namespace": "shop"},
    "kubectl_logs": {"pod": "p", "tail": 5},
    "kubectl_patch_dryrun": {"resource": "deploy", "name": "n", "patch": {"spec": {}}},
    "kubectl_apply_dryrun": {
        "manifest": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "n"}}
    },
    "kubectl_scale_dryrun": {"resource": "deploy", "name": "n", "replicas": 3, "replaces": [2]},
}


class Garbage:
    """Random turns, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._calls = 0

    def value(self, depth: int = 0) -> Any:
        roll = self._random.random()
        if depth > 3 or roll < 0.6:
            plain = (None, True, 0, 1, 2, 3, 4, 9, -1, 1.5, 10**30, 1e308, [], {})
            return self._random.choice((*plain, *WORDS))
        if roll < 0.8:
            return [self.value(depth + 1) for _ in range(self._random.randrange(4))]
        return {
            self._random.choice(WORDS): self.value(depth + 1)
            for _ in range(self._random.randrange(4))
        }

    def nested(self) -> Any:
        value: Any = 1
        for level in range(self._random.choice((50, 150, 300, 600))):
            value = {"a": value} if level % 2 else [value]
        return value

    def changed(self, shape: Any) -> Any:
        """The shape with something in it that does not belong there, most of the time."""
        if self._random.random() < 0.15:
            return self.value()
        if isinstance(shape, dict):
            kept = {k: self.changed(v) for k, v in shape.items() if self._random.random() < 0.97}
            return kept if self._random.random() < 0.95 else {**kept, "extra": self.value()}
        if isinstance(shape, list):
            items = [self.changed(item) for item in shape]
            return items if self._random.random() < 0.9 else items + items
        return self._random.choice((shape, shape, self.value(depth=4)))

    def arguments(self, name: str) -> Any:
        roll = self._random.random()
        if roll < 0.15:
            return self.value()
        if name == "propose" and roll < 0.5:
            return self.proposal()
        shape = SHAPES.get(name, {})
        return shape if roll < 0.6 else self.changed(shape)

    def proposal(self) -> Any:
        """Well formed; what it names may be there or not."""
        count = self._random.choice((0, 1, 1, 2, 3))
        numbers = [self._random.choice((0, 1, 2, 2, 3, 3, 4, 4, 5)) for _ in range(count)]
        calls = [self._random.choice((0, 1, 1, 1, 2, 3))]
        return {
            **SHAPES["propose"],
            "steps": [{"step": number, "reason": "r"} for number in numbers],
            "observations": [{"text": "t", "calls": calls}],
        }

    def block(self) -> Block:
        roll = self._random.random()
        if roll < 0.15:
            return Text(self._random.choice(WORDS) + ".")
        if roll < 0.25:
            return Thinking(self._random.choice(WORDS), signature="sig")
        names = ("propose",) * 12 + (*SHAPES, *TOOLS, *WORDS)
        name = self._random.choice(names)
        # Now and then an id comes again, as from servers that count anew in every turn.
        self._calls += self._random.random() > 0.01
        arguments = self.arguments(name)
        if self._random.random() < 0.05:
            arguments = {"manifest": self.nested(), "steps": self.nested()}
        return ToolUse(f"call_{self._calls}", name, arguments)

    def turn(self) -> Answer:
        blocks = tuple(self.block() for _ in range(self._random.randrange(4)))
        stops = ("tool_use", "tool_use", "end_turn", "max_tokens", "pause_turn", "")
        stop = "refusal" if self._random.random() < 0.05 else self._random.choice(stops)
        return Answer(blocks, stop, "garbage", Usage(output=1))


@pytest.fixture
def nobody(unused_port: int) -> Access:
    """A cluster that does not answer."""
    server = f"http://127.0.0.1:{unused_port}"
    return Access("nowhere", "shop", Cluster(server=server), User())


@asynccontextmanager
async def analysed(
    answers: Iterable[Answer], access: Access, folder: Path
) -> AsyncIterator[tuple[live.Run, Exception | None]]:
    """A run that has heard these turns, beside four steps: one refused, three accepted."""
    settings = Settings.model_validate({})
    source = Source(
        Connection(settings, Identities(access, access)),
        ScriptedModel(tuple(answers), name="garbage"),
    )
    run = await live.begin(
        "x", namespace="shop", source=source, knowledge=NoKnowledge(), directory=folder,
        settings=settings, live=lambda _: None,
    )  # fmt: skip
    for step in (refused_step(), update_step(), create_step(), delete_step()):
        run.journal.append(step)
    caught: Exception | None = None
    try:
        await run.analyse()
    except Exception as error:  # noqa: BLE001 - which one it was is what is asked
        caught = error
    try:
        yield run, caught
    finally:
        await run.close()


def check_proposal(session: Session) -> None:
    """Every step is one of the session's own, in a state that may be proposed."""
    numbers = [planned.step for planned, _ in session.planned]
    assert len(set(numbers)) == len(numbers) > 0
    assert {1, 2, 3, 4} >= set(numbers)
    evidence = [checked.evidence for _, checked in session.planned]
    assert all(isinstance(e, Accepted | NotAllowed) for e in evidence)
    assert not any(isinstance(e, Refused) for e in evidence)
    plan = [checked for _, checked in session.planned]
    assert session.digest == plan_digest(session.started.fingerprint, plan)
    ids = {tool.called.call_id for tool in session.tools}
    assert session.analysis is not None
    assert {call for seen in session.analysis.observations for call in seen.calls} <= ids


def check_end(session: Session, error: Exception | None) -> None:
    assert error is None or isinstance(error, DotAiError), repr(error)
    if session.status is Status.ANALYSIS_COMPLETE:
        assert error is None
        assert all(tool.finished for tool in session.tools), "every call is answered"
        if session.outcome is Outcome.PROPOSAL:
            check_proposal(session)
        else:
            assert (session.planned, session.digest) == ((), "")
    else:
        assert session.status is Status.FAILED
        assert error is not None
        assert session.failure is not None
        assert session.failure.message


@pytest.mark.parametrize("part", range(PARTS))
async def test_garbage_ends_in_a_typed_state_and_proposes_no_unchecked_step(
    part: int, nobody: Access, tmp_path: Path
) -> None:
    heard = 0
    seen: set[str | None] = set()
    seed = part * 100_000
    while heard < OUTPUTS / PARTS:
        seed += 1
        garbage = Garbage(seed)
        answers = [garbage.turn() for _ in range(TURNS)]
        async with analysed(answers, nobody, tmp_path) as (run, error):
            session = run.session
            check_end(session, error)
        heard += len(session.turns)
        seen.add(session.outcome)
        loaded = load(run.path).session
        assert (loaded.head, loaded.at_rest) == (session.head, True)
        assert not list(tmp_path.glob("*.jsonl"))
    assert {Outcome.PROPOSAL, Outcome.FAILED} <= seen, "what is told apart did occur"


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([1], "Step 1 was refused"),
        ([9], "There is no step 9"),
        ([2, 2], "named twice"),
        ([0], "There is no step 0"),
        ([2, 10**30], "There is no step 1000"),
        ([], "needs steps"),
    ],
)
async def test_a_step_that_the_server_did_not_accept_is_never_in_a_proposal(
    steps: list[int], why: str, nobody: Access, tmp_path: Path
) -> None:
    named = [{"step": n, "reason": "r"} for n in steps]
    wrong = {**SHAPES["propose"], "steps": named}
    turns = [
        Answer((ToolUse("c1", "kubectl_get", {}),), "tool_use", "m"),
        Answer((ToolUse("c2", "propose", wrong),), "tool_use", "m"),
    ]
    async with analysed(turns, nobody, tmp_path) as (run, error):
        assert isinstance(error, DotAiError)
        assert run.session.planned == ()
        told = run.session.tools[1].finished
    assert told is not None
    assert not told.ok
    assert why in told.output


async def test_the_values_of_a_secret_that_a_model_writes_are_not_kept(
    nobody: Access, tmp_path: Path
) -> None:
    canary = "hunter2-canary"
    manifest = {"apiVersion": "v1", "kind": "Secret", "stringData": {"p": canary}}
    text = f"apiVersion: v1\nkind: Secret\nstringData:\n  p: {canary}\n"
    given: list[Any] = [
        {"manifest": manifest},
        {"manifest": text},
        {"manifest": {"kind": "List", "items": [manifest]}},
        {"yaml": manifest},
        f'{{"manifest": {{"kind": "Secret", "stringData": {{"p": "{canary}"',
        {"resource": "secret/db", "name": "db", "patch": {"stringData": {"p": canary}}},
        {"resource": "Secrets.v1.", "name": "db", "patch": [{"op": "add", "value": canary}]},
    ]
    calls = tuple(ToolUse(f"c{n}", "kubectl_apply_dryrun", each) for n, each in enumerate(given))
    async with analysed([Answer(calls, "tool_use", "m")], nobody, tmp_path) as (run, _):
        assert len(run.session.tools) == len(given)
        assert all(tool.finished for tool in run.session.tools)
    assert canary not in run.path.read_text()

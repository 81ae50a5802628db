"""Recorded turns: given again, and read back from a session's events."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotai_nb.errors import RecordingEnded
from dotai_nb.llm.conversation import Answer, Conversation, Text, Thinking, ToolUse
from dotai_nb.llm.encoding import Deltas, encodable
from dotai_nb.llm.retrying import Backoff
from dotai_nb.llm.scripted import ScriptedModel, answers_of
from dotai_nb.session.events import (
    Event,
    ModelRetried,
    Noted,
    Recorded,
    TextSaid,
    Thought,
    ToolCalled,
    ToolFinished,
    TurnFinished,
    TurnStarted,
)
from dotai_nb.session.values import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dotai_nb.llm.conversation import Block

EMPTY = Conversation("", (), ())

words = st.text(max_size=30)
counts = st.integers(min_value=0, max_value=2**40)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | words
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
blocks = st.one_of(
    st.builds(Text, words),
    st.builds(Thinking, words, words, words),
    st.builds(ToolUse, words, words, json_values),
)
answers = st.builds(
    Answer,
    blocks=st.lists(blocks, max_size=5).map(tuple),
    stop_reason=st.sampled_from(["end_turn", "tool_use", "refusal"]),
    model=words,
    usage=st.builds(Usage, input=counts, output=counts, cache_read=counts, cache_write=counts),
    request_id=words,
)


class Scribe:
    """Writes a turn down the way a session does."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.turn = 0
        self.shown = ""

    def delta(self, text: str) -> None:
        self.shown += text

    def block(self, block: Block) -> None:
        self.events.append(event_of(self.turn, block))

    def retrying(self, attempt: int, wait: float, error: str, request_id: str) -> None:
        self.events.append(
            ModelRetried(
                turn=self.turn, attempt=attempt, wait=wait, error=error, request_id=request_id
            )
        )

    def begin(self) -> None:
        self.turn += 1
        self.events.append(TurnStarted(turn=self.turn, purpose="investigate"))

    def end(self, answer: Answer) -> None:
        self.events.append(
            TurnFinished(
                turn=self.turn,
                stop_reason=answer.stop_reason,
                model=answer.model,
                usage=answer.usage,
                request_id=answer.request_id,
            )
        )

    def recorded(self) -> list[Recorded]:
        """The events as they come out of a file."""
        chain: list[Recorded] = []
        for event in self.events:
            chain.append(Recorded.after(chain[-1] if chain else None, event, datetime.now(UTC)))
        return [Recorded.model_validate_json(entry.model_dump_json()) for entry in chain]


def event_of(turn: int, block: Block) -> Event:
    match block:
        case Text(text):
            return TextSaid(turn=turn, text=text)
        case Thinking(text, signature, redacted):
            return Thought(turn=turn, text=text, signature=signature, redacted=redacted)
        case ToolUse(call_id, name, arguments):
            return ToolCalled(turn=turn, call_id=call_id, name=name, arguments=arguments)


@given(st.lists(st.tuples(answers, st.lists(blocks, max_size=3)), max_size=4))
def test_a_session_gives_back_the_answers_it_was_recorded_from(
    turns: list[tuple[Answer, list[Block]]],
) -> None:
    scribe = Scribe()
    for answer, voided in turns:
        scribe.begin()
        if voided:
            for block in voided:
                scribe.block(block)
            scribe.retrying(1, 0.5, "cut", "")
        for block in answer.blocks:
            scribe.block(block)
        scribe.end(answer)
        scribe.events.append(ToolFinished(call_id="x", ok=True, output="{}", duration_ms=1))
        scribe.events.append(Noted(message="between the turns"))
    assert answers_of(scribe.recorded()) == tuple(answer for answer, _ in turns)


@given(st.lists(answers, max_size=4))
def test_a_replayed_session_records_the_same_answers_again(script: list[Answer]) -> None:
    scribe = Scribe()
    asyncio.run(replay(script, scribe))
    assert answers_of(scribe.recorded()) == tuple(script)
    assert scribe.shown == "".join(
        b.text for answer in script for b in answer.blocks if isinstance(b, Text)
    )


async def replay(script: Sequence[Answer], scribe: Scribe) -> None:
    model = ScriptedModel(script, name="again")
    for _ in script:
        scribe.begin()
        scribe.end(await model.turn(EMPTY, scribe))


def test_a_turn_that_never_finished_is_no_answer() -> None:
    scribe = Scribe()
    scribe.begin()
    scribe.block(Text("I begin"))
    assert answers_of(scribe.recorded()) == ()


async def test_words_come_in_small_pieces_before_their_block() -> None:
    heard: list[str | Block] = []

    class Order(Scribe):
        def delta(self, text: str) -> None:
            heard.append(text)

        def block(self, block: Block) -> None:
            heard.append(block)

    said = Answer((Text("a" * 25), ToolUse("t1", "get", {})), "tool_use", "m")
    await ScriptedModel([said], name="r").turn(EMPTY, Order())
    assert heard == ["a" * 12, "a" * 12, "a", *said.blocks]


async def test_a_recording_that_has_ended_says_after_which_turn() -> None:
    model = ScriptedModel([Answer((), "end_turn", "m")], name="zero-downtime")
    await model.turn(EMPTY, Scribe())
    with pytest.raises(RecordingEnded, match="'zero-downtime' ended after turn 1"):
        await model.turn(EMPTY, Scribe())


async def test_a_cancelled_turn_is_given_again() -> None:
    said = Answer((Text("word " * 50),), "end_turn", "m")
    model = ScriptedModel([said], name="r", pace=60)
    turn = asyncio.create_task(model.turn(EMPTY, Scribe()))
    await asyncio.sleep(0)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    model._pace = 0
    assert await model.turn(EMPTY, Scribe()) == said


def test_a_scripted_model_sends_nothing_anywhere() -> None:
    model = ScriptedModel([], name="r")
    assert (model.provider, model.endpoint) == ("recording", "")


any_text = st.text(alphabet=st.characters(), max_size=20) | st.lists(
    st.sampled_from(["\ud83d", "\ude00", "a", "😀"]), max_size=8
).map("".join)


@given(any_text)
def test_encodable_text_is_utf8_and_leaves_good_text_alone(text: str) -> None:
    written = encodable(text)
    assert written.encode().decode() == written
    assert encodable(written) == written
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert written == text


@given(st.lists(any_text, max_size=6))
def test_pieces_of_a_text_add_up_to_it(pieces: list[str]) -> None:
    deltas = Deltas()
    shown = "".join(deltas.feed(piece) for piece in pieces)
    whole: str = encodable("".join(pieces))
    shown.encode()  # raises for half a pair
    assert whole in (shown, f"{shown}\ufffd")  # half a pair at the very end is not shown


@given(
    st.integers(min_value=1, max_value=20), st.floats(min_value=0, max_value=1, exclude_max=True)
)
def test_waits_double_up_to_a_limit_and_jitter_only_shortens_them(
    attempt: int, chance: float
) -> None:
    wait = Backoff(10, first=1, longest=30, chance=lambda: chance).wait(attempt)
    full = min(30.0, 2.0 ** (attempt - 1))
    assert full / 2 <= wait <= full


def test_what_the_provider_asks_for_counts() -> None:
    assert Backoff(1).wait(1, retry_after=90.0) == 90.0
    assert Backoff(1).wait(5, retry_after=0.0) == 0.0

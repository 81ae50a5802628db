"""Turns through the real SDK: what is heard, what comes back."""

from __future__ import annotations

import asyncio

import pytest

from dotai_nb.llm.conversation import Answer, Asked, Conversation, Text, Thinking, ToolUse
from dotai_nb.session.values import Usage
from tests.wire.listening import ASKED, Heard, model
from tests.wire.provider import (
    Streamed,
    begun,
    block,
    call,
    ended,
    flat,
    provider,
    said,
    text,
)

THOUGHT = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "Look "},
    {"type": "thinking_delta", "thinking": "first."},
    {"type": "signature_delta", "signature": "c2ln"},
)


async def test_a_text_turn_streams_and_comes_back_whole() -> None:
    async with provider(said("Noth", "ing ", "runs.")) as server:
        heard = Heard()
        answer = await model(server.url).turn(ASKED, heard)
    assert heard.deltas == ["Noth", "ing ", "runs."]
    assert answer == Answer(
        blocks=(Text("Nothing runs."),),
        stop_reason="end_turn",
        model="claude-opus-5-5",
        usage=Usage(input=10, output=5),
        request_id="req_1",
    )
    assert heard.blocks == list(answer.blocks)


async def test_parallel_calls_and_thinking_keep_their_order() -> None:
    again = block(4, {"type": "redacted_thinking", "data": "b3BhcXVl"})
    events = flat(
        begun(), THOUGHT, text(1, "Both."), call(2, "toolu_1", "get", '{"na', 'me": "web"}'),
        call(3, "toolu_2", "list"), again, ended("tool_use"),
    )  # fmt: skip
    async with provider(Streamed(events)) as server:
        heard = Heard()
        answer = await model(server.url).turn(ASKED, heard)
    assert answer.blocks == (
        Thinking("Look first.", signature="c2ln"),
        Text("Both."),
        ToolUse("toolu_1", "get", {"name": "web"}),
        ToolUse("toolu_2", "list", {}),
        Thinking("", redacted="b3BhcXVl"),
    )
    assert heard.blocks == list(answer.blocks)
    assert heard.deltas == ["Both."]
    assert answer.stop_reason == "tool_use"


async def test_thinking_goes_back_as_it_came() -> None:
    first = Streamed(flat(begun(), THOUGHT, text(1, "Done."), ended()))
    async with provider(first, said("Yes.")) as server:
        asked = model(server.url)
        answer = await asked.turn(ASKED, Heard())
        more = Conversation(ASKED.system, (), (*ASKED.said, answer, Asked("Sure?")))
        await asked.turn(more, Heard())
    assert server.requests[1].body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Look first.", "signature": "c2ln"},
        {"type": "text", "text": "Done."},
    ]


@pytest.mark.parametrize(
    "written",
    ['{"name": "web"', "web", '{"n": NaN}', '{"n": 1e999}', "[" * 100_000, '{"a": 1} {"b": 2}'],
    ids=["cut off", "prose", "a constant", "infinite", "too deep", "two values"],
)
async def test_arguments_that_are_not_json_come_back_as_they_were_written(written: str) -> None:
    events = flat(begun(), call(0, "toolu_1", "get", written[:5], written[5:]), ended("tool_use"))
    async with provider(Streamed(events)) as server:
        answer = await model(server.url).turn(ASKED, Heard())
    assert answer.calls == (ToolUse("toolu_1", "get", written),)


async def test_arguments_keep_exact_integers_and_may_be_given_at_the_start() -> None:
    given = {"type": "tool_use", "id": "t2", "name": "get", "input": {"name": "web"}}
    big = call(0, "t1", "get", '{"n": 12345678901234567890}')
    events = flat(begun(), big, block(1, given), ended("tool_use"))
    async with provider(Streamed(events)) as server:
        answer = await model(server.url).turn(ASKED, Heard())
    assert [use.arguments for use in answer.calls] == [
        {"n": 12345678901234567890},
        {"name": "web"},
    ]


@pytest.mark.parametrize("reason", ["refusal", "max_tokens", "pause_turn", "of_a_later_version"])
async def test_stop_reasons_are_passed_through(reason: str) -> None:
    async with provider(said("I ", stop_reason=reason)) as server:
        answer = await model(server.url).turn(ASKED, Heard())
    assert answer.stop_reason == reason


async def test_a_refusal_may_have_no_words_at_all() -> None:
    async with provider(Streamed(flat(begun(), ended("refusal")))) as server:
        answer = await model(server.url).turn(ASKED, Heard())
    assert (answer.blocks, answer.stop_reason) == ((), "refusal")


async def test_empty_texts_and_unknown_things_are_dropped() -> None:
    later = block(2, {"type": "hologram", "shape": "cube"}, {"type": "hologram_delta", "z": 1})
    ping, unknown = {"type": "ping"}, {"type": "weather_report", "rain": True}
    events = flat(
        begun(), ping, text(0), text(1, " ", "\n"), unknown, later, text(3, "Hi"), ended()
    )
    async with provider(Streamed(events)) as server:
        heard = Heard()
        answer = await model(server.url).turn(ASKED, heard)
    assert answer.blocks == (Text("Hi"),)
    assert heard.blocks == [Text("Hi")]


async def test_a_surrogate_pair_cut_in_two_is_joined_and_a_lone_half_replaced() -> None:
    pieces = ("go \ud83d", "\ude00 on", " \ud83d", "!\udc00", " end \ud83d")
    written = call(1, "toolu_1", "get", '{"a": "\\ud83d', '\\ude00", "b": "\\udc00"}')
    async with provider(Streamed(flat(begun(), text(0, *pieces), written, ended()))) as server:
        heard = Heard()
        answer = await model(server.url).turn(ASKED, heard)
    assert answer.blocks == (
        Text("go 😀 on \ufffd!\ufffd end \ufffd"),
        ToolUse("toolu_1", "get", {"a": "😀", "b": "\ufffd"}),
    )
    assert "".join(heard.deltas) == "go 😀 on \ufffd!\ufffd end "
    assert all(delta.encode() for delta in heard.deltas)


async def test_usage_counts_what_the_cache_gave_and_took() -> None:
    start = begun(cache_read_input_tokens=900, cache_creation_input_tokens=30)
    end = ended(output_tokens=42, input_tokens=12)
    async with provider(Streamed(flat(start, text(0, "Hi"), end))) as server:
        answer = await model(server.url).turn(ASKED, Heard())
    assert answer.usage == Usage(input=12, output=42, cache_read=900, cache_write=30)


async def test_cancelling_in_mid_stream_closes_the_connection() -> None:
    held = Streamed([begun(), *text(0, "Still here")[:-1]], end="held")
    async with provider(held) as server:
        listener = Signalling()
        turn = asyncio.create_task(model(server.url).turn(ASKED, listener))
        await listener.spoken.wait()
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        await asyncio.wait_for(server.hung_up.wait(), timeout=10)
    assert listener.blocks == []
    assert listener.retries == []


class Signalling(Heard):
    def __init__(self) -> None:
        super().__init__()
        self.spoken = asyncio.Event()

    def delta(self, text: str) -> None:
        super().delta(text)
        self.spoken.set()


def test_a_model_is_usable_on_one_loop_after_another() -> None:
    async def serve_one() -> str:
        async with provider(said("Hi"), said("again")) as server:
            asked._url = server.url  # the same model, at the next server
            first = await asked.turn(ASKED, Heard())
            second = await asked.turn(ASKED, Heard())
            return f"{first.text} {second.text}"

    asked = model("http://127.0.0.1:1")
    assert [asyncio.run(serve_one()), asyncio.run(serve_one())] == ["Hi again", "Hi again"]


async def test_what_the_listener_raises_is_not_taken_for_the_providers_fault() -> None:
    class Broken(Heard):
        def delta(self, text: str) -> None:
            raise ValueError(f"no room for {text!r}")

    async with provider(said("Hi")) as server:
        with pytest.raises(ValueError, match="no room for"):
            await model(server.url).turn(ASKED, Broken())
    assert len(server.requests) == 1

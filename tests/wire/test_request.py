"""What goes over the wire, to the letter."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from dotai_nb.llm.conversation import (
    Answer,
    Asked,
    Conversation,
    Text,
    Thinking,
    ToolResult,
    ToolSchema,
    ToolUse,
)
from tests.wire.listening import KEY, Heard, model
from tests.wire.provider import Request, provider, said

MARK = {"cache_control": {"type": "ephemeral"}}

GET = ToolSchema("get", "Reads an object.", {"type": "object", "properties": {}})
PROPOSE = ToolSchema("propose", "Concludes.", {"type": "object"})

LOOKED = Answer(
    blocks=(
        Thinking("Two things to read.", signature="c2ln"),
        Thinking("", redacted="b3BhcXVl"),
        Text("Reading both."),
        ToolUse("toolu_1", "get", {"name": "web", "deep": {"n": 12345678901234567890}}),
        ToolUse("toolu_2", "get", {"name": "db"}),
    ),
    stop_reason="tool_use",
    model="claude-opus-5-5",
)
ANSWERED = Asked(
    "Go on.", (ToolResult("toolu_2", "no such object", ok=False), ToolResult("toolu_1", "{}"))
)


async def sent(conversation: Conversation, **options: Any) -> Request:
    async with provider(said("fine")) as server:
        asked = model(server.url, **options)
        await asked.turn(conversation, Heard())
        await asked.close()
    return server.requests[0]


async def test_a_whole_conversation_is_sent_as_the_provider_wants_it() -> None:
    said_so_far = (Asked("Update web."), LOOKED, ANSWERED)
    request = await sent(Conversation("You operate Kubernetes.", (GET, PROPOSE), said_so_far))
    assert request.body == {
        "model": "claude-opus-5-5",
        "max_tokens": 32_000,
        "stream": True,
        "thinking": {"type": "adaptive", "display": "summarized"},
        "system": [{"type": "text", "text": "You operate Kubernetes.", **MARK}],
        "tools": [
            {"name": "get", "description": "Reads an object.",
             "input_schema": {"type": "object", "properties": {}}},
            {"name": "propose", "description": "Concludes.",
             "input_schema": {"type": "object"}, **MARK},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Update web.", **MARK}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Two things to read.", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "b3BhcXVl"},
                {"type": "text", "text": "Reading both."},
                {"type": "tool_use", "id": "toolu_1", "name": "get",
                 "input": {"name": "web", "deep": {"n": 12345678901234567890}}},
                {"type": "tool_use", "id": "toolu_2", "name": "get", "input": {"name": "db"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "no such object",
                 "is_error": True},
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "{}"},
                {"type": "text", "text": "Go on.", **MARK},
            ]},
        ],
    }  # fmt: skip
    assert request.headers["Authorization"] == f"Bearer {KEY}"


async def test_a_call_is_not_forced_because_current_models_refuse_that() -> None:
    asked = (Asked("Conclude now by calling propose."),)
    free = Conversation("", (PROPOSE,), asked)
    forced = Conversation("", (PROPOSE,), asked, must_call="propose")
    assert "tool_choice" not in (await sent(forced)).body
    assert (await sent(forced)).body == (await sent(free)).body


async def test_what_was_sent_before_is_sent_again_unchanged() -> None:
    first = Conversation("Be brief.", (GET,), (Asked("Update web."),))
    second = Conversation("Be brief.", (GET,), (*first.said, LOOKED, ANSWERED))
    third = Conversation("Be brief.", (GET,), (*second.said, LOOKED, ANSWERED), must_call="get")
    bodies = [unmarked((await sent(c)).body) for c in (first, second, third)]
    for earlier, later in pairwise(bodies):
        assert {**later, "messages": later["messages"][: len(earlier["messages"])]} == earlier


def unmarked(value: Any) -> Any:
    """Without the cache's marks, which are no part of what the model reads."""
    match value:
        case dict():
            return {k: unmarked(v) for k, v in value.items() if k != "cache_control"}
        case list():
            return [unmarked(item) for item in value]
        case _:
            return value


@pytest.mark.parametrize("number", [1, 3, 30])
async def test_no_more_marks_are_set_than_the_provider_allows(number: int) -> None:
    turns = (Asked("Update web."), *((LOOKED, ANSWERED) * number))
    body = (await sent(Conversation("Be brief.", (GET, PROPOSE), turns))).body
    assert str(body).count("cache_control") == 4


async def test_blocks_that_the_provider_refuses_are_left_out() -> None:
    blank = Answer((Text("  \n"), Text("")), "end_turn", "m")
    silent = Asked("", (ToolResult("toolu_1", ""),))
    body = (await sent(Conversation("", (), (Asked("Hello."), blank, silent)))).body
    assert unmarked(body["messages"]) == [
        {"role": "user", "content": [{"type": "text", "text": "Hello."}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1"}]},
    ]
    assert "system" not in body
    assert "tools" not in body


async def test_arguments_that_are_no_object_go_back_wrapped() -> None:
    answer = Answer((ToolUse("t1", "get", '{"name": "we'), ToolUse("t2", "get", [1])), "x", "m")
    results = (ToolResult("t1", "not JSON", ok=False), ToolResult("t2", "no list", ok=False))
    body = (await sent(Conversation("", (), (Asked("Hi."), answer, Asked("", results))))).body
    inputs = [block["input"] for block in body["messages"][1]["content"]]
    assert inputs == [{"INVALID_JSON": '{"name": "we'}, {"INVALID_JSON": [1]}]


async def test_lone_surrogates_are_replaced_everywhere() -> None:
    answer = Answer((Text("a\ud83d"), ToolUse("t1", "get", {"\udc00": ["\ud83d\ude00"]})), "x", "m")
    asked = Asked("b\udfff", (ToolResult("t1", "c\ud800"),))
    body = (await sent(Conversation("d\udbff", (), (Asked("Hi."), answer, asked)))).body
    spoken, used = body["messages"][1]["content"]
    result, words = body["messages"][2]["content"]
    assert body["system"][0]["text"] == "d\ufffd"
    assert spoken["text"] == "a\ufffd"
    assert used["input"] == {"\ufffd": ["😀"]}
    assert (result["content"], words["text"]) == ("c\ufffd", "b\ufffd")


@pytest.mark.parametrize("name", ["claude-haiku-4-5", "claude-opus-4-5-20251101"])
async def test_models_that_refuse_adaptive_thinking_are_asked_without(name: str) -> None:
    body = (await sent(Conversation("", (), (Asked("Hi."),)), ai_model=name)).body
    assert body["model"] == name
    assert "thinking" not in body

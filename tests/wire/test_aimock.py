"""Whole operations scripted over the wire: aimock, the SDK and our adapter together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dotai_nb.errors import ModelRejected, ModelUnavailable
from dotai_nb.llm.catalogue import model_for
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
from dotai_nb.session.canonical import readable
from dotai_nb.session.events import Event, Recorded, TextSaid, TurnFinished, TurnStarted
from dotai_nb.session.values import Usage
from tests.wire.aimock import fixtures_for
from tests.wire.listening import ASKED, Heard, Waits, model, settings

if TYPE_CHECKING:
    from tests.wire.fixtures import Aimock

LOOK = Answer(
    blocks=(
        Thinking("What is there?", signature="c2ln"),
        Text("I look at both, é 😀😀."),
        ToolUse("toolu_1", "get", {"name": "web", "label": "größe 😀"}),
        ToolUse("toolu_2", "get", {"name": "db", "n": 9007199254740991}),
    ),
    stop_reason="tool_use",
    model="claude-opus-5-5",
    usage=Usage(input=1200, output=80),
)
DONE = Answer((Text("All is well."),), "end_turn", "claude-opus-5-5", Usage(input=1500, output=9))


def unnumbered(answer: Answer) -> Answer:
    """Without the id that the server makes up."""
    return Answer(answer.blocks, answer.stop_reason, answer.model, answer.usage)


async def test_scripted_turns_come_back_as_they_were_written(aimock: Aimock) -> None:
    server = aimock(fixtures_for([LOOK, DONE]))
    asked = model_for(settings(server.url))
    tools = (ToolSchema("get", "Reads.", {"type": "object"}),)
    first = Conversation("Be brief.", tools, (Asked("What runs here?"),))
    heard = Heard()
    look = await asked.turn(first, heard)
    results = tuple(ToolResult(use.call_id, "{}") for use in look.calls)
    done = await asked.turn(
        Conversation("Be brief.", tools, (*first.said, look, Asked("", results))), heard
    )
    await asked.close()
    assert [unnumbered(look), unnumbered(done)] == [LOOK, DONE]
    assert look.request_id.startswith("req-")
    assert "".join(heard.deltas) == "I look at both, é 😀😀.All is well."
    assert len(heard.deltas) > 4
    assert all(delta.encode() for delta in heard.deltas)


async def test_the_journal_shows_the_results_in_the_order_of_the_calls(aimock: Aimock) -> None:
    server = aimock(fixtures_for([DONE]))
    results = (ToolResult("toolu_1", "one"), ToolResult("toolu_2", "two"))
    await model(server.url).turn(
        Conversation("Be brief.", (), (Asked("Look."), LOOK, Asked("", results))), Heard()
    )
    (entry,) = server.journal()
    assert entry["response"]["status"] == 200
    assert [(m["role"], m.get("tool_call_id")) for m in entry["body"]["messages"]] == [
        ("system", None),
        ("user", None),
        ("assistant", None),
        ("tool", "toolu_1"),
        ("tool", "toolu_2"),
    ]


async def test_a_second_conversation_goes_on_in_the_script(aimock: Aimock) -> None:
    server = aimock(fixtures_for([LOOK, DONE]))
    asked = model(server.url)
    assert (await asked.turn(ASKED, Heard())).stop_reason == "tool_use"
    assert (await asked.turn(ASKED, Heard())).text == "All is well."


async def test_a_rate_limit_in_the_script_is_waited_out(aimock: Aimock) -> None:
    error = {"error": {"message": "Slow down.", "type": "rate_limit_error"}, "status": 429}
    limited = {"match": {"sequenceIndex": 0}, "response": error | {"retryAfter": 3}}
    (done,) = fixtures_for([DONE])
    server = aimock([limited, done | {"match": {"sequenceIndex": 1}}])
    heard, waits = Heard(), Waits()
    answer = await model(server.url, waits=waits).turn(ASKED, heard)
    assert answer.text == "All is well."
    assert waits.seconds == [3.0]
    assert [entry["response"]["status"] for entry in server.journal()] == [429, 200]


async def test_more_turns_than_are_scripted_are_an_error(aimock: Aimock) -> None:
    server = aimock(fixtures_for([DONE]))
    asked = model(server.url, retries=0)
    await asked.turn(ASKED, Heard())
    with pytest.raises(ModelUnavailable, match="answered 503"):
        await asked.turn(ASKED, Heard())


async def test_a_refused_key_in_the_script_is_told(aimock: Aimock) -> None:
    error = {"error": {"message": "no", "type": "authentication_error"}, "status": 401}
    server = aimock([{"match": {}, "response": error}])
    with pytest.raises(ModelRejected, match="Check ANTHROPIC_API_KEY"):
        await model(server.url).turn(ASKED, Heard())


def test_arguments_that_are_not_json_cannot_be_scripted() -> None:
    garbage = Answer((ToolUse("toolu_1", "get", '{"name'),), "tool_use", "m")
    with pytest.raises(ValueError, match="can't send what is not JSON"):
        fixtures_for([garbage])


def test_a_server_is_gone_after_its_test(aimock_installed: None) -> None:
    from tests.wire.aimock import serve

    with serve(fixtures_for([DONE])) as server:
        assert server.journal() == []
    with pytest.raises(urllib.error.URLError):
        server.journal()


def test_a_recorded_session_is_served_by_hand(aimock_installed: None, tmp_path: Path) -> None:
    session = tmp_path / "session.json"
    session.write_bytes(readable({"events": [entry.line() for entry in recorded()]}))
    command: list[str | Path] = [sys.executable, "-m", "tests.wire.aimock", "--answers", session]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        number, _, _, url = process.stdout.readline().split()
        with urllib.request.urlopen(f"{url}/__aimock/journal", timeout=10) as answer:  # noqa: S310 - http, ours
            assert answer.read() == b"[]"
        os.kill(process.pid, signal.SIGTERM)
        assert process.stdout.readline() == "stopped\n"
    assert number == "1"
    assert process.returncode == 0


def recorded() -> list[Recorded]:
    events: list[Event] = [
        TurnStarted(turn=1, purpose="investigate"),
        TextSaid(turn=1, text="All is well."),
        TurnFinished(turn=1, stop_reason="end_turn", model="claude-opus-5-5"),
    ]
    chain: list[Recorded] = []
    for event in events:
        chain.append(Recorded.after(chain[-1] if chain else None, event, datetime.now(UTC)))
    return chain

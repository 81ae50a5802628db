"""What can go wrong at a provider, and what a person is told."""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
import traceback

import pytest

from dotai_nb.errors import ModelRejected, ModelStreamCut, ModelUnavailable
from dotai_nb.llm.anthropic import AnthropicModel
from dotai_nb.llm.conversation import Text
from tests.wire.listening import ASKED, KEY, Heard, Waits, model, settings
from tests.wire.provider import (
    Refusal,
    Streamed,
    begun,
    block,
    ended,
    failing,
    provider,
    said,
    text,
)  # fmt: skip

BUSY = Refusal(529, "overloaded_error", "Overloaded")
LIMITED = Refusal(429, "rate_limit_error", "Slow down.", {"retry-after": "7"})
PARTIAL = [begun(), *text(0, "I begin to"), *text(1, "and then")[:-1]]


async def test_a_rate_limit_is_waited_out_as_long_as_the_provider_says() -> None:
    async with provider(LIMITED, said("Hi")) as server:
        heard, waits = Heard(), Waits()
        answer = await model(server.url, waits=waits).turn(ASKED, heard)
    assert answer.text == "Hi"
    assert waits.seconds == [7.0]
    expected = f"{server.url} answered 429 for claude-opus-5-5: Slow down."
    assert heard.retries == [(1, 7.0, expected, "req_1")]
    assert [request.body for request in server.requests] == [server.requests[0].body] * 2


async def test_an_overloaded_provider_is_given_up_after_the_retries() -> None:
    async with provider(*[BUSY] * 4) as server:
        heard, waits = Heard(), Waits()
        with pytest.raises(ModelUnavailable) as raised:
            await model(server.url, retries=3, waits=waits).turn(ASKED, heard)
    assert waits.seconds == [1.0, 2.0, 4.0]
    assert [attempt for attempt, *_ in heard.retries] == [1, 2, 3]
    assert len(server.requests) == 4
    assert str(raised.value) == (
        f"{server.url} answered 529 for claude-opus-5-5: Overloaded. "
        "It was tried 3 times more. Wait a few minutes, then start again."
    )
    assert raised.value.request_id == "req_4"


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504])
async def test_what_may_pass_is_tried_again(status: int) -> None:
    async with provider(Refusal(status, "api_error", "Oops"), said("Hi")) as server:
        assert (await model(server.url).turn(ASKED, Heard())).text == "Hi"


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        (Refusal(400, "invalid_request_error", "No."), "what it refused"),
        (Refusal(402, "billing_error", "No."), "billing"),
        (Refusal(403, "permission_error", "No."), "another model, or another key"),
        (Refusal(413, "request_too_large", "No."), "DOT_AI_OUTPUT_TOKENS"),
        (Refusal(418, "teapot_error", "No."), "what it refused"),
        (Refusal(500, "api_error", "No.", {"x-should-retry": "false"}), "what it refused"),
        (
            Refusal(
                429, "rate_limit_error", "No.",
                details={"error_code": "enforced_spend_limit_reached"},
            ),
            "spend limit",
        ),
    ],
)  # fmt: skip
async def test_what_will_not_pass_is_said_at_once(refusal: Refusal, advice: str) -> None:
    async with provider(refusal) as server:
        heard = Heard()
        with pytest.raises(ModelRejected) as raised:
            await model(server.url).turn(ASKED, heard)
    assert heard.retries == []
    assert raised.value.message == (
        f"{server.url} answered {refusal.status} for claude-opus-5-5: No."
    )
    assert advice in raised.value.hint
    assert raised.value.request_id == "req_1"


async def test_an_unknown_model_is_told_by_its_name() -> None:
    async with provider(Refusal(404, "not_found_error", "model: claude-nought")) as server:
        with pytest.raises(ModelRejected) as raised:
            await model(server.url, ai_model="claude-nought").turn(ASKED, Heard())
    assert str(raised.value) == (
        f"{server.url} answered 404 for claude-nought: model: claude-nought. "
        "Check the model's name in AI_MODEL, and the URL in ANTHROPIC_BASE_URL."
    )


async def test_a_wrong_key_is_told_without_showing_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with provider(Refusal(401, "authentication_error", f"invalid key {KEY}")) as server:
        asked = model(server.url)
        with pytest.raises(ModelRejected) as raised:
            await asked.turn(ASKED, Heard())
    assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert "Check ANTHROPIC_API_KEY" in str(raised.value)
    shown = [str(raised.value), repr(raised.value), repr(asked), caplog.text]
    shown += traceback.format_exception(raised.value)
    shown.append(str(pickle.dumps(raised.value)))
    assert KEY not in "\n".join(shown)


async def test_a_stream_cut_in_its_middle_is_asked_for_again_and_its_blocks_are_void() -> None:
    async with provider(Streamed(PARTIAL, end="cut"), said("Whole.")) as server:
        heard = Heard()
        answer = await model(server.url).turn(ASKED, heard)
    assert heard.deltas == ["I begin to", "and then", "Whole."]
    assert heard.blocks == [Text("Whole.")] == list(answer.blocks)
    ((attempt, wait, error, request_id),) = heard.retries
    assert (attempt, wait, request_id) == (1, 1.0, "req_1")
    assert error.startswith("The stream of claude-opus-5-5 was cut: ")


@pytest.mark.parametrize(
    "parts",
    [
        PARTIAL,
        [begun()],
        [],
        [*PARTIAL, "event: content_block_delta\ndata: {not json\n\n"],
        [begun(), "event: content_block_start\ndata: {}\n\n"],
        [begun(), 'event: content_block_stop\ndata: {"type":"content_block_stop","index":9}\n\n'],
        ["<html>Please log in</html>"],
        [begun(), *block(0, {"type": "tool_use", "id": "t", "name": None, "input": {}})],
        [begun(), *block(0, {"type": "tool_use", "id": 7, "name": "n", "input": {}})],
        [begun(), *ended(stop_reason=7)],  # type: ignore[arg-type]
    ],
    ids=[
        "open block",
        "start",
        "nothing",
        "bad json",
        "no fields",
        "no such block",
        "html",
        "no name",
        "no id",
        "no reason",
    ],
)
async def test_a_stream_that_ends_early_or_is_garbage_is_never_taken_for_a_turn(
    parts: list[dict[str, object] | str],
) -> None:
    async with provider(*[Streamed(parts)] * 3) as server:
        heard = Heard()
        with pytest.raises(ModelStreamCut) as raised:
            await model(server.url, retries=2).turn(ASKED, heard)
    assert len(server.requests) == 3
    assert heard.blocks == [] or len(heard.retries) == 2
    assert "It was tried 2 times more." in raised.value.message
    assert raised.value.request_id == "req_3"


async def test_an_error_in_mid_stream_counts_as_what_it_says() -> None:
    busy = Streamed([*PARTIAL, failing("overloaded_error", "Overloaded")])
    refused = Streamed([*PARTIAL, failing("invalid_request_error", "Too long")])
    async with provider(busy, refused) as server:
        heard = Heard()
        with pytest.raises(ModelRejected, match="answered 400 for claude-opus-5-5: Too long"):
            await model(server.url).turn(ASKED, heard)
    ((_, _, error, _),) = heard.retries
    assert error == f"{server.url} answered 529 for claude-opus-5-5: Overloaded."


async def test_a_port_where_nobody_listens_is_tried_again_then_told() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        heard = Heard()
        with pytest.raises(ModelUnavailable, match=f"{url} can't be reached") as raised:
            await model(url, retries=2).turn(ASKED, heard)
    assert len(heard.retries) == 2
    assert "ANTHROPIC_BASE_URL" in raised.value.hint


async def test_a_turn_that_takes_too_long_is_ended() -> None:
    async with provider(Streamed(PARTIAL, end="held")) as server:
        with pytest.raises(ModelUnavailable, match=r"no whole turn within 1 seconds") as raised:
            await model(server.url, model_timeout=1).turn(ASKED, Heard())
        await asyncio.wait_for(server.hung_up.wait(), timeout=10)
    assert "DOT_AI_MODEL_TIMEOUT" in raised.value.hint


async def test_the_settings_say_how_often_to_try() -> None:
    async with provider(BUSY) as server:
        asked = AnthropicModel(settings(server.url, model_retries=0))
        with pytest.raises(ModelUnavailable) as raised:
            await asked.turn(ASKED, Heard())
        await asked.close()
    assert "tried" not in raised.value.message

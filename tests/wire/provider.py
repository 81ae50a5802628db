"""A provider on a loopback port that says exactly what a test scripts, faults included.

For what aimock does not do: it keeps each request as it came over the wire, and it can end a
stream in its middle, hold it open, or send what is not a stream at all.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

Event = dict[str, Any]


@dataclass(frozen=True)
class Refusal:
    """An answer with an error status, in the provider's form."""

    status: int
    type: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    details: dict[str, str] | None = None


@dataclass(frozen=True)
class Streamed:
    """A stream of events, or of raw text between them, and how it ends."""

    parts: Sequence[Event | str]
    end: Literal["whole", "cut", "held"] = "whole"


@dataclass(frozen=True)
class Request:
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass
class Provider:
    """What was asked, and what will be answered; one reply a request, in order."""

    url: str
    replies: list[Refusal | Streamed]
    requests: list[Request] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(Request(dict(request.headers), await request.json()))
        number = len(self.requests)
        reply = self.replies[number - 1]
        headers = {"request-id": f"req_{number}"}
        if isinstance(reply, Refusal):
            error: dict[str, Any] = {"type": reply.type, "message": reply.message}
            if reply.details:
                error["details"] = reply.details
            return web.json_response(
                {"type": "error", "error": error},
                status=reply.status,
                headers=headers | dict(reply.headers),
            )
        return await self._stream(request, reply, headers)

    async def _stream(
        self, request: web.Request, reply: Streamed, headers: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers | {"content-type": "text/event-stream"})
        await response.prepare(request)
        for part in reply.parts:
            text = part if isinstance(part, str) else sse(part)
            await response.write(text.encode("utf-8", "surrogatepass"))
        if reply.end == "cut":
            assert request.transport is not None
            request.transport.abort()
        elif reply.end == "held":
            try:
                await asyncio.Event().wait()
            finally:
                self.hung_up.set()
        return response


@asynccontextmanager
async def provider(*replies: Refusal | Streamed) -> AsyncIterator[Provider]:
    """Serve these replies on a free port; stop at the end."""
    served = Provider("", list(replies))
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/v1/messages", served.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        served.url = f"http://{host}:{port}"
        yield served
    finally:
        await runner.cleanup()


def sse(event: Event) -> str:
    """One event as it stands in the stream."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


def begun(model: str = "claude-opus-5-5", **usage: int) -> Event:
    counted = {"input_tokens": 10, "output_tokens": 1} | usage
    message: Event = {
        "id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": model,
        "stop_reason": None, "stop_sequence": None, "usage": counted,
    }  # fmt: skip
    return {"type": "message_start", "message": message}


def block(index: int, start: Event, *deltas: Event) -> list[Event]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": d} for d in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(index: int, *pieces: str) -> list[Event]:
    deltas = ({"type": "text_delta", "text": piece} for piece in pieces)
    return block(index, {"type": "text", "text": ""}, *deltas)


def call(index: int, call_id: str, name: str, *pieces: str) -> list[Event]:
    deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
    return block(index, {"type": "tool_use", "id": call_id, "name": name, "input": {}}, *deltas)


def ended(stop_reason: str = "end_turn", **usage: int) -> list[Event]:
    counted = {"output_tokens": 5} | usage
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return [
        {"type": "message_delta", "delta": delta, "usage": counted},
        {"type": "message_stop"},
    ]


def said(*pieces: str, stop_reason: str = "end_turn") -> Streamed:
    """A whole turn of one text."""
    return Streamed([begun(), *text(0, *pieces), *ended(stop_reason)])


def failing(kind: str, message: str) -> Event:
    """An error in mid-stream."""
    return {"type": "error", "error": {"type": kind, "message": message}}


def flat(*groups: Iterable[Event] | Event) -> list[Event]:
    return [e for group in groups for e in ([group] if isinstance(group, dict) else group)]

"""The events of a Messages stream, gathered into blocks.

Gathered here rather than by the SDK's `messages.stream()`: that one parses a tool's arguments
while they are incomplete. It raises in the middle of the turn when they are not JSON, and where
`max_tokens` cut them off it closes the brackets itself and hands them out as if they were whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from dotai_nb.llm.conversation import Answer, Block, Text, Thinking, ToolUse
from dotai_nb.llm.encoding import Deltas, encodable
from dotai_nb.llm.nesting import too_deep
from dotai_nb.session.values import Usage

if TYPE_CHECKING:
    from anthropic.types import RawMessageStreamEvent


@dataclass(slots=True)
class _Open:
    """A block that has begun: its kind, what it began with, and its pieces so far."""

    start: Any
    pieces: list[str] = field(default_factory=list)
    signature: str = ""
    deltas: Deltas = field(default_factory=Deltas)

    @property
    def joined(self) -> str:
        return "".join(self.pieces)


class StreamedTurn:
    """One turn as it arrives. Feed it every event, then ask for the answer."""

    def __init__(self, request_id: str = "") -> None:
        self.request_id = request_id
        self._open: dict[int, _Open] = {}
        self._blocks: list[Block] = []
        self._model = ""
        self._stop_reason = ""
        self._tokens: dict[str, int] = {}

    @property
    def whole(self) -> bool:
        """Whether the provider said why it stopped, and every block is closed."""
        return bool(self._stop_reason) and not self._open

    def answer(self) -> Answer:
        """The turn, once it is whole."""
        return Answer(
            blocks=tuple(self._blocks),
            stop_reason=self._stop_reason,
            model=self._model,
            usage=Usage(**self._tokens),
            request_id=self.request_id,
        )

    def hear(self, event: RawMessageStreamEvent) -> str | Block | None:
        """Take in one event.

        Returns:
            A piece of text to show, a block that is now whole, or None.

        Raises:
            AttributeError, LookupError, TypeError: the event is not of the form of its type.
        """
        match event.type:
            case "message_start":
                self._model = _word(event.message.model)
                self._count(event.message.usage)
            case "content_block_start":
                return self._begin(event.index, event.content_block)
            case "content_block_delta":
                return _extend(self._open[event.index], event.delta)
            case "content_block_stop":
                return self._end(self._open.pop(event.index))
            case "message_delta":
                self._stop_reason = _word(event.delta.stop_reason or self._stop_reason)
                self._count(event.usage)
            case _:  # message_stop, and whatever later versions add
                pass
        return None

    def _begin(self, index: int, block: Any) -> str | None:
        self._open[index] = opened = _Open(block)
        # Gateways may begin a block with all or some of its text.
        first = {"text": "text", "thinking": "thinking"}.get(block.type)
        if first is None:
            return None
        opened.signature = getattr(block, "signature", None) or ""
        opened.pieces.append(getattr(block, first) or "")
        return opened.deltas.feed(opened.joined) or None if first == "text" else None

    def _end(self, opened: _Open) -> Block | None:
        block = _whole(opened)
        if block is not None:
            self._blocks.append(block)
        return block

    def _count(self, usage: Any) -> None:
        # The counts of a message_delta are totals, and what it leaves out still stands.
        for ours, theirs in _TOKENS.items():
            count = getattr(usage, theirs, None)
            if count is not None:
                self._tokens[ours] = int(count)


_TOKENS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_write": "cache_creation_input_tokens",
}


def _extend(opened: _Open, delta: Any) -> str | None:
    match delta.type:
        case "text_delta":
            opened.pieces.append(delta.text)
            return opened.deltas.feed(delta.text) or None
        case "thinking_delta":
            opened.pieces.append(delta.thinking)
        case "input_json_delta":
            opened.pieces.append(delta.partial_json)
        case "signature_delta":
            opened.signature = delta.signature
        case _:  # citations: of documents, which we don't send
            pass
    return None


def _whole(opened: _Open) -> Block | None:
    match opened.start.type:
        case "text":
            text = encodable(opened.joined)
            return Text(text) if text.strip() else None
        case "thinking":
            return Thinking(encodable(opened.joined), signature=_word(opened.signature))
        case "redacted_thinking":
            return Thinking("", redacted=_word(opened.start.data))
        case "tool_use":
            name = encodable(_word(opened.start.name))
            return ToolUse(_word(opened.start.id), name, encodable(_arguments(opened)))
        case _:  # tools that run at the provider: we declare none
            return None


def _arguments(opened: _Open) -> Any:
    text = opened.joined
    if not text.strip():
        return opened.start.input or {}
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return text
    return text if too_deep(value) else value


def _word(value: Any) -> str:
    """A string, which the SDK says it is and never checks."""
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a string belongs")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    if not isfinite(value):
        raise ValueError(f"{number} is too large to be written again")
    return value

"""What passes between us and a model, whoever the provider is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from dotai_nb.session.canonical import JsonObject  # noqa: TC001 - used in dataclass fields
from dotai_nb.session.values import Usage


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """A tool as the model sees it; `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: JsonObject


@dataclass(frozen=True, slots=True)
class Text:
    """Words."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """Reasoning; given back to the provider unchanged."""

    text: str
    signature: str = ""
    redacted: str = ""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call. `arguments` is whatever JSON the model gave; its raw text if it was not JSON."""

    call_id: str
    name: str
    arguments: Any


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The answer to a call, to the letter."""

    call_id: str
    output: str
    ok: bool = True


Block = Text | Thinking | ToolUse


@dataclass(frozen=True, slots=True)
class Asked:
    """What we say: text, or answers to tool calls, or both (answers first)."""

    text: str = ""
    results: tuple[ToolResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole turn of the model.

    Attributes:
        stop_reason: as the provider says it: `end_turn`, `tool_use`, `max_tokens`, `refusal`, …
        model: the model that answered.
    """

    blocks: tuple[Block, ...]
    stop_reason: str
    model: str
    usage: Usage = field(default_factory=Usage)
    request_id: str = ""

    @property
    def calls(self) -> tuple[ToolUse, ...]:
        """The tool calls, in order."""
        return tuple(b for b in self.blocks if isinstance(b, ToolUse))

    @property
    def text(self) -> str:
        """The words, joined."""
        return "\n\n".join(b.text for b in self.blocks if isinstance(b, Text))


@dataclass(frozen=True, slots=True)
class Conversation:
    """System prompt, tools, and what was said so far, ours and the model's in turn.

    Attributes:
        must_call: name of the one tool the model has to call in this turn; empty for its choice.
            Not every provider can force a call, so what was said last has to ask for it too.
    """

    system: str
    tools: tuple[ToolSchema, ...]
    said: tuple[Asked | Answer, ...]
    must_call: str = ""


class Listener(Protocol):
    """Hears a turn while it streams. All methods are called on the model's event loop."""

    def delta(self, text: str) -> None:
        """A piece of text arrived; live only."""

    def block(self, block: Block) -> None:
        """A content block is whole."""

    def retrying(self, attempt: int, wait: float, error: str, request_id: str) -> None:
        """The request failed and will be made again after `wait` seconds; blocks are void."""


class Model(Protocol):
    """A model that takes turns. Cancelling the task that awaits `turn` ends the request.

    Attributes:
        provider: `anthropic`, …, or `recording`.
        name: the model asked for.
        endpoint: the URL that is sent data; empty when nothing is sent anywhere.
    """

    provider: str
    name: str
    endpoint: str

    async def turn(self, conversation: Conversation, listener: Listener) -> Answer:
        """The model's next turn, streamed to `listener`, returned whole.

        Raises:
            ModelRejected: the provider will not answer this request.
            ModelUnavailable: still no answer after the retries.
            ModelStreamCut: the stream ended early, still so after the retries.
        """

    async def close(self) -> None:
        """Let go of connections; called on the loop that used them."""

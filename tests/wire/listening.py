"""A listener that keeps what it hears, and the settings and waits of the wire tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dotai_nb.llm.anthropic import AnthropicModel
from dotai_nb.llm.conversation import Asked, Conversation
from dotai_nb.llm.retrying import Backoff
from dotai_nb.settings import Settings

if TYPE_CHECKING:
    from dotai_nb.llm.conversation import Block

KEY = "sk-ant-test-5e1f0c9a"

ASKED = Conversation("Be brief.", (), (Asked("What runs here?"),))


@dataclass
class Heard:
    """Everything a turn told, in order; `blocks` are those that no retry voided."""

    deltas: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    retries: list[tuple[int, float, str, str]] = field(default_factory=list)

    def delta(self, text: str) -> None:
        self.deltas.append(text)

    def block(self, block: Block) -> None:
        self.blocks.append(block)

    def retrying(self, attempt: int, wait: float, error: str, request_id: str) -> None:
        self.blocks.clear()
        self.retries.append((attempt, wait, error, request_id))


@dataclass
class Waits:
    """Remembers each wait instead of waiting."""

    seconds: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def settings(url: str, **others: Any) -> Settings:
    """Settings of a model at that URL, whatever the environment says."""
    given = {"anthropic_api_key": KEY, "anthropic_base_url": url, "ai_model": ""} | others
    return Settings(**given)


def model(
    url: str, *, retries: int = 2, waits: Waits | None = None, **others: Any
) -> AnthropicModel:
    """A model that does not wait before it asks again."""
    backoff = Backoff(retries, sleep=waits or Waits(), chance=lambda: 0.0)
    return AnthropicModel(settings(url, **others), backoff=backoff)

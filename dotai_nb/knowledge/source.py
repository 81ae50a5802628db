"""What the organisation and the cluster know, as the workflow asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Fact:
    """A pattern, a policy or a capability, with the id by which a proposal may name it."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Known:
    """What was found for an intent.

    Attributes:
        note: one sentence for the panel and the session: what was searched, or why nothing was.
    """

    note: str
    patterns: tuple[Fact, ...] = ()
    policies: tuple[Fact, ...] = ()
    capabilities: tuple[Fact, ...] = ()


class Knowledge(Protocol):
    """A source of patterns, policies and capabilities."""

    async def about(self, intent: str) -> Known:
        """What bears on an intent: at most 5 patterns, 5 policies and 50 capabilities."""


class NoKnowledge:
    """Nothing is stored: operating goes on, and the panel says so."""

    async def about(self, intent: str) -> Known:
        """Nothing, with the sentence that says it."""
        del intent
        return Known("No patterns, policies or capabilities are set up; the plan rests on none.")

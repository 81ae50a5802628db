"""A model that repeats turns it was given: for recordings, and for tests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dotai_nb.errors import RecordingEnded
from dotai_nb.llm.conversation import Answer, Text, Thinking, ToolUse
from dotai_nb.session.events import (
    ModelRetried,
    TextSaid,
    Thought,
    ToolCalled,
    TurnFinished,
    TurnStarted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dotai_nb.llm.conversation import Block, Conversation, Listener
    from dotai_nb.session.events import Recorded

_PIECE = 12
"""Characters of a delta; about what providers send."""


class ScriptedModel:
    """Gives whole turns in their order, streaming their words; asks nobody anything.

    Attributes:
        provider: `recording`.
        name: the recording's, or whatever says where the turns come from.
        endpoint: empty, as nothing is sent anywhere.
    """

    endpoint = ""

    def __init__(
        self,
        answers: Sequence[Answer],
        *,
        name: str,
        provider: str = "recording",
        pace: float = 0,
    ) -> None:
        """`pace` is the time between two deltas, in seconds."""
        self.provider = provider
        self.name = name
        self._answers = tuple(answers)
        self._given = 0
        self._pace = pace

    async def turn(self, conversation: Conversation, listener: Listener) -> Answer:  # noqa: ARG002 - the protocol's
        """The next turn. A turn that was cancelled is given again.

        Raises:
            RecordingEnded: all turns were given.
        """
        if self._given == len(self._answers):
            raise RecordingEnded(
                f"The {self.provider} {self.name!r} ended after turn {self._given}.",
                hint="Record the operation again, or set a key to ask a live model.",
            )
        answer = self._answers[self._given]
        for block in answer.blocks:
            if isinstance(block, Text):
                for piece in _pieces(block.text):
                    # At pace 0 too: whoever shows or cancels the turn gets to run in between.
                    await asyncio.sleep(self._pace)
                    listener.delta(piece)
            listener.block(block)
        self._given += 1
        return answer

    async def close(self) -> None:
        """Nothing to close."""


def _pieces(text: str) -> Iterator[str]:
    return (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))


def answers_of(recorded: Iterable[Recorded]) -> tuple[Answer, ...]:
    """The model's finished turns in a session, as it gave them.

    Blocks that a retry voided, and a turn that never finished, are left out.
    """
    answers: list[Answer] = []
    blocks: list[Block] = []
    for entry in recorded:
        match entry.event:
            case TurnStarted() | ModelRetried():
                blocks = []
            case TextSaid(text=text):
                blocks.append(Text(text))
            case Thought(text=text, signature=signature, redacted=redacted):
                blocks.append(Thinking(text, signature, redacted))
            case ToolCalled(call_id=call_id, name=name, arguments=arguments):
                blocks.append(ToolUse(call_id, name, arguments))
            case TurnFinished() as done:
                answers.append(
                    Answer(
                        blocks=tuple(blocks),
                        stop_reason=done.stop_reason,
                        model=done.model,
                        usage=done.usage,
                        request_id=done.request_id,
                    )
                )
                blocks = []
            case _:
                pass
    return tuple(answers)

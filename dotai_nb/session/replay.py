"""A recorded session, told again the way it happened.

Who listens hears the same as in a live run: events in their order, and before each text its
pieces. Nothing is sent anywhere.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from dotai_nb.session.events import (
    AnalysisFinished,
    Approved,
    ExecutionStarted,
    Recorded,
    Refined,
    TextDelta,
    TextSaid,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from dotai_nb.session.values import Approval

LONGEST_PAUSE = 2.0
"""Seconds of recorded time between two events that are kept; a person's reading is skipped."""


async def replay(
    recorded: Sequence[Recorded],
    hear: Callable[[Recorded | TextDelta], None],
    *,
    pace: float = 0.0,
) -> None:
    """Tell these events in their order; a text's pieces come before it, spread over its time.

    Args:
        recorded: a whole session, or one of its `stages`.
        hear: called on the running loop; what it raises ends the replay.
        pace: 1.0 takes the time it took (pauses of at most 2 s), 0.5 half of it, 0.0 none; the
            loop gets its turn between any two calls also then.
    """
    before: datetime | None = None
    for entry in recorded:
        pause = (entry.at - before).total_seconds() if before else 0.0
        seconds = min(max(pause, 0.0), LONGEST_PAUSE) * pace
        before = entry.at
        pieces = _pieces(entry)
        for piece in pieces:
            await asyncio.sleep(seconds / len(pieces))
            hear(piece)
        await asyncio.sleep(0 if pieces else seconds)
        hear(entry)


def stages(
    recorded: Sequence[Recorded],
) -> tuple[tuple[Recorded, ...], tuple[Recorded, ...]]:
    """The analysis (with all that was refined), and what came of approving it.

    The second is empty when nothing was approved or executed after the last analysis.
    """
    concluded = _last(recorded, AnalysisFinished)
    for position in range(concluded + 1, len(recorded)):
        if isinstance(recorded[position].event, Approved | ExecutionStarted):
            return tuple(recorded[:position]), tuple(recorded[position:])
    return tuple(recorded), ()


def recorded_approval(recorded: Sequence[Recorded]) -> Approval | None:
    """The approval that holds at the end, or that the execution used; None if there is none."""
    for position in range(len(recorded) - 1, _last(recorded, Refined), -1):
        event = recorded[position].event
        if isinstance(event, Approved):
            return event.approval
    return None


def _last(recorded: Sequence[Recorded], kind: type[AnalysisFinished | Refined]) -> int:
    """The position of the last event of that kind; -1 if there is none."""
    positions = (n for n in range(len(recorded) - 1, -1, -1) if isinstance(recorded[n].event, kind))
    return next(positions, -1)


def _pieces(entry: Recorded) -> tuple[TextDelta, ...]:
    """A text in pieces of about a word, as providers send it; joined they are the text."""
    event = entry.event
    if not isinstance(event, TextSaid):
        return ()
    words = re.findall(r"\S+\s*|\s+", event.text)
    return tuple(TextDelta(turn=event.turn, text=word) for word in words)

"""A door whose operations play sample sessions: real events, folded, on the package's real loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotai_nb import portal
from dotai_nb.session.events import (
    AnalysisFinished,
    Approved,
    CancelRequested,
    Event,
    Failed,
    Recorded,
    Refined,
    SessionStarted,
    TextDelta,
    TextSaid,
)
from dotai_nb.session.fold import advance
from dotai_nb.session.values import Approval, Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dotai_nb.session.session import Session


class Played:
    """An operation that says what a sample session says, event by event.

    Args:
        recorded: the sample; what follows its analysis is played by `execute`.
        pace: seconds between events.
    """

    def __init__(
        self,
        recorded: Sequence[Recorded],
        hear: Callable[[Any], None],
        *,
        pace: float = 0.0,
        replayed: bool = False,
    ) -> None:
        events = [entry.event for entry in recorded]
        ends = [i for i, e in enumerate(events) if isinstance(e, AnalysisFinished | Failed)]
        self.path = Path("/notebooks/operate.sessions") / "opr-1767225600000-0a1b2c3d.json"
        self.replayed = replayed
        self.busy = True
        self._ears = [hear]
        self._pace = pace
        self._analysis = events[: ends[0] + 1]
        self._rest = [e for e in events[ends[0] + 1 :] if not isinstance(e, Approved)]
        self._last: Recorded | None = None
        self._session: Session | None = None
        self._say(self._analysis[0])
        self._work = asyncio.ensure_future(self._play(self._analysis[1:]))

    @property
    def session(self) -> Session:
        assert self._session is not None
        return self._session

    def subscribe(self, hear: Callable[[Any], None]) -> Callable[[], None]:
        self._ears.append(hear)
        return lambda: self._ears.remove(hear)

    def approve(self, digest: str = "", *, how: Any = "button") -> Approval:
        now = datetime.now(UTC)
        approval = Approval(
            digest=digest, by="ada", how=how, approved_at=now, expires_at=now + timedelta(minutes=9)
        )
        portal.call(lambda: self._say(Approved(approval=approval)))
        return approval

    async def analysed(self) -> None:
        await asyncio.wait({self._work})
        if not self._work.cancelled():
            self._work.result()

    async def execute(self, on_error: str = "continue") -> None:  # noqa: ARG002 - the Protocol's
        self.busy = True
        await self._play(self._rest)

    async def refine(self, text: str) -> None:
        self.busy = True
        self._say(Refined(text=text))
        assert isinstance(self._analysis[-1], AnalysisFinished)
        await self._play([self._analysis[-1]])

    def cancel(self) -> None:
        def stop() -> None:
            if self.session.status is Status.ANALYZING:
                self._work.cancel()
                self.busy = False
                self._say(Failed(outcome=Outcome.CANCELLED, error="Cancelled", message="By ada."))
            elif self.session.status is Status.EXECUTING:
                self._say(CancelRequested(by="ada"))

        portal.call(stop)

    async def _play(self, events: Sequence[Event]) -> None:
        for event in events:
            await asyncio.sleep(self._pace)
            if isinstance(event, TextSaid) and self._pace:
                await self._stream(event)
            self._say(event)
        self.busy = False

    async def _stream(self, event: TextSaid) -> None:
        for word in event.text.split(" "):
            self._tell(TextDelta(turn=event.turn, text=word + " "))
            await asyncio.sleep(self._pace / 5)

    def _say(self, event: Event) -> None:
        self._last = Recorded.after(self._last, event, datetime.now(UTC))
        self._session = advance(self._session, self._last)
        self._tell(self._last)

    def _tell(self, heard: Any) -> None:
        for ear in tuple(self._ears):
            ear(heard)


@dataclass
class Around:
    contexts: tuple[str, ...] = ("kind-shop", "staging")
    current: str = "kind-shop"
    model: str = "claude-sonnet-5"
    endpoint: str = "https://api.anthropic.com"
    has_key: bool = True
    key_variable: str = "ANTHROPIC_API_KEY"
    recordings: dict[str, str] = field(default_factory=lambda: {"zero-downtime": "Update my-api"})
    problem: str = ""


@dataclass
class PlayedDoor:
    """Opens played operations.

    Attributes:
        sample: what each of them plays.
        refuse: what `start` raises instead.
        given: the keyword arguments of each start.
    """

    sample: Sequence[Recorded]
    pace: float = 0.0
    replayed: bool = False
    around: Around = field(default_factory=Around)
    refuse: Exception | None = None
    given: list[dict[str, Any]] = field(default_factory=list)
    delay: float = 0.0

    async def start(self, intent: str, *, hear: Any = None, **chosen: Any) -> Played:
        self.given.append({"intent": intent, **chosen})
        await asyncio.sleep(self.delay)
        if self.refuse:
            raise self.refuse
        first, *rest = self.sample
        assert isinstance(first.event, SessionStarted)
        return Played((first, *rest), hear, pace=self.pace, replayed=self.replayed)

    async def plan(self, steps: str, *, hear: Any = None, **chosen: Any) -> Played:
        self.given.append({"steps": steps, **chosen})
        return Played(self.sample, hear, pace=self.pace)

    def about(self, settings: Any = None) -> Around:  # noqa: ARG002 - the Protocol's
        return self.around

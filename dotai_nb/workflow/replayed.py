"""An operation from its file alone: the same events again, and nothing is sent anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotai_nb.errors import NotExecutable
from dotai_nb.session import replay
from dotai_nb.session.events import Recorded
from dotai_nb.session.fold import advance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dotai_nb.session.events import TextDelta
    from dotai_nb.session.session import Session
    from dotai_nb.session.values import Approval
    from dotai_nb.workflow.approving import How
    from dotai_nb.workflow.execute import OnError


class Replay:
    """Plays a recorded session in two parts: the analysis, and then what followed the approval.

    Args:
        pace: 1.0 takes the time it took, 0.0 none.
    """

    replayed = True

    def __init__(
        self,
        path: Path,
        recorded: Sequence[Recorded],
        *,
        pace: float,
        hear: Callable[[Recorded | TextDelta], None],
    ) -> None:
        self.path = path
        self._analysis, self._rest = replay.stages(recorded)
        self._approval = replay.recorded_approval(recorded)
        self._pace = pace
        self._hear = hear
        self._session = advance(None, self._analysis[0])

    @property
    def session(self) -> Session:
        """As far as it has been played."""
        return self._session

    async def analyse(self) -> None:
        """Play the analysis."""
        self._hear(self._analysis[0])
        await replay.replay(self._analysis[1:], self._play, pace=self._pace)

    def approve(self, given: str, how: How) -> Approval:
        """The recorded approval; `given` and `how` are of no consequence in a replay.

        Raises:
            NotExecutable: the recording has none.
        """
        del given, how
        if self._approval is None:
            raise NotExecutable(
                f"The recording {self.path.stem} ends without an approval.",
                hint="Set a model's key, or use `make practice`, to run an operation.",
            )
        return self._approval

    async def execute(self, on_error: OnError) -> None:
        """Play what followed the approval.

        Raises:
            NotExecutable: the recording ends before, or was played to its end.
        """
        del on_error
        if not self._rest:
            raise NotExecutable(
                f"The recording {self.path.stem} ends here; nothing was executed in it, "
                "or it has been played to its end."
            )
        rest, self._rest = self._rest, ()
        await replay.replay(rest, self._play, pace=self._pace)

    async def refine(self, text: str) -> None:
        """A recording can't be refined.

        Raises:
            NotExecutable: always, with what to do instead.
        """
        del text
        raise NotExecutable(
            "A replay can't be refined: no model is asked.",
            hint="Set a model's key and start the operation anew.",
        )

    def cancel(self) -> None:
        """Nothing runs that could do harm; what is left can be played on."""

    async def close(self) -> None:
        """Nothing is held."""

    def _play(self, heard: Recorded | TextDelta) -> None:
        if isinstance(heard, Recorded):
            self._session = advance(self._session, heard)
        self._hear(heard)


class Stored(Replay):
    """A session opened from its file, as far as it went: to look at, never to execute."""

    def __init__(self, path: Path, recorded: Sequence[Recorded]) -> None:
        super().__init__(path, recorded, pace=0, hear=lambda _: None)
        for entry in (*self._analysis[1:], *self._rest):
            self._session = advance(self._session, entry)
        self._rest = ()

    def approve(self, given: str, how: How) -> Approval:
        """Never: an approval is not honoured when it comes from a file.

        Raises:
            NotExecutable: with how to go on.
        """
        del given, how
        raise self._refusal()

    async def execute(self, on_error: OnError) -> None:
        """Never.

        Raises:
            NotExecutable: with how to go on.
        """
        del on_error
        raise self._refusal()

    def _refusal(self) -> NotExecutable:
        renewed = "`await op.renew()` starts a new one with fresh evidence that continues it."
        by_hand = "Give its steps to `dotai_nb.plan` again, for fresh evidence and a new review."
        return NotExecutable(
            f"{self._session.id} was loaded from a file, and such a session is never executed.",
            hint=by_hand if self._session.started.by_hand else renewed,
        )

"""What stands behind an operation: an engine that moves its session, a hub that tells of it."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from dotai_nb import portal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dotai_nb.session.events import Recorded, TextDelta
    from dotai_nb.session.session import Session
    from dotai_nb.session.values import Approval
    from dotai_nb.workflow.approving import How
    from dotai_nb.workflow.execute import OnError

    Hear = Callable[[Recorded | TextDelta], None]


class Engine(Protocol):
    """What moves a session: a live run, a replay, or a file that only shows."""

    replayed: bool

    @property
    def session(self) -> Session:
        """As it stands now."""

    @property
    def path(self) -> Path:
        """Of its file."""

    async def analyse(self) -> None:
        """To a conclusion, or a failure that the session tells."""

    async def refine(self, text: str) -> None:
        """Analyse again, with more said."""

    async def execute(self, on_error: OnError) -> None:
        """To a verdict."""

    def approve(self, given: str, how: How) -> Approval:
        """Bind a yes to the digest given."""

    def cancel(self) -> None:
        """Send no further step."""

    async def close(self) -> None:
        """Let go of what it holds; may be called again."""


_open: WeakSet[Engine] = WeakSet()


def keep(engine: Engine) -> None:
    """Close it when Python ends, if nobody did before."""
    _open.add(engine)


@atexit.register
def _close_all() -> None:
    for engine in tuple(_open):
        portal.wait(engine.close())


class Hub:
    """Passes what happens on to whoever listens, in order, on the package's loop."""

    def __init__(self) -> None:
        self._ears: tuple[Hear, ...] = ()

    def __call__(self, heard: Recorded | TextDelta) -> None:
        """Tell everyone."""
        for ear in self._ears:
            ear(heard)

    def add(self, ear: Hear) -> Callable[[], None]:
        """Listen from now on; the returned function ends it."""
        self._ears = (*self._ears, ear)
        return lambda: self._drop(ear)

    def _drop(self, ear: Hear) -> None:
        self._ears = tuple(other for other in self._ears if other is not ear)

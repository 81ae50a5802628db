"""Paints on the package's loop: soon after a change, never more than 20 times a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotai_nb import portal

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable

INTERVAL = 0.05
"""Seconds between paints: a Jupyter server drops comm messages above 1,000 a second."""

TICK = 1.0
"""Seconds between paints when nothing happens but time."""


class Pulse:
    """Calls `paint` after marks, and every second for as long as it returns True.

    Args:
        paint: paints everything that has changed; True while something runs. It must not raise.
    """

    def __init__(self, paint: Callable[[], bool]) -> None:
        self._paint = paint
        self._last = 0.0
        self._due: TimerHandle | None = None

    def mark(self) -> None:
        """Something changed. From any thread."""
        portal.loop().call_soon_threadsafe(self._soon, INTERVAL)

    def _soon(self, interval: float) -> None:
        loop = portal.loop()
        when = max(loop.time(), self._last + interval)
        if self._due is not None and self._due.when() <= when:
            return
        if self._due is not None:
            self._due.cancel()
        self._due = loop.call_at(when, self._beat)

    def _beat(self) -> None:
        self._due = None
        self._last = portal.loop().time()
        if self._paint():
            self._soon(TICK)

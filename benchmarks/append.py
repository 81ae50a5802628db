"""The append of an event to a session that is short, and to one that is long: it must be flat."""

from __future__ import annotations

import time
from itertools import chain, count
from typing import TYPE_CHECKING

from benchmarks.report import Row, Within
from benchmarks.timing import Timing, collector_held
from dotai_nb.session.events import TextSaid, ToolCalled
from dotai_nb.session.paths import new_id
from dotai_nb.session.store import Journal
from tests.unit.sessions import answered, started, turn, update_step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dotai_nb.session.events import Event, StepChecked

_SIZES = (10, 100, 1_000, 10_000)
_ROUNDS = 40
_GROWTH = 1.1
_OUTPUT = "NAME     READY   UP-TO-DATE   AVAILABLE   AGE\n" * 40


def rows(folder: Path) -> Iterator[Row]:
    """The largest session beside each smaller one, without and with waiting for the disk."""
    sessions = [Growing(folder / "journals", size) for size in _SIZES]
    light: list[list[float]] = [[] for _ in _SIZES]
    durable: list[list[float]] = [[] for _ in _SIZES]
    try:
        for turn_number in range(_ROUNDS):
            for position in _order(turn_number):
                sessions[position].prepare()
                with collector_held():
                    each, synced = sessions[position].grow()
                light[position].append(each)
                durable[position].append(synced)
    finally:
        for session in sessions:
            session.close()
    yield from _rows("append of an event", [Timing.of(s) for s in light])
    yield from _rows("append of a durable event", [Timing.of(s) for s in durable])


def _order(turn_number: int) -> range:
    last = len(_SIZES)
    return range(last) if turn_number % 2 else range(last - 1, -1, -1)


def _rows(what: str, timings: list[Timing]) -> Iterator[Row]:
    largest = timings[-1]
    for size, timing in zip(_SIZES[:-1], timings[:-1], strict=True):
        aim = Within(1.5) if size == _SIZES[0] else None
        yield Row(f"{what}, {_SIZES[-1]:,} before it", largest, f"{size:,} before it", timing, aim)


class Growing:
    """A real session in a real file, kept at about one size."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size
        self._journal: Journal | None = None
        self._turns = count(1)

    def prepare(self) -> None:
        """Begin anew once it has grown by a tenth."""
        if self._journal is not None and self._journal.session.count <= self._size * _GROWTH:
            return
        self.close()
        self._turns = count(1)
        self._journal = Journal.create(self._folder, started(session_id=new_id()))
        events = chain.from_iterable(_cycle(number) for number in self._turns)
        while self._journal.session.count < self._size:
            self._journal.append(next(events))

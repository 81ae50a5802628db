"""The append of an event to a session that is short, and to one that is long: it must be flat."""

from __future__ import annotations

import time
from itertools import chain, count, islice
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
_CYCLE = 6
"""Events of one tool call, its turn included."""

_OUTPUT = "NAME     READY   UP-TO-DATE   AVAILABLE   AGE\n" * 40


def rows(folder: Path) -> Iterator[Row]:
    """The largest session beside each smaller one, without and with waiting for the disk."""
    sessions = [Growing(folder / "journals", size) for size in _SIZES]
    light: list[list[float]] = [[] for _ in _SIZES]
    durable: list[list[float]] = [[] for _ in _SIZES]
    try:
        with collector_held():
            for turn_number in range(_ROUNDS):
                for position in _order(turn_number):
                    each, synced = sessions[position].grown()
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
        self._events: Iterator[Event] = iter(())

    def grown(self) -> tuple[float, float]:
        """Grow by one tool call of the model and by one step.

        Returns:
            Seconds for an event of the call, and for the step, which is durable.
        """
        journal = self._of_size()
        events = tuple(islice(self._events, _CYCLE))
        step = _step(len(journal.session.steps) + 1)
        begun = time.perf_counter()
        for event in events:
            journal.append(event)
        between = time.perf_counter()
        journal.append(step)
        return (between - begun) / _CYCLE, time.perf_counter() - between

    def close(self) -> None:
        """Let go of the file."""
        if self._journal is not None:
            self._journal.close()

    def _of_size(self) -> Journal:
        """The session, begun anew once it has grown by a tenth."""
        journal = self._journal
        if journal is not None and journal.session.count <= self._size * _GROWTH:
            return journal
        self.close()
        journal = self._journal = Journal.create(self._folder, started(session_id=new_id()))
        self._events = chain.from_iterable(_call(number) for number in count(1))
        while journal.session.count < self._size:
            journal.append(next(self._events))
        return journal


def _call(number: int) -> Iterator[Event]:
    """A turn of the model with a word and a call, and the call's answer."""
    call_id = f"toolu_{number:05}"
    arguments = {"resource": "deployments", "namespace": "shop"}
    called = ToolCalled(turn=number, call_id=call_id, name="kubectl_get", arguments=arguments)
    yield from turn(number, TextSaid(turn=number, text="I look at the Deployments."), called)
    yield from answered(call_id, _OUTPUT)


def _step(number: int) -> StepChecked:
    checked = update_step()
    return checked.model_copy(update={"step": checked.step.model_copy(update={"number": number})})

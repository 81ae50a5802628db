"""Measures peers side by side: warmed up, interleaved, the garbage collector held."""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    Peer = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one thing took; all in seconds.

    Attributes:
        median: half of the runs took at most this.
        low: a tenth of the runs took at most this; load from elsewhere shows less here.
        high: nine tenths of the runs took at most this.
        runs: how many there were.
    """

    median: float
    low: float
    high: float
    runs: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Timing:
        """Of at least two runs."""
        tenths = quantiles(seconds, n=10, method="inclusive")
        return cls(median(seconds), tenths[0], tenths[-1], len(seconds))


async def interleaved(*peers: Peer, rounds: int, warm_up: int = 3) -> list[Timing]:
    """Run all peers in each round, in turn forwards and backwards, so that load hits all alike."""
    seconds: list[list[float]] = [[] for _ in peers]
    order = list(range(len(peers)))
    for _ in range(warm_up):
        for peer in peers:
            await peer()
    with collector_held():
        for _ in range(rounds):
            for position in order:
                begun = time.perf_counter()
                await peers[position]()
                seconds[position].append(time.perf_counter() - begun)
            order.reverse()
    return [Timing.of(each) for each in seconds]


@contextmanager
def collector_held() -> Iterator[None]:
    """No collection inside, which would be charged to whoever happens to run."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()

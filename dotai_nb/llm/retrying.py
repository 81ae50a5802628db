"""Asking again: when a provider is busy or a connection breaks, wait and repeat."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dotai_nb.errors import ModelError
    from dotai_nb.llm.conversation import Listener

T = TypeVar("T")


class Transient(Exception):
    """An attempt failed in a way that may pass.

    Attributes:
        error: what to raise if it does not pass.
        retry_after: seconds the provider asked us to wait; None if it did not say.
    """

    def __init__(self, error: ModelError, retry_after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often to ask again, and how long to wait before each time.

    The wait doubles from `first` up to `longest` seconds; jitter takes off up to half, so that
    many notebooks that failed together don't come back together. What the provider asks for
    counts instead, whatever it is.

    Attributes:
        retries: how many times to ask again after the first.
        sleep: waits that many seconds.
        chance: a number in [0, 1).
    """

    retries: int
    first: float = 1.0
    longest: float = 30.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random

    def wait(self, attempt: int, retry_after: float | None = None) -> float:
        """Seconds to wait after the failed attempt of that number (1-based)."""
        if retry_after is not None:
            return retry_after
        return min(self.longest, self.first * 2.0 ** (attempt - 1)) * (1 - self.chance() / 2)


async def with_retries(
    attempt: Callable[[], Awaitable[T]], listener: Listener, backoff: Backoff
) -> T:
    """The outcome of `attempt`, made again after each `Transient`, telling the listener.

    Raises:
        ModelError: the last attempt's, once the retries are used up; others at once.
    """
    for number in range(1, backoff.retries + 1):
        try:
            return await attempt()
        except Transient as failure:
            wait = backoff.wait(number, failure.retry_after)
            listener.retrying(number, wait, failure.error.message, failure.error.request_id)
        await backoff.sleep(wait)
    try:
        return await attempt()
    except Transient as failure:
        raise _given_up(failure.error, backoff.retries) from failure.__cause__


def _given_up(error: ModelError, retries: int) -> ModelError:
    if not retries:
        return error
    times = "once more" if retries == 1 else f"{retries} times more"
    return type(error)(
        f"{error.message} It was tried {times}.", request_id=error.request_id, hint=error.hint
    )

"""The package's own event loop, in one daemon thread a process.

Why not the kernel's loop: it freezes while a synchronous cell blocks, and which loop and thread a
button's callback runs on differs from one ipykernel to the next. Here a run streams on every
kernel, and every door (await, blocking call, button) crosses to it in the same way.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from dotai_nb.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

_start = threading.Lock()
_running: tuple[int, asyncio.AbstractEventLoop] | None = None


def loop() -> asyncio.AbstractEventLoop:
    """The package's loop, started at the first call (and again in a forked child)."""
    global _running  # noqa: PLW0603 - one a process is the point
    with _start:
        if _running is None or _running[0] != os.getpid():
            ours = asyncio.new_event_loop()
            threading.Thread(target=ours.run_forever, name="dotai_nb", daemon=True).start()
            _running = (os.getpid(), ours)
        return _running[1]


def submit(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Run it on the package's loop; the future can be waited for from any other thread."""
    return asyncio.run_coroutine_threadsafe(coroutine, loop())


async def bridge(coroutine: Coroutine[Any, Any, T]) -> T:
    """Await it from any loop; cancelling the awaiting task cancels it."""
    if asyncio.get_running_loop() is loop():
        return await coroutine
    return await asyncio.wrap_future(submit(coroutine))


def call(function: Callable[[], T]) -> T:
    """Call it on the package's loop and wait for what it returns; it must be quick."""

    async def on_loop() -> T:
        return function()

    return submit(on_loop()).result()


def wait(coroutine: Coroutine[Any, Any, T]) -> T:
    """Block until it is done; an interrupt cancels it."""
    future = submit(coroutine)
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        raise


class Work:
    """A coroutine under way on the package's loop.

    Unlike a future of `run_coroutine_threadsafe`, it is done only when the coroutine has really
    ended: after a cancel, that is once it has written down that it was cancelled.

    Attributes:
        future: its end: None, its error, or `Cancelled`.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.future: Future[None] = Future()
        self._task: asyncio.Task[None] | None = None
        loop().call_soon_threadsafe(self._start, coroutine)

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.future.done()

    def cancel(self) -> None:
        """Ask it to end; from any thread."""
        loop().call_soon_threadsafe(self._cancel)

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._task = loop().create_task(coroutine)
        self._task.add_done_callback(self._ended)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self.future.set_exception(
                Cancelled("The operation was cancelled.", hint="Nothing further is sent.")
            )
        elif error := task.exception():
            self.future.set_exception(error)
        else:
            self.future.set_result(None)

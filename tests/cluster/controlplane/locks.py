"""Lets one process at a time do something on this machine."""

from __future__ import annotations

import contextlib
import fcntl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def exclusive(lock: Path, *, waiting: str | None = None) -> Iterator[None]:
    """Holds `lock`, a file whose folder exists; prints `waiting` if another process holds it."""
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                print(waiting, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file, or the end of the process, releases the lock

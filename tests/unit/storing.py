"""What the tests of session files share: files as a run leaves them, and other processes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dotai_nb.session.canonical import readable
from dotai_nb.session.fold import fold
from dotai_nb.session.snapshot import document
from dotai_nb.session.store import Journal
from tests.unit.sessions import (
    SESSION_ID,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from dotai_nb.session.events import (
        Event,
        Recorded,
    )


def run(directory: Path, events: Iterable[Event]) -> Journal:
    """A journal that lived through these events."""
    first, *rest = events
    journal = Journal.create(directory, first)
    for event in rest:
        journal.append(event)
    return journal


def put(directory: Path, recorded: tuple[Recorded, ...]) -> Path:
    """A session's file as it stands at rest."""
    path = directory / f"{recorded[0].event.session_id}.json"
    path.write_bytes(readable(document(fold(recorded), recorded)))
    return path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def child(work: Callable[[], str]) -> Callable[[], str]:
    """Do `work` in a forked process.

    Returns:
        A function that waits for what it says; empty if it died before it could.
    """
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reader)
        try:
            os.write(writer, work().encode())
        except BaseException as error:  # noqa: BLE001 - the parent's assertion shows it
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(writer)

    def answer() -> str:
        with os.fdopen(reader) as said:
            words = said.read()
        os.waitpid(process, 0)
        return words

    return answer


def in_child(work: Callable[[], str]) -> str:
    """What `work` says in a forked process; empty if it died before it could."""
    return child(work)()


TEMPORARY = f".{SESSION_ID}.json.tmp"

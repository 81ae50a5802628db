"""Sessions on the disk: run one (`Journal`), read one, open one after a crash, list a folder."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dotai_nb.errors import SessionError, SessionLocked
from dotai_nb.session import files
from dotai_nb.session.canonical import readable
from dotai_nb.session.events import Event, Interrupted, Noted, Recorded
from dotai_nb.session.fold import advance
from dotai_nb.session.journal import Journal
from dotai_nb.session.loading import Loaded, journal_path, load
from dotai_nb.session.snapshot import document
from dotai_nb.session.values import Status

if TYPE_CHECKING:
    from pathlib import Path

    from dotai_nb.session.values import Outcome

__all__ = ["Journal", "Loaded", "Summary", "load", "open_at_rest", "sessions"]

RUNNING = "It is still running, in this or another process; this is how far it was."


@dataclass(frozen=True, slots=True)
class Summary:
    """A session in a list. For a file that can't be read, `error` says why and the rest is None.

    Attributes:
        id: the file's stem.
        live: it is running now.
    """

    path: Path
    id: str
    intent: str | None = None
    status: Status | None = None
    outcome: Outcome | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    live: bool = False
    error: str = ""


def open_at_rest(path: str | Path) -> Loaded:
    """Read a session; one that nobody runs any more is closed with an `interrupted` event.

    What was found out is written to the file where that is possible; a note says where it is not.

    Raises:
        SessionNotFound: there is no such file.
        SessionCorrupt: names exactly what differs.
    """
    loaded = load(path)
    lock = files.RunLock(loaded.path)
    left_behind = journal_path(loaded.path).exists() or lock.path.exists()
    if loaded.session.at_rest and not left_behind:
        return loaded
    try:
        lock.acquire()
    except SessionLocked:
        return _live(load(path))
    except SessionError as error:
        return _read_only(loaded, lock, error)
    try:
        return _settled(load(path))
    finally:
        lock.release()


def sessions(directory: Path) -> tuple[Summary, ...]:
    """Every session of a folder, the newest first; nothing is written.

    A file that can't be read, or is not a session, is listed with its error. A folder that does
    not exist has none.

    Raises:
        SessionError: the folder can't be read.
    """
    with files.explained(directory, "read"):
        if not directory.exists():
            return ()
        found = {
            file.with_suffix(".json")
            for file in directory.iterdir()
            if file.suffix in (".json", ".jsonl") and not file.name.startswith(".")
        }
    return tuple(_summary(path) for path in sorted(found, key=_age, reverse=True))


def _live(loaded: Loaded) -> Loaded:
    # It may have come to rest just now; then there is nothing to tell.
    if loaded.session.at_rest:
        return loaded
    return replace(loaded, live=True, notes=(*loaded.notes, RUNNING))


def _read_only(loaded: Loaded, lock: files.RunLock, error: SessionError) -> Loaded:
    """No lock can be taken here: what is found out stays in memory."""
    if loaded.session.at_rest:
        return loaded
    if lock.path.exists():
        note = f"Whether it still runs can't be told: {error.message}"
        return replace(loaded, notes=(*loaded.notes, note))
    note = f"The file was left as it is: {error.message}"
    return replace(_interrupted(loaded), notes=(*loaded.notes, note))


def _settled(loaded: Loaded) -> Loaded:
    """Under the lock: write down how it stands, and let the journal go."""
    settled = _interrupted(loaded)
    if settled is loaded and not journal_path(loaded.path).exists():
        return loaded
    try:
        files.write_whole(settled.path, readable(document(settled.session, settled.recorded)))
        files.remove(journal_path(settled.path))
    except SessionError as error:
        note = f"The file was left as it is: {error.message}"
        return replace(settled, notes=(*settled.notes, note))
    return settled


def _interrupted(loaded: Loaded) -> Loaded:
    """With what was cut noted and, if nobody ended it, an `interrupted` event; in memory."""
    for note in loaded.notes:
        loaded = _with(loaded, Noted(message=note))
    if loaded.session.status is Status.ANALYZING:
        words = "The process that ran this analysis is gone; nothing was changed by it."
        return _with(loaded, Interrupted(message=words))
    if loaded.session.status is Status.EXECUTING:
        words = (
            "The process that ran this execution is gone. Steps that were sent and not answered "
            "are unknown: look at the cluster."
        )
        return _with(loaded, Interrupted(message=words))
    return loaded


def _with(loaded: Loaded, event: Event) -> Loaded:
    entry = Recorded.after(loaded.recorded[-1], event, datetime.now(UTC))
    session = advance(loaded.session, entry)
    return replace(loaded, session=session, recorded=(*loaded.recorded, entry))


def _summary(path: Path) -> Summary:
    try:
        loaded = load(path)
        if not loaded.session.at_rest:
            loaded = _looked_at(loaded)
    except SessionError as error:
        return Summary(path, path.stem, error=str(error))
    session = loaded.session
    return Summary(
        path,
        path.stem,
        intent=session.intent,
        status=session.status,
        outcome=session.outcome,
        created_at=session.created_at,
        updated_at=session.updated_at,
        live=loaded.live,
    )


def _looked_at(loaded: Loaded) -> Loaded:
    """A session that was running: it still is, it has come to rest by now, or nobody runs it."""
    if _runs(loaded.path):
        return replace(loaded, live=True)
    now = load(loaded.path)
    moved = now.session.head != loaded.session.head
    return replace(now, live=not now.session.at_rest) if moved else _interrupted(now)


def _runs(path: Path) -> bool:
    """Whether somebody holds its lock. No file, nobody: so looking leaves nothing behind."""
    lock = files.RunLock(path)
    if not lock.path.exists():
        return False
    try:
        lock.acquire(wait=0)
    except SessionError:
        return True
    lock.release()
    return False


def _age(path: Path) -> tuple[int, str]:
    """Epoch milliseconds from the id; 0 for a file that is named otherwise."""
    named = re.match(r"[a-z]+-(\d+)-", path.name)
    return (int(named[1]) if named else 0, path.name)

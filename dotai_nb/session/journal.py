"""The one writer of a session.

A session that runs holds a lock, and every event goes to `<id>.jsonl` first. The `.json` is
written whole at each change of status, and the journal goes when the session has come to rest.
At rest nothing is held: whoever goes on takes the lock and finds the file as they left it, or
learns that somebody else was here.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from dotai_nb.errors import IllegalEvent, NotExecutable, SessionError, SessionLocked
from dotai_nb.session import files
from dotai_nb.session.canonical import canonical, readable
from dotai_nb.session.events import Approved, Event, Recorded, SessionStarted
from dotai_nb.session.fold import advance, fold
from dotai_nb.session.loading import journal_path, load
from dotai_nb.session.snapshot import document

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dotai_nb.session.session import Session

log = logging.getLogger(__name__)


class Journal:
    """A session that this process runs, or has run and may go on with.

    Events are appended from one thread (the package's loop); all properties may be read from any.

    Attributes:
        path: of the `.json`.
    """

    def __init__(self, path: Path, recorded: Sequence[Recorded]) -> None:
        """Know a session that is at rest on the disk; `create` begins a new one."""
        self.path = path
        self._recorded = list(recorded)
        self._session = fold(recorded)
        self._lines = files.Lines(journal_path(path))
        self._lock = files.RunLock(path)
        self._written = b""
        self._hearers: dict[object, Callable[[Recorded], None]] = {}
        # Re-entrant: a hearer may read, and the panel's threads may ask for the lock.
        self._mutex = threading.RLock()

    @classmethod
    def create(cls, directory: Path, started: SessionStarted) -> Journal:
        """Begin a session: its file is there, and locked, when this returns.

        Raises:
            SessionError: the folder or the file can't be written, or a session of this id exists.
        """
        files.make_directory(directory)
        path = directory.absolute() / f"{started.session_id}.json"
        journal = cls(path, [Recorded.after(None, started, datetime.now(UTC))])
        journal._lock.acquire()
        try:
            journal._begin()
        except BaseException:
            journal.close()
            raise
        return journal

    @property
    def session(self) -> Session:
        """The session as it stands."""
        return self._session

    @property
    def recorded(self) -> tuple[Recorded, ...]:
        """All events so far."""
        return tuple(self._recorded)

    @property
    def held(self) -> bool:
        """Whether this process holds the session's lock."""
        return self._lock.held

    def append(self, event: Event) -> Recorded:
        """Record what happened: checked, chained, on the disk, then told to every subscriber.

        At rest it takes the lock (as `acquire` does), and lets go when the session rests after it.

        Raises:
            IllegalEvent: the session does not allow it; nothing was written.
            SessionLocked, NotExecutable: another process runs it, or went on with it.
            SessionError: the disk refused. The event did not happen, unless the journal had it
                already and only the `.json` could not be written; the message says which file.
        """
        with self._mutex:
            try:
                entry, moved = self._commit(event)
            except BaseException:
                self._release_at_rest()
                raise
        try:
            if moved or self._session.at_rest:
                self._save()
        finally:
            self._release_at_rest()
            self._tell(entry)
        return entry

    def acquire(self) -> None:
        """Take the lock to go on from rest; refine, approve and execute begin with this.

        Raises:
            SessionLocked: it is running, here or in another process.
            NotExecutable: somebody else went on with it; the file is not the one known here.
            SessionNotFound, SessionCorrupt: the file is gone, or was changed.
        """
        with self._mutex:
            if self._lock.held:
                if self._session.at_rest:
                    return
                raise SessionLocked(
                    f"{self._session.id} is running.", hint="Wait until it has ended, or cancel it."
                )
            self._lock.acquire()
            try:
                self._compare()
            except BaseException:
                self._lock.release()
                raise

    def suspend(self) -> None:
        """Let go of the lock of a session at rest; nothing happens when it is not held.

        Raises:
            SessionError: the session is not at rest.
        """
        with self._mutex:
            if self._lock.held and not self._session.at_rest:
                raise SessionError(f"{self._session.id} is {self._session.status}, not at rest.")
            self._release_at_rest()

    def close(self) -> None:
        """Let go of the files. A session that still runs opens as interrupted."""
        with self._mutex:
            self._lines.close()
            self._lock.release()

    def subscribe(self, hear: Callable[[Recorded], None]) -> Callable[[], None]:
        """Hear every event from now on, in the appending thread, after it is on the disk.

        A subscriber that raises is logged with its traceback and hears nothing further; a run is
        not stopped by somebody who looks on.

        Returns:
            A function that ends the subscription.
        """
        subscription = object()
        with self._mutex:
            self._hearers[subscription] = hear
        return lambda: self._unsubscribe(subscription)

    def _unsubscribe(self, subscription: object) -> None:
        with self._mutex:
            self._hearers.pop(subscription, None)

    def _tell(self, entry: Recorded) -> None:
        with self._mutex:
            hearers = tuple(self._hearers.items())
        for subscription, hear in hearers:
            try:
                hear(entry)
            except Exception:
                log.exception("A subscriber of %s failed at event %d.", self.path.stem, entry.seq)
                self._unsubscribe(subscription)

    def _begin(self) -> None:
        if self.path.exists():
            raise SessionError(f"{self.path} exists already.", hint="Start again; ids are random.")
        self._save()

    def _commit(self, event: Event) -> tuple[Recorded, bool]:
        """Check, chain and write one line; returns the entry, and whether the status changed."""
        try:
            entry = Recorded.after(self._recorded[-1], event, datetime.now(UTC))
            line = canonical(entry.line()) + b"\n"
        except (ValueError, RecursionError) as error:
            raise IllegalEvent(
                f"{self._session.id}: {event.type} can't be written as JSON: {error}."
            ) from error
        session = advance(self._session, entry)
        if not self._lock.held:
            self._take(event)
        moved = session.status is not self._session.status
        self._lines.append(line, durable=moved or _is_kept(event))
        self._recorded.append(entry)
        self._session = session
        return entry, moved

    def _take(self, event: Event) -> None:
        if not self._session.at_rest:
            raise SessionLocked(
                f"{self._session.id}: {event.type} can't be recorded; this process does not hold "
                "the session any more.",
                hint="Open it again with open_session to see how it stands.",
            )
        self.acquire()

    def _save(self) -> None:
        with self._mutex:
            content = readable(document(self._session, self._recorded))
            files.write_whole(self.path, content)
            self._written = sha256(content).digest()
            if self._session.at_rest:
                self._lines.remove()

    def _release_at_rest(self) -> None:
        with self._mutex:
            if self._session.at_rest:
                self._lines.close()
                self._lock.release()

    def _compare(self) -> None:
        """The file must be the one this process knows; read in full only if its bytes differ."""
        content = files.read(self.path)
        journal = self._lines.path.exists()
        if content is not None and not journal and sha256(content).digest() == self._written:
            return
        found = load(self.path).session
        if found.head != self._session.head:
            raise NotExecutable(
                f"{found.id} went on elsewhere: its file is at event {found.count} "
                f"({found.status}), this process knows event {self._session.count} "
                f"({self._session.status}).",
                hint="Open it again with open_session to see how it stands.",
            )
        if journal:
            # The last `.json` could not be written; the journal kept what it lacks.
            self._save()


def _is_kept(event: Event) -> bool:
    """Whether an event must survive a power cut although the status stays the same."""
    return isinstance(event, Approved) or event.type.startswith("step_")

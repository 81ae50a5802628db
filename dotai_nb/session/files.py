"""Durable files: a whole file is old or new, a line is whole or not there, a failure is told."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dotai_nb.errors import SessionError, SessionLocked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from filelock import FileLock

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP})

BRIEFLY = 0.25
"""Seconds to wait for a lock: a reader that looks whether a session runs holds it for a moment."""


@contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Turn an OSError into a SessionError that names the path and what to do."""
    try:
        yield
    except OSError as error:
        hint = ""
        if error.errno in _FULL:
            hint = "Free some space there, or set DOT_AI_SESSION_DIR to a folder that has some."
        elif error.errno in _DENIED:
            hint = "Make it writable, or set DOT_AI_SESSION_DIR to a folder that is."
        elif error.errno in _NO_LOCKS:
            hint = "Set DOT_AI_SESSION_DIR to a folder on a local disk, where files can be locked."
        raise SessionError(f"{path} can't be {doing}: {error.strerror}.", hint=hint) from error


def make_directory(path: Path) -> None:
    """Create a folder, and those above it, for its owner only; what exists is left as it is."""
    with explained(path, "created"):
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=DIRECTORY_MODE, exist_ok=True)


def read(path: Path) -> bytes | None:
    """The file's bytes; None when there is no such file."""
    with explained(path, "read"):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 at once: readers, and a crash, see the old one or the new one.

    Raises:
        SessionError: the old file is untouched, unless only the folder could not be synced.
    """
    # One name for ever, so that crashes don't pile up: only the holder of the lock writes.
    temporary = path.with_name(f".{path.name}.tmp")
    with explained(path, "written"):
        try:
            _write_synced(temporary, content)
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_directory(path.parent)


def remove(path: Path) -> None:
    """Remove a file durably; one that is gone already is fine."""
    with explained(path, "removed"):
        path.unlink(missing_ok=True)
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make a rename, a creation or a removal in this folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and FUSE file systems can't sync a folder; there it is not needed either.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _write_synced(path: Path, content: bytes) -> None:
    descriptor = os.open(path, _WRITE | os.O_TRUNC, FILE_MODE)
    try:
        os.fchmod(descriptor, FILE_MODE)
        _write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


class Lines:
    """The journal file of a running session: lines are appended whole, or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._length = 0
        self._torn = False

    def append(self, line: bytes, *, durable: bool) -> None:
        """Append a line that ends with a newline; `durable` waits until it is on the disk.

        Raises:
            SessionError: the file is as it was before.
        """
        with explained(self.path, "written"):
            if self._torn:
                raise OSError(errno.EIO, "an earlier line is torn and could not be cut")
            descriptor = self._open()
            try:
                _write_all(descriptor, line)
                if durable:
                    os.fsync(descriptor)
            except BaseException:
                self._cut(descriptor)
                raise
            self._length += len(line)

    def remove(self) -> None:
        """The session has come to rest; its `.json` has everything."""
        self.close()
        remove(self.path)
        self._length = 0

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self.path, _WRITE | os.O_APPEND, FILE_MODE)
            self._length = os.fstat(self._descriptor).st_size
            sync_directory(self.path.parent)
        return self._descriptor

    def _cut(self, descriptor: int) -> None:
        try:
            os.ftruncate(descriptor, self._length)
        except OSError:
            self._torn = True
            raise


class RunLock:
    """Who runs a session: a kernel-held lock on `.<id>.lock` beside the file.

    The lock file is there only while a session runs (or after a crash, until the next open), so
    that a notebook's folder under version control sees none. A dead process holds no lock.
    """

    def __init__(self, session_file: Path) -> None:
        self.path = session_file.with_name(f".{session_file.stem}.lock")
        self._session = session_file.stem
        self._lock: FileLock | None = None
        self._process = 0

    @property
    def held(self) -> bool:
        """Whether this object holds it; a forked child never does."""
        return self._lock is not None and self._process == os.getpid()

    def acquire(self, *, wait: float = BRIEFLY) -> None:
        """Take the lock.

        Args:
            wait: seconds to wait for who holds it.

        Raises:
            SessionLocked: it is held elsewhere.
            SessionError: the folder is not writable, or its file system knows no locks.
        """
        from filelock import FileLock, Timeout

        # Without flock there is no telling who runs, so no fallback to a marker file.
        lock = FileLock(
            self.path, timeout=wait, mode=FILE_MODE, thread_local=False, fallback_to_soft=False
        )
        with explained(self.path, "locked"):
            try:
                lock.acquire()
            except Timeout:
                raise self._elsewhere() from None
        self._lock, self._process = lock, os.getpid()

    def release(self) -> None:
        """Let go; nothing happens when it is not held."""
        if self._lock is None or not self.held:
            return
        lock, self._lock = self._lock, None
        try:
            # While it is held: a waiter that opened this file sees that it is gone, and opens anew.
            with explained(self.path, "removed"):
                self.path.unlink(missing_ok=True)
        finally:
            lock.release()

    def _elsewhere(self) -> SessionLocked:
        return SessionLocked(
            f"{self._session} is running in another process or kernel.",
            hint="Wait until it has ended, or end it there.",
        )

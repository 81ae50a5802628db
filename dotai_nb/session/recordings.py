"""Recordings: session files whose model turns are used again, in `<notebook stem>.recordings/`.

A recording of a live model says so; one whose turns no model made is marked `scripted` in its
first event, and everything that shows it has to say it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dotai_nb.errors import RecordingNotFound, SessionCorrupt, SessionError
from dotai_nb.session import files
from dotai_nb.session.loading import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dotai_nb.session.loading import Loaded


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that was found.

    Attributes:
        name: the file's stem.
    """

    name: str
    path: Path
    loaded: Loaded

    @property
    def intent(self) -> str:
        """What was asked."""
        return self.loaded.session.intent

    @property
    def scripted(self) -> bool:
        """No model ever made its turns."""
        return self.loaded.session.started.scripted


def find(directories: Sequence[Path], *, name: str = "", intent: str = "") -> Recording:
    """The recording of that name; without a name, the one of exactly that intent.

    Where several have the intent, the first counts: by folder as given, then by name.

    Args:
        directories: searched in this order; those that don't exist have no recordings.
        name: the file's stem.
        intent: compared exactly, but for white space around it.

    Raises:
        RecordingNotFound: lists the names and intents there are, and what could not be read.
        SessionCorrupt: the recording of that name was changed, or has a turn that is not whole.
    """
    return _by_name(directories, name) if name else _by_intent(directories, intent)


def names(directories: Sequence[Path]) -> tuple[str, ...]:
    """The names of all recordings, in the order in which they are searched, each once."""
    return tuple(dict.fromkeys(path.stem for path in _paths(directories)))


def _by_name(directories: Sequence[Path], name: str) -> Recording:
    for path in _paths(directories):
        if path.stem == name:
            return _opened(path)
    raise RecordingNotFound(
        f"There is no recording named {name!r}.", hint=_what_there_is(directories)
    )


def _by_intent(directories: Sequence[Path], intent: str) -> Recording:
    wanted = intent.strip()
    for path in _paths(directories):
        try:
            recording = _opened(path)
        except SessionError:
            # It may not be the one that is wanted; if none is, the message names it.
            continue
        if wanted and recording.intent.strip() == wanted:
            return recording
    raise RecordingNotFound(
        f"There is no recording of the intent {wanted!r}.", hint=_what_there_is(directories)
    )


def _opened(path: Path) -> Recording:
    loaded = load(path)
    cut = next((turn.number for turn in loaded.session.turns if turn.finished is None), None)
    if cut or not loaded.session.at_rest:
        what = f"turn {cut} is not whole" if cut else f"it is still {loaded.session.status}"
        raise SessionCorrupt(
            f"{path.name}: {what}, so it is not a recording.", hint="Record it again."
        )
    return Recording(path.stem, path, loaded)


def _paths(directories: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for directory in directories:
        with files.explained(directory, "read"):
            if directory.is_dir():
                found += sorted(p for p in directory.glob("*.json") if not p.name.startswith("."))
    return found


def _what_there_is(directories: Sequence[Path]) -> str:
    paths = _paths(directories)
    if not paths:
        where = ", ".join(map(str, directories)) or "any *.recordings folder here"
        return f"There are no recordings in {where}."
    return f"There are: {'; '.join(map(_described, paths))}."


def _described(path: Path) -> str:
    try:
        return f"{path.stem} ({_opened(path).intent.strip()!r})"
    except SessionError as error:
        return f"{path.stem} (can't be read: {error.message})"

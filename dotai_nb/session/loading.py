"""Reading a session from its files: the `.json`, and the journal lines that are newer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dotai_nb.errors import SessionNotFound
from dotai_nb.session import files
from dotai_nb.session.verification import History, snapshot_history, with_journal

if TYPE_CHECKING:
    from dotai_nb.session.events import Recorded
    from dotai_nb.session.session import Session


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session as its files say.

    Attributes:
        path: of the `.json`.
        notes: what a reader should know, such as a torn line that was cut; one sentence each.
        live: another kernel or process is running it now; this is how far it was.
    """

    path: Path
    session: Session
    recorded: tuple[Recorded, ...]
    notes: tuple[str, ...] = ()
    live: bool = False


def journal_path(path: Path) -> Path:
    """The journal beside a session's `.json`."""
    return path.with_suffix(".jsonl")


def load(path: str | Path) -> Loaded:
    """Read a session; whether it runs is not looked at.

    Safe while another process writes it: the result is then a moment of that session.

    Raises:
        SessionNotFound: there is no such file.
        SessionCorrupt: names exactly what differs.
        SessionError: it can't be read.
    """
    file = Path(path).expanduser().absolute()
    if file.suffix == ".jsonl":
        file = file.with_suffix(".json")
    # The journal first: it goes only after the `.json` has all of it.
    journal = files.read(journal_path(file))
    content = files.read(file)
    if content is None and journal is None:
        raise SessionNotFound(
            f"There is no session {file}.", hint="dotai_nb.sessions() lists those there are."
        )
    history = History(file.name) if content is None else snapshot_history(content, file.name)
    history, note = with_journal(history, journal or b"")
    if history.session is None:
        raise history.corrupt("it has no events")
    return Loaded(file, history.session, history.recorded, (note,) if note else ())

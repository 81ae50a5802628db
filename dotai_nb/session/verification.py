"""Is this file what its events say? Pure: bytes in, events out, or exactly what differs.

A session file states everything twice or more: each event has a hash over itself and the one
before, the snapshot above them can be computed from them, and there is one way to write it all
down. An edit that keeps all three consistent is a forgery that no file can reveal; this is why
nothing that comes from a file is ever executed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import ValidationError

from dotai_nb.errors import IllegalEvent, SessionCorrupt
from dotai_nb.session.canonical import JsonObject, canonical, readable
from dotai_nb.session.events import Recorded
from dotai_nb.session.fold import advance
from dotai_nb.session.snapshot import SCHEMA_VERSION, document

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dotai_nb.session.session import Session

HINT = "Restore the file from a copy or from version control; it is not used as it is."

LONGEST_VALUE = 80
"""Characters of a differing value that a message shows."""


@dataclass(frozen=True, slots=True)
class History:
    """Events that follow from each other, and their fold; empty before the first."""

    name: str
    recorded: tuple[Recorded, ...] = ()
    session: Session | None = None

    def corrupt(self, what: str, *, hint: str = HINT) -> SessionCorrupt:
        """The error that this file is not what it should be."""
        return SessionCorrupt(f"{self.name}: {what}.", hint=hint)

    def followed_by(self, entries: Sequence[JsonObject]) -> History:
        """With these entries behind; each has to follow from the one before.

        Raises:
            SessionCorrupt: names the first event that is changed, missing, moved or not legal.
        """
        recorded, session = list(self.recorded), self.session
        for given in entries:
            number = len(recorded) + 1
            entry = self._entry(given, number)
            self._check_hash(entry, recorded[-1] if recorded else None)
            try:
                session = advance(session, entry)
            except IllegalEvent as error:
                raise self.corrupt(f"event {number} is not possible: {error.message}") from error
            recorded.append(entry)
        return History(self.name, tuple(recorded), session)

    def _check_hash(self, entry: Recorded, previous: Recorded | None) -> None:
        try:
            fits = entry.hash == entry.seal(previous)
        except (ValueError, RecursionError):
            # Nested deeper than this package writes.
            fits = False
        if not fits:
            raise self.corrupt(
                f"event {entry.seq} ({entry.event.type}) was changed: its hash is not the one of "
                "its content behind the event before it"
            )

    def _entry(self, given: Any, number: int) -> Recorded:
        try:
            entry = Recorded.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "it"
            raise self.corrupt(f"event {number} was changed: {where}: {first['msg']}") from error
        if entry.seq > number:
            raise self.corrupt(f"event {number} is missing; event {entry.seq} is in its place")
        if entry.seq < number:
            raise self.corrupt(f"event {entry.seq} stands where event {number} belongs")
        return entry


def snapshot_history(content: bytes, name: str) -> History:
    """The events of a `.json` file, checked against their chain, their fold and its bytes.

    Raises:
        SessionCorrupt: names exactly what differs.
    """
    empty = History(name)
    given = _parsed(content, empty)
    _check_schema(given, empty)
    entries = given.get("events")
    if not isinstance(entries, list) or not entries:
        raise empty.corrupt("it has no events")
    history = empty.followed_by(entries)
    if history.session is None:
        raise empty.corrupt("it has no events")
    expected = document(history.session, history.recorded)
    for difference in _differences(given, expected, ""):
        raise history.corrupt(difference)
    _check_bytes(content, readable(expected), history)
    return history


def with_journal(history: History, content: bytes) -> tuple[History, str]:
    """Add the newer lines of a journal.

    Returns:
        The whole history, and a note when a torn last line was cut; else an empty string.

    Raises:
        SessionCorrupt: a line that is not the last can't be read, or does not follow.
    """
    *lines, rest = content.split(b"\n")
    entries = [_line(line, number, history) for number, line in enumerate(lines, 1)]
    note = ""
    if rest:
        try:
            entries.append(_line(rest, len(lines) + 1, history))
        except SessionCorrupt:
            note = f"The last line of its journal was torn ({len(rest)} bytes) and was cut."
    known = len(history.recorded)
    newer = []
    for entry in entries:
        seq = entry.get("seq")
        if not isinstance(seq, int) or not 1 <= seq <= known:
            newer.append(entry)
        elif entry != history.recorded[seq - 1].line():
            raise history.corrupt(f"its journal says something else about event {seq}")
    return history.followed_by(newer), note


def _line(line: bytes, number: int, history: History) -> JsonObject:
    try:
        entry = json.loads(line)
        exact = canonical(entry) == line
    except (ValueError, RecursionError):
        exact, entry = False, None
    if not exact or not isinstance(entry, dict):
        raise history.corrupt(f"line {number} of its journal was changed")
    return entry


def _parsed(content: bytes, history: History) -> JsonObject:
    try:
        given = json.loads(content.decode(), parse_constant=_not_json)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise history.corrupt(f"it is not UTF-8 at line {line}") from error
    except json.JSONDecodeError as error:
        raise history.corrupt(f"it is not JSON at line {error.lineno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise history.corrupt(f"it is not JSON that can be read: {error}") from error
    if not isinstance(given, dict):
        raise history.corrupt("it is not a JSON object")
    return given


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _check_schema(given: JsonObject, history: History) -> None:
    version = given.get("schemaVersion")
    if version is None:
        raise history.corrupt(
            "it has no schemaVersion, so it was not written by dotai_nb",
            hint="Sessions of other tools can't be opened here.",
        )
    if version != SCHEMA_VERSION:
        raise history.corrupt(
            f"its schemaVersion is {_shown(version)}; this version of dotai_nb reads "
            f"{SCHEMA_VERSION}",
            hint="Open it with the version of dotai_nb that wrote it, or a newer one.",
        )


def _differences(given: Any, expected: Any, path: str) -> Iterator[str]:
    """One sentence a place where the file does not say what its events say."""
    if isinstance(given, dict) and isinstance(expected, dict):
        for key in sorted(given.keys() | expected.keys()):
            inner = f"{path}.{key}" if path else key
            if key not in expected:
                yield f"{inner} does not belong there"
            elif key not in given:
                yield f"{inner} is missing"
            else:
                yield from _differences(given[key], expected[key], inner)
    elif given != expected:
        yield f"{path} says {_shown(given)}, the events say {_shown(expected)}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _check_bytes(content: bytes, expected: bytes, history: History) -> None:
    if content == expected:
        return
    pairs = zip_longest(content.split(b"\n"), expected.split(b"\n"))
    line = next(number for number, (one, other) in enumerate(pairs, 1) if one != other)
    raise history.corrupt(f"line {line} is not written the way this file is written")

"""Text for a model and a person: tables, outlines, and how much of an answer fits."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dotai_nb.session.values import Measured

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dotai_nb.session.canonical import JsonObject

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
# Control characters but tab and newline, and those that reorder or hide what a reader sees.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_PLAIN = re.compile(
    r"[A-Za-z_/][-\w./ @%+=,()]*[\w./)%+=]|[A-Za-z_]|[A-Za-z/][\w./-]*(?::[\w./@-]+)+", re.ASCII
)
_KEYWORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off"})
_NOTE_BYTES = 240


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer as text.

    Attributes:
        measured: how much of it was given; None where there is nothing to count.
    """

    text: str
    measured: Measured | None = None


def tokens(text: str) -> int:
    """How much of a budget a text takes: UTF-8 bytes a third, rounded up."""
    return -(-len(text.encode(errors="replace")) // 3)


def visible(text: str) -> str:
    """Terminal escapes removed; other control and reordering characters as their code points."""
    return _HIDDEN.sub(lambda match: repr(match.group())[1:-1], _ESCAPES.sub("", text))


def trim(obj: JsonObject) -> JsonObject:
    """A copy without `managedFields`, which is bookkeeping and most of a small object's bytes."""
    metadata = {k: v for k, v in (obj.get("metadata") or {}).items() if k != "managedFields"}
    return {**obj, "metadata": metadata} if "metadata" in obj else dict(obj)


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Aligned lines in kubectl's manner, the header first; an empty cell is `<none>`."""
    cells = [[_cell(value) for value in row] for row in rows]
    columns = list(zip(headers, *cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    return [
        "   ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in (list(headers), *cells)
    ]


def rows_reading(
    lines: Sequence[str], *, budget: int, total: int | None, narrow: str, note: str = ""
) -> Reading:
    """A table as an answer: as many rows as fit, and what was left out.

    Args:
        lines: the header, then the rows at hand.
        budget: tokens.
        total: rows there are, of which `lines` may be the first few; None: not known.
        narrow: how to ask for less.
        note: one more line at the end.
    """
    fitting = _fitting(lines, budget * 3 - _NOTE_BYTES - len(note.encode()))
    shown = max(len(fitting) - 1, 0)
    truncated = total is None or shown < total
    notes = [note] if note else []
    if truncated:
        of = f"{total}" if total is not None else f"more than {len(lines) - 1}"
        notes.append(f"Shown: {shown} of {of} rows. {narrow}")
    text = "\n".join((*fitting, *notes))
    return Reading(text, Measured(returned=shown, total=total, truncated=truncated))


def cut(text: str, *, budget: int, narrow: str, keep_end: bool = False) -> Reading:
    """Running text as an answer, cut at a line, and measured in characters.

    Args:
        text: the whole of it.
        budget: tokens.
        narrow: how to ask for less.
        keep_end: keep the last lines rather than the first.
    """
    total = len(text)
    if tokens(text) <= budget:
        return Reading(text, Measured(returned=total, total=total, truncated=False))
    lines = text.split("\n")
    room = budget * 3 - _NOTE_BYTES
    if keep_end:
        kept = "\n".join(reversed(_fitting(lines[::-1], room)))
    else:
        kept = "\n".join(_fitting(lines, room))
    kept = kept or _prefix(lines[-1] if keep_end else lines[0], room)
    note = f"Cut: {len(kept)} of {total} characters are shown. {narrow}"
    joined = f"{note}\n{kept}" if keep_end else f"{kept}\n{note}"
    return Reading(joined, Measured(returned=len(kept), total=total, truncated=True))


def outline(value: Any, indent: str = "") -> str:
    """A value in YAML's block style, with what can't be seen made visible.

    PyYAML takes longer for this than the API server for the object.
    """
    return "\n".join(_outlined(value, indent))


def _outlined(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _titled(f"{indent}{_scalar(key)}:", inner, indent)
    elif isinstance(value, list) and value:
        for inner in value:
            first, *rest = _outlined(inner, indent + "  ")
            yield f"{indent}- {first[len(indent) + 2 :]}"
            yield from rest
    else:
        yield indent + _scalar(value)


def _titled(title: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value.rstrip("\n"):
        yield f"{title} |"
        yield from (f"{indent}  {visible(line)}" for line in value.splitlines())
    elif isinstance(value, dict | list) and value:
        yield title
        yield from _outlined(value, indent + ("  " if isinstance(value, dict) else ""))
    else:
        yield f"{title} {_scalar(value)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _KEYWORDS:
        return value
    return visible(json.dumps(value, ensure_ascii=False))


def age(moment: str, now: datetime | None = None) -> str:
    """How long ago, in kubectl's short form: `45s`, `5m30s`, `3h`, `12d`; `<unknown>` if unsaid."""
    if not moment:
        return "<unknown>"
    passed = (now or datetime.now(UTC)) - datetime.fromisoformat(moment)
    seconds = max(int(passed.total_seconds()), 0)
    for below, unit, name, smaller, smaller_name in _AGES:
        if seconds < below:
            rest = seconds % unit // smaller
            return f"{seconds // unit}{name}" + (f"{rest}{smaller_name}" if rest else "")
    return f"{seconds // _YEAR}y"


_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86_400, 365 * 86_400
# k8s.io/apimachinery/pkg/util/duration: two units while that helps, then one.
_AGES = (
    (2 * _MINUTE, 1, "s", 1, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", _MINUTE, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", _HOUR, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", _DAY, ""),
)


def _cell(value: Any) -> str:
    text = visible(str(value)).replace("\n", " ").replace("\t", " ") if value is not None else ""
    return text or "<none>"


def _fitting(lines: Sequence[str], room: int) -> list[str]:
    kept: list[str] = []
    for line in lines:
        room -= len(line.encode(errors="replace")) + 1
        if room < 0:
            break
        kept.append(line)
    return kept


def _prefix(line: str, room: int) -> str:
    return line.encode(errors="replace")[: max(room, 0)].decode(errors="ignore")

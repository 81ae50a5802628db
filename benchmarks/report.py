"""What was measured, as one table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from benchmarks.timing import Timing

_MILLISECOND = 1e-3


@dataclass(frozen=True, slots=True)
class Faster:
    """At least so many times faster than the peer."""

    times: float


@dataclass(frozen=True, slots=True)
class Within:
    """At most so many times as long as the peer."""

    times: float


@dataclass(frozen=True, slots=True)
class Under:
    """At most so many seconds."""

    seconds: float


Aim = Faster | Within | Under


@dataclass(frozen=True, slots=True)
class Row:
    """One thing of ours beside its peer.

    Attributes:
        aim: None where there is none, and the ratio alone is of interest.
    """

    subject: str
    ours: Timing
    peer: str
    theirs: Timing
    aim: Aim | None = None

    @property
    def ratio(self) -> float:
        """Our time over the peer's."""
        return self.ours.median / self.theirs.median

    @property
    def met(self) -> bool | None:
        """Whether the aim is reached; None without one."""
        match self.aim:
            case Faster(times):
                return self.ratio * times <= 1
            case Within(times):
                return self.ratio <= times
            case Under(seconds):
                return self.ours.median <= seconds
            case None:
                return None
            case _:
                assert_never(self.aim)


def table(rows: Sequence[Row]) -> str:
    """Aligned columns: what, how long, beside whom, the ratio, the aim."""
    header = ("subject", "ours", "peer", "theirs", "ratio", "aim", "")
    lines = [header, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def machine() -> str:
    """What this was measured on, and how busy that was."""
    load = " ".join(f"{average:.2f}" for average in os.getloadavg())
    python = f"Python {platform.python_version()}"
    return f"{python}, {os.cpu_count()} cores, load {load} (1, 5, 15 minutes)"


def save(path: Path, rows: Iterable[Row], *, before: str) -> None:
    """The same as JSON, all times in seconds; the folder is made."""
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "before": before,
        "after": machine(),
        "rows": [_json(row) for row in rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _cells(row: Row) -> tuple[str, ...]:
    mark = {True: "met", False: "MISSED", None: ""}[row.met]
    times = (_shown(row.ours.median), row.peer, _shown(row.theirs.median), _ratio(row.ratio))
    return (row.subject, *times, _aim(row.aim), mark)


def _shown(seconds: float) -> str:
    if seconds < _MILLISECOND:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _ratio(ratio: float) -> str:
    return f"{1 / ratio:.1f} times faster" if ratio < 1 else f"{ratio:.2f} times as long"


def _aim(aim: Aim | None) -> str:
    match aim:
        case Faster(times):
            return f"{times:g} times faster"
        case Within(times):
            return f"at most {times:g} times"
        case Under(seconds):
            return f"at most {seconds:g} s"
        case None:
            return ""
        case _:
            assert_never(aim)


def _json(row: Row) -> dict[str, object]:
    aim = None if row.aim is None else {type(row.aim).__name__.lower(): asdict(row.aim)}
    return {**asdict(row), "ratio": row.ratio, "aim": aim, "met": row.met}

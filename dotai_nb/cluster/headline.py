"""A change in a few words, such as `image nginx:1.19 → nginx:1.20`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.fields import ABSENT, changed, shown, value_at

if TYPE_CHECKING:
    from dotai_nb.session.values import Accepted

LONGEST = 40
"""Characters of a value; what is longer is cut."""

MOST = 3
"""Fields told one by one; the rest are counted."""


def headline(evidence: Accepted) -> str:
    """What an accepted step changes; empty for a create or a delete, which say it themselves."""
    if evidence.before is None or evidence.after is None:
        return ""
    before = evidence.before
    fields = changed(before, evidence.after)
    told = [_told(shown(f), value_at(before, f), new) for f, new in list(fields.items())[:MOST]]
    if len(fields) > MOST:
        told.append(f"{len(fields) - MOST} more fields")
    return ", ".join(told)


def _told(field: str, old: Any, new: Any) -> str:
    name = field.rpartition(".")[2]
    if new is ABSENT:
        return f"{name} removed"
    if old is ABSENT:
        return f"{name} {_short(new)}"
    return f"{name} {_short(old)} → {_short(new)}"


def _short(value: Any) -> str:
    if isinstance(value, dict | list):
        return "…"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

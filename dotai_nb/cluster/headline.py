"""A change in a few words, such as `image nginx:1.19 → nginx:1.20`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.fields import ABSENT, Item, changed, shown, value_at

if TYPE_CHECKING:
    from dotai_nb.cluster.fields import Field
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
    told = [_told(_name(f), value_at(before, f), new) for f, new in list(fields.items())[:MOST]]
    if len(fields) > MOST:
        told.append(f"{len(fields) - MOST} more fields")
    return ", ".join(told)


def _name(field: Field) -> str:
    """The last part, such as `image`; an item of a list with the list's name."""
    return shown(field[-2:] if isinstance(field[-1], Item) else field[-1:])


def _told(name: str, old: Any, new: Any) -> str:
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

"""What of an object may be shown: never a Secret's values, nor kubectl's copy of a manifest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dotai_nb.session.canonical import JsonObject

PLACEHOLDER = "«redacted»"
"""Stands where a Secret's value was."""

CHANGED = "«redacted, another value»"
"""Stands where a Secret's value was that differs from the one it is compared with."""

LEFT_OUT = "«left out»"
"""Stands where a copy was that says nothing new, such as kubectl's last-applied manifest."""

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

COPIES = frozenset({
    "banzaicloud.com/last-applied",
    "kapp.k14s.io/original",
    "objectset.rio.cattle.io/applied",
})  # fmt: skip
"""Annotations in which other tools keep a copy of a manifest, packed or not."""

_MARK = re.compile(r"«(redacted|left out|cut)\b")
_VALUES = ("data", "stringData")


def redact(obj: JsonObject, *, kind: str = "") -> JsonObject:
    """A copy without Secret values and without kubectl's last-applied annotation.

    Objects inside it (items of a list, a watch event's object) are redacted too.

    Args:
        obj: an object, a list of objects, or anything that holds some.
        kind: what it is, for one that does not say so itself: a patch's body, a list's item.
    """
    kind = str(obj.get("kind") or kind)
    result: JsonObject = {}
    for key, value in obj.items():
        if kind == "Secret" and key in _VALUES:
            result[key] = _hidden(value)
        elif key == LAST_APPLIED:
            result[key] = PLACEHOLDER if kind == "Secret" else LEFT_OUT
        elif kind == "Secret" and _may_be_copy(key, value):
            result[key] = PLACEHOLDER
        elif key == "items" and kind.endswith("List"):
            result[key] = _inside(value, kind.removesuffix("List"))
        else:
            # Metadata knows no kind of its own: its annotations belong to the object around it.
            result[key] = _inside(value, kind if key in {"metadata", "annotations"} else "")
    return result


def redact_change(
    before: JsonObject, after: JsonObject, *, kind: str = ""
) -> tuple[JsonObject, JsonObject]:
    """Both redacted, so that a changed Secret value is still seen to change."""
    old, new = redact(before, kind=kind), redact(after, kind=kind)
    if "Secret" in (kind, after.get("kind")):
        for part in _VALUES:
            was, now = before.get(part) or {}, after.get(part)
            if isinstance(was, dict) and isinstance(now, dict):
                new[part] = {key: _compared(key, value, was) for key, value in now.items()}
    return old, new


def holds_placeholder(value: Any) -> bool:
    """Whether a placeholder stands anywhere in it; such a value must never be written back."""
    if isinstance(value, str):
        return _MARK.search(value) is not None
    if isinstance(value, dict):
        return any(holds_placeholder(k) or holds_placeholder(v) for k, v in value.items())
    return isinstance(value, list | tuple) and any(map(holds_placeholder, value))


def _hidden(values: Any) -> Any:
    if isinstance(values, dict):
        return dict.fromkeys(values, PLACEHOLDER)
    return values if values is None else PLACEHOLDER


def _may_be_copy(key: str, value: Any) -> bool:
    """Whether a Secret's annotation may hold its manifest: by its name, or as it is JSON."""
    return isinstance(value, str) and (key in COPIES or value.lstrip().startswith(("{", "[")))


def _compared(key: str, value: Any, others: JsonObject) -> str:
    return CHANGED if key in others and others[key] != value else PLACEHOLDER


def _inside(value: Any, kind: str) -> Any:
    if isinstance(value, dict):
        return redact(value, kind=kind)
    if isinstance(value, list):
        return [_inside(item, kind) for item in value]
    return value

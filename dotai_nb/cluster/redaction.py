"""What may be shown, kept and sent to a model: objects and texts without their secrets.

A value is hidden by its type (a Secret's), by its name (`DB_PASSWORD`), or by its shape (a JSON Web
Token); see docs/decisions/0005. What stands in its place is the same for the same value.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.difference import tokens
from dotai_nb.cluster.naming import is_no_secret, names_a_secret
from dotai_nb.cluster.patterns import redact_text
from dotai_nb.cluster.placeholder import LEFT_OUT, holds_placeholder, placeholder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotai_nb.session.canonical import JsonObject

__all__ = [
    "LAST_APPLIED",
    "LEFT_OUT",
    "by_position",
    "exposes",
    "holds_placeholder",
    "placeholder",
    "redact",
    "redact_text",
    "redact_value",
]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

COPIES = frozenset({
    LAST_APPLIED,
    "banzaicloud.com/last-applied",
    "kapp.k14s.io/original",
    "objectset.rio.cattle.io/applied",
})  # fmt: skip
"""Annotations in which kubectl and other tools keep a copy of a manifest, packed or not."""

_VALUES = ("data", "stringData")
_CONFIG = ("data", "binaryData")
_RELEASE = "sh.helm.release.v1."
_FLAG = re.compile(r"--?[A-Za-z][\w.\-]*")
# A manifest as text, in JSON or YAML, whole or cut off.
_MANIFEST = re.compile(r"""kind\\*["']?\s*:\s*\\*["']?Secret\b""", re.IGNORECASE)
_DATA = re.compile(r"""\b(?:data|stringData)\\*["']?\s*:""")


def redact(obj: JsonObject, *, kind: str = "", strict: bool = False) -> JsonObject:
    """A copy without secrets; objects inside it (items of a list, a watch's object) included.

    Args:
        obj: an object, a list of objects, or anything that holds some.
        kind: what it is, for one that does not say so itself: a patch's body, a list's item.
        strict: hide every environment variable's and every ConfigMap's value too.
    """
    return _Redaction(strict).of_object(obj, kind)


def redact_value(value: Any, *, kind: str = "", strict: bool = False) -> Any:
    """The same of any JSON value: an object, a list such as a JSON patch, a text."""
    return _Redaction(strict).of(value, kind)


def exposes(before: JsonObject, *, shown: tuple[JsonObject, JsonObject]) -> bool:
    """Whether a value that is hidden before would be seen after, under another name.

    A JSON patch can copy a password into an annotation, or rename its variable.

    Args:
        before: the object as it is.
        shown: it and the object as it would be, both redacted.
    """
    seen_before, seen_after = (Counter(_texts(obj)) for obj in shown)
    hidden = Counter(_texts(before)) - seen_before
    return any(
        seen_after[value] > seen_before[value] for value in hidden if not is_no_secret(value)
    )


def by_position(operation: JsonObject) -> bool:
    """Whether a JSON patch operation sets a variable or an argument without naming it.

    Only the object that it is for says what the value is, so it is taken for a secret.
    """
    value, path = operation.get("value"), operation.get("path")
    if "op" not in operation or not isinstance(value, str) or not isinstance(path, str):
        return False
    *above, place, last = ["", "", *tokens(path)]
    argument = place in {"args", "command"} and not value.startswith("-")
    return argument or (above[-1:] == ["env"] and last == "value")


@dataclass(frozen=True, slots=True)
class _Redaction:
    strict: bool

    def of(self, value: Any, kind: str = "") -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return self.of_object(value, kind)
        if isinstance(value, list | tuple):
            return self._list(value, kind)
        return value

    def of_object(self, obj: JsonObject, kind: str) -> JsonObject:
        kind = "Secret" if _is_release(obj) else str(obj.get("kind") or kind)
        result = {key: self._field(key, value, kind) for key, value in obj.items()}
        named = _name_of(obj)
        if named and names_a_secret(named):
            result["value"] = _hidden(obj["value"])
        if by_position(obj) or ("op" in obj and self._speaks_of_config(obj, kind)):
            result["value"] = _all_hidden(obj.get("value"))
        return result

    def _field(self, key: str, value: Any, kind: str) -> Any:
        config = self.strict and kind == "ConfigMap" and key in _CONFIG
        if config or (kind == "Secret" and key in _VALUES):
            return _all_hidden(value)
        if key in COPIES and isinstance(value, str):
            return LEFT_OUT
        if kind == "Secret" and _may_be_copy(value):
            return placeholder(value)
        if self.strict and key == "env" and isinstance(value, list):
            return [_without_value(item) for item in self._list(value, "")]
        if key == "items" and kind.endswith("List"):
            return self.of(value, kind.removesuffix("List"))
        if names_a_secret(key):
            value = _hidden(value)
        # Metadata knows no kind of its own: its annotations belong to the object around it.
        return self.of(value, kind if key in {"metadata", "annotations"} else "")

    def _list(self, items: list[Any] | tuple[Any, ...], kind: str) -> list[Any]:
        """Each item; a command's argument behind a flag such as `--password` is hidden whole."""
        result: list[Any] = []
        flag = False
        for item in items:
            shown = _hidden(item) if flag else item
            result.append(self.of(shown, kind))
            is_flag = isinstance(item, str) and _FLAG.fullmatch(item) is not None
            flag = is_flag and names_a_secret(item)
        return result

    def _text(self, text: str) -> str:
        if _MANIFEST.search(text) and _DATA.search(text):
            return placeholder(text)
        if text.lstrip()[:1] in {"{", "["}:
            text = self._json(text)
        return redact_text(text)

    def _json(self, text: str) -> str:
        """JSON in a string, redacted as what it is; anything else as it was."""
        try:
            value = json.loads(text)
            shown = self.of(value)
        except ValueError:
            return text
        except RecursionError:
            return placeholder(text)
        return text if shown == value else json.dumps(shown, ensure_ascii=False)

    def _speaks_of_config(self, operation: JsonObject, kind: str) -> bool:
        parts = tokens(str(operation.get("path")))
        variable = "env" in parts[:-1] and parts[-1:] == ["value"]
        return self.strict and (variable or (kind == "ConfigMap" and parts[:1] in _CONFIG_PATHS))


_CONFIG_PATHS = [[part] for part in _CONFIG]


def _name_of(obj: JsonObject) -> str:
    """What the `value` of an entry or of a JSON patch operation is a value of."""
    if "value" not in obj:
        return ""
    if "op" in obj and isinstance(obj.get("path"), str):
        return (tokens(obj["path"]) or [""])[-1]
    name = obj.get("name")
    return name if isinstance(name, str) else ""


def _hidden(value: Any) -> Any:
    """A text, or the texts of a list; anything else says what it says by its own fields."""
    if isinstance(value, str):
        return value if is_no_secret(value) else placeholder(value)
    if isinstance(value, list):
        return [_hidden(item) if isinstance(item, str) else item for item in value]
    return value


def _all_hidden(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _all_hidden(value) for key, value in values.items()}
    return values if values is None else placeholder(str(values))


def _without_value(entry: Any) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("value"), str):
        return entry
    return {**entry, "value": _hidden(entry["value"])}


def _is_release(obj: JsonObject) -> bool:
    """Whether it is a Helm release, kept in a Secret or a ConfigMap with all its values."""
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else ""
    typed = str(obj.get("type", "")).startswith("helm.sh/release")
    return typed or (isinstance(name, str) and name.startswith(_RELEASE))


def _may_be_copy(value: Any) -> bool:
    """Whether a Secret's annotation may hold its manifest, as it is JSON."""
    return isinstance(value, str) and value.lstrip().startswith(("{", "["))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)

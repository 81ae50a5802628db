"""What a step changes, line by line: YAML before and after.

The lines are made from the diff in the evidence, applied to the object before, and not from the
two objects beside it: what a person reads is what the digest binds.
"""

from __future__ import annotations

import copy
import difflib
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from dotai_nb.session.canonical import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.values import Accepted

CONTEXT_LINES = 3
BOOKKEEPING = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
)
CONTROLLERS_OWN = frozenset({"deployment.kubernetes.io/revision"})
MISSING: Any = object()
"""Stands for a place that isn't there, where None is JSON's null."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a rendered difference; `hunk` lines separate distant places."""

    kind: Literal["context", "added", "removed", "hunk"]
    text: str

    def __str__(self) -> str:
        sign = {"context": " ", "added": "+", "removed": "-", "hunk": ""}[self.kind]
        return sign + self.text


@dataclass(frozen=True, slots=True)
class Change:
    """One operation of a JSON Patch; `before` and `after` are MISSING where there is nothing."""

    op: str
    path: str
    before: Any
    after: Any


def lines(accepted: Accepted) -> list[Line]:
    """The difference as lines of YAML with three lines of context.

    A patch that can't be applied to the object before is shown as its bare operations.
    """
    try:
        before, after = _ends(accepted)
    except LookupError:
        return [Line("added", canonical(operation).decode()) for operation in accepted.diff]
    old, new = _yaml(before), _yaml(after)
    if not old or not new:  # a whole object comes or goes: no context, no line numbers
        return [*(Line("removed", text) for text in old), *(Line("added", text) for text in new)]
    raw = difflib.unified_diff(old, new, n=CONTEXT_LINES, lineterm="")
    return [_line(text) for text in list(raw)[2:]]


def changes(accepted: Accepted) -> Iterator[Change]:
    """Each operation with the value at its path before and after it."""
    document = copy.deepcopy(accepted.before)
    for operation in accepted.diff:
        op, path = str(operation.get("op", "")), str(operation.get("path", ""))
        before = MISSING if op == "add" and _adds(document, path) else _at(document, path)
        after = MISSING if op == "remove" else operation.get("value", MISSING)
        yield Change(op, path, before, after)
        with suppress(LookupError):  # its value before is then missing, which is what is shown
            document = _applied(document, op, path, after)


def _ends(accepted: Accepted) -> tuple[Any, Any]:
    before = trimmed(accepted.before)
    if accepted.before is None or accepted.after is None:
        return before, trimmed(accepted.after)
    document = copy.deepcopy(before)
    for operation in accepted.diff:
        value = operation.get("value", MISSING)
        document = _applied(document, str(operation.get("op")), str(operation.get("path")), value)
    return before, document


def trimmed(item: JsonObject | None) -> JsonObject | None:
    """The object without `status` and bookkeeping: that to which the evidence's diff applies."""
    if item is None:
        return None
    kept = {key: value for key, value in copy.deepcopy(item).items() if key != "status"}
    metadata = kept.get("metadata")
    if not isinstance(metadata, dict):
        return kept
    metadata = {key: value for key, value in metadata.items() if key not in BOOKKEEPING}
    annotations = metadata.pop("annotations", None) or {}
    if own := {key: value for key, value in annotations.items() if key not in CONTROLLERS_OWN}:
        metadata["annotations"] = own
    return {**kept, "metadata": metadata}


def _line(text: str) -> Line:
    match text[:1]:
        case "+":
            return Line("added", text[1:])
        case "-":
            return Line("removed", text[1:])
        case "@":
            return Line("hunk", text)
        case _:
            return Line("context", text[1:])


def _yaml(item: Any) -> list[str]:
    if item is None:
        return []
    import yaml

    text: str = yaml.dump(
        item, Dumper=_dumper(), sort_keys=False, default_flow_style=False, allow_unicode=True,
        width=1000,
    )  # fmt: skip
    return text.split("\n")[:-1]


@lru_cache(maxsize=1)
def _dumper() -> Any:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Several lines of text as a block, no anchors."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return Dumper


def _parts(path: str) -> list[str]:
    """A JSON Pointer's parts (RFC 6901)."""
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _at(document: Any, path: str) -> Any:
    return _walk(document, _parts(path))


def _member(holder: Any, part: str) -> Any:
    if isinstance(holder, dict):
        return holder.get(part, MISSING)
    if isinstance(holder, list) and part.isdigit() and int(part) < len(holder):
        return holder[int(part)]
    return MISSING


def _adds(document: Any, path: str) -> bool:
    """Whether `add` at this path makes an object or inserts into a list: nothing was there."""
    if not path:
        return document is None
    return isinstance(_walk(document, _parts(path)[:-1]), list)


def _walk(document: Any, way: Iterable[str]) -> Any:
    for part in way:
        document = _member(document, part)
    return document


def _applied(document: Any, op: str, path: str, value: Any) -> Any:
    """The document after one operation.

    Raises:
        LookupError: the path leads nowhere in this document.
    """
    if not path:
        return None if op == "remove" else copy.deepcopy(value)
    *way, last = _parts(path)
    holder = _walk(document, way)
    if isinstance(holder, list):
        _edit_list(holder, op, last, value)
    elif not isinstance(holder, dict):
        raise LookupError(path)  # noqa: TRY004 - a matter of the path, not of a caller's types
    elif op == "remove":
        del holder[last]
    else:
        holder[last] = copy.deepcopy(value)
    return document


def _edit_list(holder: list[Any], op: str, part: str, value: Any) -> None:
    position = len(holder) if part == "-" else int(part) if part.isdigit() else -1
    if not 0 <= position <= len(holder) - (op != "add"):
        raise LookupError(part)
    if op == "add":
        holder.insert(position, copy.deepcopy(value))
    elif op == "remove":
        del holder[position]
    else:
        holder[position] = copy.deepcopy(value)

"""What changes between two objects, as RFC 6902 operations that a person can read.

Our own, because a review needs what general libraries don't give: no `move` or `copy`, which hide
a value; `1`, `1.0` and `true` told apart, because a digest does; and the items of a list of named
objects (containers, volumes, ports) matched by name, so that one new container is one operation.
"""

from __future__ import annotations

from copy import deepcopy
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from dotai_nb.session.canonical import JsonObject, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BOOKKEEPING = frozenset({
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
})  # fmt: skip
"""Metadata that the API server keeps for itself; a dry run of a create invents it."""

CONTROLLERS_OWN = frozenset({"deployment.kubernetes.io/revision"})
"""Annotations that a controller counts up after each change."""


def normalised(obj: JsonObject) -> JsonObject:
    """The object without `status` and bookkeeping: what a person or a program can mean by it."""
    kept = {key: value for key, value in obj.items() if key != "status"}
    metadata = {k: v for k, v in obj.get("metadata", {}).items() if k not in BOOKKEEPING}
    annotations = metadata.pop("annotations", None) or {}
    if own := {k: v for k, v in annotations.items() if k not in CONTROLLERS_OWN}:
        metadata["annotations"] = own
    return {**kept, "metadata": metadata}


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same JSON; `1`, `1.0` and `true` are three values."""
    if isinstance(a, dict):
        whole = isinstance(b, dict) and a.keys() == b.keys()
        return whole and all(same(value, b[key]) for key, value in a.items())
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and bool(a == b)


def difference(before: JsonObject | None, after: JsonObject | None) -> tuple[JsonObject, ...]:
    """The operations (`add`, `remove`, `replace`) from one normalised object to the other.

    None stands for no object: a create adds the whole at `""`, a delete removes it there.
    """
    if before is None:
        return () if after is None else (_operation("add", "", normalised(after)),)
    if after is None:
        return (_operation("remove", ""),)
    return tuple(_between(normalised(before), normalised(after), ""))


def apply_patch(obj: JsonObject | None, operations: Iterable[JsonObject]) -> JsonObject | None:
    """The object after `operations`, which are of the three kinds that `difference` makes.

    Raises:
        KeyError, IndexError, ValueError: an operation does not fit the object.
    """
    whole: Any = {"": deepcopy(obj)}
    for operation in operations:
        *parents, last = ["", *tokens(operation["path"])]
        place = whole
        for token in parents:
            place = place[_index(place, token)]
        _put(place, last, operation)
    result: JsonObject | None = whole.get("")
    return result


def tokens(pointer: str) -> list[str]:
    """The unescaped parts of a JSON pointer (RFC 6901)."""
    return [p.replace("~1", "/").replace("~0", "~") for p in pointer.split("/")[1:]]


def pointer(parts: Iterable[str]) -> str:
    """A JSON pointer of unescaped parts."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def names_of(items: list[Any]) -> list[str] | None:
    """The names of a list of objects that are told apart by `name`; None for any other list."""
    names = [item.get("name") for item in items if isinstance(item, dict)]
    named = [name for name in names if isinstance(name, str)]
    unique = len(named) == len(items) == len(set(named))
    return named if unique else None


def _operation(op: str, path: str, *value: Any) -> JsonObject:
    operation: JsonObject = {"op": op, "path": path}
    return {**operation, "value": value[0]} if value else operation


def _between(a: Any, b: Any, path: str) -> Iterator[JsonObject]:
    if same(a, b):
        return
    if isinstance(a, dict) and isinstance(b, dict):
        yield from _between_objects(a, b, path)
    elif isinstance(a, list) and isinstance(b, list):
        yield from _between_lists(a, b, path)
    else:
        yield _operation("replace", path, b)


def _between_objects(a: JsonObject, b: JsonObject, path: str) -> Iterator[JsonObject]:
    for key in sorted(a.keys() | b.keys()):
        below = path + pointer([key])
        if key not in b:
            yield _operation("remove", below)
        elif key not in a:
            yield _operation("add", below, b[key])
        else:
            yield from _between(a[key], b[key], below)


def _between_lists(a: list[Any], b: list[Any], path: str) -> Iterator[JsonObject]:
    names_a, names_b = names_of(a), names_of(b)
    named = names_a is not None and names_b is not None
    keys_a = names_a if named and names_a else [canonical(item) for item in a]
    keys_b = names_b if named and names_b else [canonical(item) for item in b]
    matcher: SequenceMatcher[Any] = SequenceMatcher(None, keys_a, keys_b, autojunk=False)
    at = 0  # where we are in the list as the operations so far have left it
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        paired = 0 if tag in {"delete", "insert"} else min(i_end - i, j_end - j)
        for offset in range(paired):
            old, new, below = a[i + offset], b[j + offset], f"{path}/{at}"
            if tag == "replace" and named:
                yield _operation("replace", below, new)
            else:
                yield from _between(old, new, below)
            at += 1
        for _ in range(i + paired, i_end):
            yield _operation("remove", f"{path}/{at}")
        for item in b[j + paired : j_end]:
            yield _operation("add", f"{path}/{at}", item)
            at += 1


def _index(place: Any, token: str) -> Any:
    return int(token) if isinstance(place, list) else token


def _put(place: Any, token: str, operation: JsonObject) -> None:
    key = _index(place, token)
    match operation["op"]:
        case "add" if isinstance(place, list):
            if key > len(place):
                raise IndexError(operation["path"])
            place.insert(key, deepcopy(operation["value"]))
        case "add":
            place[key] = deepcopy(operation["value"])
        case "replace":
            place[key]  # a missing place is an error, not an addition
            place[key] = deepcopy(operation["value"])
        case "remove":
            del place[key]
        case other:
            raise ValueError(f"{other} is not an operation that a difference has.")

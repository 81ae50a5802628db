"""Which fields two objects differ in, and which a request speaks of; by name, not by position.

`spec.template.spec.containers[web].image` stays the same field when a container is put in front,
which a JSON pointer's `/containers/0/image` does not.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.difference import names_of, normalised, same, tokens
from dotai_nb.cluster.manifest import APPLY_PATCH, MERGE_PATCH
from dotai_nb.cluster.request import JSON_PATCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.values import Step


@dataclass(frozen=True, slots=True)
class Item:
    """The item of that name in a list of named objects."""

    name: str


Field = tuple[str | Item, ...]

ABSENT: Any = object()
"""The value of a field that is not there."""


def shown(field: Field) -> str:
    """`spec.template.spec.containers[web].image`."""
    parts = (f"[{p.name}]" if isinstance(p, Item) else f".{p}" for p in field)
    return "".join(parts).lstrip(".")


def changed(before: JsonObject, after: JsonObject) -> dict[Field, Any]:
    """The fields in which two normalised objects differ, with the value after, or `ABSENT`.

    A list, or an item of one, that is added is one entry, as is anything that is removed.
    """
    return dict(_changed(normalised(before), normalised(after), ()))


def value_at(obj: Any, field: Field) -> Any:
    """The value of a field, or `ABSENT`."""
    for part in field:
        members = _members(obj)
        if members is None or part not in members:
            return ABSENT
        obj = members[part]
    return obj


def carry(changes: Mapping[Field, Any], onto: JsonObject) -> JsonObject:
    """A copy of the object with those fields set or removed.

    Raises:
        LookupError: a field has no place there.
    """
    result = deepcopy(onto)
    for field, value in changes.items():
        _set(result, field, value)
    return result


def touched(step: Step, live: JsonObject, after: JsonObject) -> set[Field]:
    """The fields that a step's request sets, those included that have their value already."""
    return {*changed(live, after), *_spoken_of(step, live)}


def overlap(a: Iterable[Field], b: Iterable[Field]) -> list[Field]:
    """The fields of `a` that are, hold, or lie in a field of `b`."""
    others = list(b)
    return [x for x in a if any(x[: len(y)] == y[: len(x)] for y in others)]


def _members(value: Any) -> dict[str | Item, Any] | None:
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, list) and (names := names_of(value)) is not None:
        return {Item(name): item for name, item in zip(names, value, strict=True)}
    return None


def _changed(a: Any, b: Any, field: Field) -> Iterator[tuple[Field, Any]]:
    if same(a, b):
        return
    old, new = _members(a), _members(b)
    if old is None or new is None or type(a) is not type(b):
        yield field, b
        return
    if old.keys() == new.keys() and list(old) != list(new) and isinstance(a, list):
        yield field, b  # the same items in another order
        return
    for part in dict.fromkeys((*old, *new)):
        if part not in new:
            yield (*field, part), ABSENT
        elif part in old:
            yield from _changed(old[part], new[part], (*field, part))
        elif isinstance(new[part], dict) and new[part] and isinstance(part, str):
            yield from _changed({}, new[part], (*field, part))
        else:
            yield (*field, part), new[part]


def _set(place: Any, field: Field, value: Any) -> None:
    *parents, last = field
    for part in parents:
        if isinstance(part, str) and isinstance(place, dict):
            place = place.setdefault(part, {})
        else:
            place = place[_position(place, part)]
    names = names_of(place) if isinstance(place, list) else None
    if isinstance(last, str) and isinstance(place, dict):
        _replace(place, last, value, present=last in place)
    elif isinstance(last, str) or names is None:
        raise LookupError(shown(field))
    elif last.name in names:
        _replace(place, names.index(last.name), value, present=True)
    elif value is not ABSENT:
        place.append(deepcopy(value))


def _replace(place: Any, key: str | int, value: Any, *, present: bool) -> None:
    if value is not ABSENT:
        place[key] = deepcopy(value)
    elif present:
        del place[key]


def _position(place: Any, part: str | Item) -> int:
    names = names_of(place) if isinstance(place, list) else None
    if not isinstance(part, Item) or names is None or part.name not in names:
        raise LookupError(part)
    return names.index(part.name)


def _spoken_of(step: Step, live: JsonObject) -> Iterator[Field]:
    if step.content_type == JSON_PATCH:
        for operation in step.body:
            for key in ("path", "from"):
                if key in operation:
                    yield _field_of(operation[key], live)
    elif isinstance(step.body, dict):
        by_name = step.content_type != MERGE_PATCH
        yield from _leaves(step.body, (), by_name=by_name)


def _leaves(value: Any, field: Field, *, by_name: bool) -> Iterator[Field]:
    members = _members(value) if isinstance(value, dict) or by_name else None
    if not members or any(isinstance(part, str) and part.startswith("$") for part in members):
        # A directive such as `$patch: replace` speaks of all that is here.
        yield field
        return
    for part, below in members.items():
        yield from _leaves(below, (*field, part), by_name=by_name)


def _field_of(path: str, live: JsonObject) -> Field:
    """The field of a JSON pointer; the whole list where an operation moves its items."""
    field: list[str | Item] = []
    place: Any = live
    parts = tokens(path)
    for position, part in enumerate(parts):
        if isinstance(place, list):
            names = names_of(place)
            is_last = position == len(parts) - 1
            if names is None or is_last or not part.isdigit() or int(part) >= len(names):
                return tuple(field)
            field.append(Item(names[int(part)]))
            place = place[int(part)]
        else:
            field.append(part)
            place = place.get(part) if isinstance(place, dict) else None
    return tuple(field)


def replaces_all(step: Step) -> bool:
    """Whether the request states everything its sender wants, as server-side apply does."""
    return step.content_type == APPLY_PATCH

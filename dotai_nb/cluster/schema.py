"""The fields of a kind, as `kubectl explain` tells them, as deep as the budget allows."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.printing import Reading, rows_reading, tokens, visible
from dotai_nb.errors import ApiError
from dotai_nb.session.values import Measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dotai_nb.cluster.connection import Connection
    from dotai_nb.session.canonical import JsonObject

_DEEPEST = 8
_NOTE = 40
_LONGEST = 160


async def crd_schema(c: Connection, *, resource: str, field: str = "", budget: int) -> Reading:
    """The schema of a type, built in or custom: each field's type, whether it is required, and why.

    Args:
        c: the cluster.
        resource: the type, as kubectl takes it.
        field: a path such as `spec.template.spec`; empty for the whole kind.
        budget: tokens.

    Raises:
        ApiError: no such type or field, or no permission to read the schemas.
    """
    kind = await c.discovery.resolve(resource)
    whole = await c.discovery.schema(kind)
    document = await c.discovery.openapi.document(kind.group, kind.version)
    definitions = document.get("components", {}).get("schemas", {})

    def resolved(schema: JsonObject) -> JsonObject:
        return c.discovery.openapi.followed(definitions, schema)

    schema = resolved(whole)
    for step in filter(None, field.replace("[]", "").strip(".").split(".")):
        schema = _at(schema, step, field, resolved)
    head = f"{kind.kind} ({kind.api_version}){' ' + field if field else ''}: {_about(schema)}"
    top = list(_fields(schema, 1, resolved))
    best = rows_reading(
        [head, *top], budget=budget, total=len(top), narrow="Name a field such as spec."
    )
    for depth in range(1, _DEEPEST + 1):
        lines = _up_to(budget - tokens(head) - _NOTE, _fields(schema, depth, resolved))
        if lines is None:
            break
        note = f"Fields deeper than {depth} are not listed: ask again with a field."
        deeper = any(True for _ in islice(_fields(schema, depth + 1, resolved), len(lines), None))
        text = "\n".join((head, *lines, *([note] if deeper else [])))
        best = Reading(text, Measured(returned=len(lines), total=len(lines), truncated=False))
        if not deeper:
            break
    return best


def _up_to(room: int, lines: Iterator[str]) -> list[str] | None:
    """All the lines, or None as soon as they take more than `room` tokens.

    A schema may hold itself: the lines of a great depth are never made in full.
    """
    kept = []
    for line in lines:
        room -= tokens(line) + 1
        if room < 0:
            return None
        kept.append(line)
    return kept


def _at(
    schema: JsonObject, step: str, field: str, resolved: Callable[[JsonObject], JsonObject]
) -> JsonObject:
    inner = _element(schema, resolved)
    properties = inner.get("properties") or {}
    if step not in properties:
        raise ApiError(
            f"There is no field {field!r}: {step!r} is not known.",
            code=404,
            reason="NotFound",
            hint=f"Fields there: {', '.join(properties) or 'none'}.",
        )
    return resolved(properties[step])


def _element(schema: JsonObject, resolved: Callable[[JsonObject], JsonObject]) -> JsonObject:
    """What a list or a map holds; the schema itself for anything else."""
    held = schema.get("items") or schema.get("additionalProperties")
    return _element(resolved(held), resolved) if isinstance(held, dict) else schema


def _fields(
    schema: JsonObject, depth: int, resolved: Callable[[JsonObject], JsonObject], indent: int = 1
) -> Iterator[str]:
    inner = _element(schema, resolved)
    required = inner.get("required") or ()
    for name, stub in (inner.get("properties") or {}).items():
        field = resolved(stub)
        mark = ", required" if name in required else ""
        line = f"{'  ' * indent}{name} <{_type(field, resolved)}{mark}> {_about(field)}"
        yield line.rstrip()
        # What every object's metadata has needs no telling.
        if depth > 1 and (name, indent) != ("metadata", 1):
            yield from _fields(field, depth - 1, resolved, indent + 1)


def _type(schema: JsonObject, resolved: Callable[[JsonObject], JsonObject]) -> str:
    if isinstance(items := schema.get("items"), dict):
        return f"[]{_type(resolved(items), resolved)}"
    if isinstance(values := schema.get("additionalProperties"), dict):
        return f"map of {_type(resolved(values), resolved)}"
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return "integer or string"
    named = str(schema.get("format") or schema.get("type") or "any")
    if choices := schema.get("enum"):
        named += f": {' | '.join(map(str, choices))}"
    for limit in ("minimum", "maximum", "pattern", "default"):
        if limit in schema and schema[limit] not in ({}, ""):
            named += f", {limit} {_short(schema[limit])}"
    return named


def _about(schema: JsonObject) -> str:
    first, _, _ = str(schema.get("description") or "").replace("\n", " ").partition(". ")
    return _short(first)


def _short(value: Any) -> str:
    text = visible(str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

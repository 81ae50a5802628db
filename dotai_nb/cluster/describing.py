"""One object: what it is, how it stands, what happened to it; and any field of it as JSON."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.events import EVENT_COLUMNS, event_rows
from dotai_nb.cluster.paging import answered
from dotai_nb.cluster.printing import Reading, age, cut, outline, table, tokens, trim, visible
from dotai_nb.cluster.redaction import redact
from dotai_nb.cluster.request import Request
from dotai_nb.errors import ApiError
from dotai_nb.session.values import Measured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotai_nb.cluster.connection import Connection
    from dotai_nb.cluster.discovery import ResourceType
    from dotai_nb.session.canonical import JsonObject

_EVENTS = 20
_DEPTH = 12
_STEP = re.compile(r"""\.?([^.\[\]'"]+)|\[(\d+)\]|\[(?:'([^']+)'|"([^"]+)")\]""")
_HEADED = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
_TOLD = frozenset(
    {"name", "namespace", "labels", "annotations", "ownerReferences", "creationTimestamp"}
)


async def describe(
    c: Connection, *, resource: str, name: str, namespace: str = "", budget: int
) -> Reading:
    """An object's facts, conditions and events first; its spec last, where a cut hurts least.

    Args:
        c: the cluster.
        resource: its type, as kubectl takes it.
        name: its name.
        namespace: empty for the context's own.
        budget: tokens.

    Raises:
        ApiError: no such type, object or permission.
    """
    kind = await c.discovery.resolve(resource)
    obj, happened = await asyncio.gather(
        _read(c, kind, name, namespace), _events(c, kind, name, namespace)
    )
    sections = [_head(kind, obj), *_conditions(obj), f"Events:\n{happened}", *_body(obj)]
    return cut(
        "\n".join(sections),
        budget=budget,
        narrow="Read one part with kubectl_get_resource_json and a field such as spec.template.",
    )


async def resource_json(  # noqa: PLR0913 -- kubectl's own options
    c: Connection, *, resource: str, name: str, namespace: str = "", field: str = "", budget: int
) -> Reading:
    """An object, or one field of it, as JSON; what does not fit is folded, the deepest first.

    Args:
        c: the cluster.
        resource: its type, as kubectl takes it.
        name: its name.
        namespace: empty for the context's own.
        field: a path such as `spec.template.spec.containers[0].image`, or
            `metadata.annotations['example.com/key']`.
        budget: tokens.

    Raises:
        ApiError: no such type, object, field or permission.
    """
    kind = await c.discovery.resolve(resource)
    value: Any = await _read(c, kind, name, namespace)
    for step in _steps(field):
        value = _inside(value, step, field)
    whole = _json(value)
    if tokens(whole) <= budget:
        return Reading(whole, Measured(returned=len(whole), total=len(whole), truncated=False))
    narrow = "Folded parts are marked; read one with a longer field."
    for depth in range(_DEPTH, 0, -1):
        folded = _json(_folded(value, depth)) + f"\n{narrow}"
        if tokens(folded) <= budget:
            return Reading(folded, Measured(returned=len(folded), total=len(whole), truncated=True))
    return cut(whole, budget=budget, narrow="Read one part of it with a longer field.")


async def _read(c: Connection, kind: ResourceType, name: str, namespace: str) -> JsonObject:
    request = Request(
        verb="get",
        group=kind.group,
        version=kind.version,
        resource=kind.plural,
        namespace=(namespace or c.namespace) if kind.namespaced else "",
        name=name,
    )
    return redact(trim((await answered(c, request)).body), strict=c.strict)


async def _events(c: Connection, kind: ResourceType, name: str, namespace: str) -> str:
    where = (namespace or c.namespace) if kind.namespaced else "default"
    selector = f"involvedObject.kind={kind.kind},involvedObject.name={name}"
    try:
        rows, _ = await event_rows(c, where, selector)
    except ApiError as error:
        return f"  could not be read: {error.message}"
    if not rows:
        return "  none"
    lines = table(EVENT_COLUMNS, rows[-_EVENTS:])
    older = [f"{len(rows) - _EVENTS} older events are not shown."] if len(rows) > _EVENTS else []
    return _indented("\n".join((*lines, *older)))


def _head(kind: ResourceType, obj: JsonObject) -> str:
    metadata = obj.get("metadata") or {}
    owners = [f"{o['kind']}/{o['name']}" for o in metadata.get("ownerReferences") or ()]
    facts = {
        "Kind": f"{kind.kind} ({kind.api_version})",
        "Name": metadata.get("name"),
        "Namespace": metadata.get("namespace"),
        "Age": age(metadata.get("creationTimestamp", "")),
        "Controlled by": ", ".join(owners),
    }
    lines = [f"{title + ':':<15}{visible(str(fact))}" for title, fact in facts.items() if fact]
    lines += [
        f"{title.capitalize()}:\n{_indented(outline(metadata[title]))}"
        for title in ("labels", "annotations")
        if metadata.get(title)
    ]
    rest = {key: value for key, value in metadata.items() if key not in _TOLD}
    return "\n".join((*lines, f"Metadata:\n{_indented(outline(rest))}"))


def _conditions(obj: JsonObject) -> Iterator[str]:
    conditions = _mapping(obj.get("status")).get("conditions")
    if isinstance(conditions, list) and conditions:
        headers = ("TYPE", "STATUS", "AGE", "REASON", "MESSAGE")
        rows = [_condition_row(_mapping(one)) for one in conditions]
        yield "Conditions:\n" + _indented("\n".join(table(headers, rows)))


def _condition_row(one: JsonObject) -> tuple[Any, ...]:
    since = age(str(one.get("lastTransitionTime") or ""))
    return one.get("type"), one.get("status"), since, one.get("reason"), one.get("message")


def _body(obj: JsonObject) -> Iterator[str]:
    status = {k: v for k, v in _mapping(obj.get("status")).items() if k != "conditions"}
    others = {key: value for key, value in obj.items() if key not in _HEADED}
    for title, value in (("status", status), *others.items(), ("spec", obj.get("spec"))):
        if value:
            yield f"{title[:1].upper()}{title[1:]}:\n{_indented(outline(value))}"


def _mapping(value: Any) -> JsonObject:
    """A custom resource may hold anything under the usual names."""
    return value if isinstance(value, dict) else {}


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))


def _json(value: Any) -> str:
    return visible(json.dumps(value, ensure_ascii=False, indent=1))


def _steps(field: str) -> list[str | int]:
    text = field.strip().removeprefix("$").removeprefix("{").removesuffix("}")
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            raise ApiError(
                f"{field!r} is not a field path.",
                code=400,
                reason="BadRequest",
                hint="Write it like spec.template.spec.containers[0].image.",
            )
        key, index, *quoted = match.groups()
        steps.append(int(index) if index else key or quoted[0] or quoted[1])
        position = match.end()
    return steps


def _inside(value: Any, step: str | int, field: str) -> Any:
    if isinstance(step, int) and isinstance(value, list) and step < len(value):
        return value[step]
    if isinstance(step, str) and isinstance(value, dict) and step in value:
        return value[step]
    has = ", ".join(value) if isinstance(value, dict) else type(value).__name__
    if isinstance(value, list):
        has = f"a list of {len(value)}"
    raise ApiError(
        f"There is no field {field!r}: nothing at {step!r}.",
        code=404,
        reason="NotFound",
        hint=f"What is there instead: {has}.",
    )


def _folded(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        if depth == 0 and value:
            return f"«cut: an object with {', '.join(list(value)[:8])}»"
        return {key: _folded(inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, list):
        if depth == 0 and value:
            return f"«cut: a list of {len(value)}»"
        return [_folded(inner, depth - 1) for inner in value]
    return value

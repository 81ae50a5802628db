"""Lists as kubectl prints them: the API server makes the columns."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.paging import PAGE, answered, columns_and_rows, nothing, pages
from dotai_nb.cluster.printing import Reading, rows_reading, table
from dotai_nb.cluster.redaction import redact
from dotai_nb.cluster.request import Request
from dotai_nb.errors import ApiError
from dotai_nb.session.values import Measured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dotai_nb.cluster.connection import Connection
    from dotai_nb.cluster.discovery import ResourceType
    from dotai_nb.session.canonical import JsonObject

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
"""Rows and columns instead of objects: a hundredth of the bytes for a long list."""

_NARROW = "Narrow with a name, namespace, label_selector or field_selector."


@dataclass(frozen=True, slots=True)
class _Query:
    name: str
    namespace: str
    label_selector: str
    field_selector: str
    all_namespaces: bool
    wide: bool

    def described(self) -> str:
        """How the list was narrowed, for an empty answer."""
        parts = [f"in {self.namespace} namespace"] if self.namespace else []
        for what, selector in (("label", self.label_selector), ("field", self.field_selector)):
            parts += [f"with {what} selector {selector!r}"] if selector else []
        return "".join(f" {part}" for part in parts)


async def api_resources(c: Connection, *, group: str = "", budget: int) -> Reading:
    """The types of the cluster, as `kubectl api-resources -o wide` lists them.

    Args:
        c: the cluster.
        group: an API group, `core` for the core group; empty for all.
        budget: tokens.
    """
    types = await c.discovery.preferred()
    if group:
        types = tuple(t for t in types if t.group == group.removesuffix("core"))
    if not types:
        raise ApiError(
            f"The server has no API group {group!r}.",
            code=404,
            reason="NotFound",
            hint="Ask without a group to see all types.",
        )
    rows = [
        (t.plural, ",".join(t.short_names), t.api_version, t.namespaced, t.kind, ",".join(t.verbs))
        for t in types
    ]
    lines = table(("NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", "VERBS"), rows)
    return rows_reading(lines, budget=budget, total=len(rows), narrow="Narrow with a group.")


async def get(  # noqa: PLR0913 -- kubectl's own options
    c: Connection,
    *,
    resource: str,
    name: str = "",
    namespace: str = "",
    all_namespaces: bool = False,
    label_selector: str = "",
    field_selector: str = "",
    wide: bool = False,
    budget: int,
) -> Reading:
    """Objects as the table that `kubectl get` shows.

    Args:
        c: the cluster.
        resource: a type as kubectl takes it, several with commas, a category, or `TYPE/NAME`.
        name: of one object; with `all_namespaces`, wherever it is.
        namespace: empty for the context's own.
        all_namespaces: instead of one.
        label_selector: as `kubectl -l` takes it.
        field_selector: as `kubectl --field-selector` takes it.
        wide: the columns of `-o wide` too.
        budget: tokens.

    Raises:
        ApiError: no such type, object or permission.
    """
    if "/" in resource and not name:
        resource, name = resource.split("/", 1)
    types = await _types(c, resource)
    query = _Query(name, namespace, label_selector, field_selector, all_namespaces, wide)
    if len(types) == 1:
        return await _get(c, types[0], query, budget)
    share = max(budget // len(types), 100)
    answers = await asyncio.gather(
        *(_get(c, kind, query, share) for kind in types), return_exceptions=True
    )
    return _joined(types, answers)


async def _types(c: Connection, resource: str) -> tuple[ResourceType, ...]:
    if members := await c.discovery.in_category(resource.strip().lower()):
        return members
    names = [name.strip() for name in resource.split(",") if name.strip()]
    return tuple([await c.discovery.resolve(name) for name in names or [resource]])


async def _get(c: Connection, kind: ResourceType, query: _Query, budget: int) -> Reading:
    everywhere = query.all_namespaces and kind.namespaced
    namespace = (query.namespace or c.namespace) if kind.namespaced and not everywhere else ""
    query = replace(query, namespace=namespace)
    if query.name and not everywhere:
        return await _one(c, kind, query, budget)
    request = Request(
        verb="list",
        group=kind.group,
        version=kind.version,
        resource=kind.plural,
        namespace=namespace,
        query=_parameters(query, everywhere=everywhere),
        accept=TABLE,
    )
    rows, columns, total = await pages(c, request, "rows")
    if not rows:
        return await nothing(c, f"No resources found{query.described()}.", namespace)
    lines = _lines(columns, rows, query, everywhere=everywhere)
    return rows_reading(lines, budget=budget, total=total, narrow=_NARROW)


async def _one(c: Connection, kind: ResourceType, query: _Query, budget: int) -> Reading:
    request = Request(
        verb="get",
        group=kind.group,
        version=kind.version,
        resource=kind.plural,
        namespace=query.namespace,
        name=query.name,
        query={"includeObject": "None"},
        accept=TABLE,
    )
    body = (await answered(c, request)).body
    columns, rows = columns_and_rows(body, "rows")
    lines = _lines(columns, rows, query, everywhere=False)
    return rows_reading(lines, budget=budget, total=len(rows), narrow=_NARROW)


def _parameters(query: _Query, *, everywhere: bool) -> dict[str, str]:
    fields = [query.field_selector] if query.field_selector else []
    fields += [f"metadata.name={query.name}"] if query.name else []
    given = {
        # A row tells its namespace only with the object's metadata.
        "includeObject": "Metadata" if everywhere else "None",
        "labelSelector": query.label_selector,
        "fieldSelector": ",".join(fields),
        "limit": str(PAGE),
    }
    return {name: value for name, value in given.items() if value}


def _lines(
    columns: Sequence[JsonObject], rows: Sequence[JsonObject], query: _Query, *, everywhere: bool
) -> list[str]:
    chosen = [i for i, col in enumerate(columns) if query.wide or not col.get("priority")]
    headers = [columns[i]["name"].upper() for i in chosen]
    cells = [_hidden(headers, [row["cells"][i] for i in chosen]) for row in rows]
    if everywhere:
        headers.insert(0, "NAMESPACE")
        for row, line in zip(rows, cells, strict=True):
            line.insert(0, row["object"]["metadata"].get("namespace"))
    return table(headers, cells)


def _hidden(headers: Sequence[str], cells: Sequence[Any]) -> list[Any]:
    """A row without secrets; a custom resource may have a column for one.

    A column headed SECRET has names of Secrets.
    """
    named = ("" if header == "SECRET" else header for header in headers)
    return [redact({name: cell})[name] for name, cell in zip(named, cells, strict=True)]


def _joined(types: Sequence[ResourceType], answers: Sequence[Reading | BaseException]) -> Reading:
    """Several types in one answer: what failed is told beside what did not, the empty ones last."""
    sections: list[str] = []
    empty: list[str] = []
    measured: list[Measured] = []
    said = ""
    for kind, answer in zip(types, answers, strict=True):
        if isinstance(answer, ApiError):
            sections.append(f"{kind}: could not be read: {answer.message}")
        elif isinstance(answer, BaseException):
            raise answer
        elif answer.measured and answer.measured.total == 0:
            empty.append(str(kind))
            said = answer.text
        else:
            sections.append(f"{kind}:\n{answer.text}")
        measured += [answer.measured] if isinstance(answer, Reading) and answer.measured else []
    if not measured:
        raise next(answer for answer in answers if isinstance(answer, ApiError))
    if empty:
        sections.append(f"{said} ({', '.join(empty)})")
    return Reading("\n\n".join(sections), _sum(measured, partial=len(measured) < len(types)))


def _sum(parts: Sequence[Measured], *, partial: bool) -> Measured:
    totals = [part.total for part in parts]
    return Measured(
        returned=sum(part.returned for part in parts),
        total=None if partial or None in totals else sum(filter(None, totals)),
        truncated=partial or any(part.truncated for part in parts),
    )

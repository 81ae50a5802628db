"""Long lists page by page, and answers that don't hide why there is nothing."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from dotai_nb.cluster.printing import Reading, age
from dotai_nb.cluster.request import Reply, Request
from dotai_nb.errors import ApiError
from dotai_nb.session.values import Measured

if TYPE_CHECKING:
    from dotai_nb.cluster.connection import Connection
    from dotai_nb.session.canonical import JsonObject

PAGE = 500
"""Objects asked for at once."""

_PAGES = 10


async def pages(
    c: Connection, request: Request, part: str
) -> tuple[list[JsonObject], list[JsonObject], int | None]:
    """Rows (or items), the columns, and how many there are in all; None when not even that is said.

    The server counts what remains, but not behind a selector: then it is counted page by page.
    """
    rows: list[JsonObject] = []
    columns: list[JsonObject] = []
    for _ in range(_PAGES):
        body = (await c.investigate(request)).body
        named, page = columns_and_rows(body, part)
        columns = columns or named
        rows += page
        metadata = body.get("metadata") or {}
        if not metadata.get("continue"):
            return rows, columns, len(rows)
        if "remainingItemCount" in metadata:
            return rows, columns, len(rows) + int(metadata["remainingItemCount"])
        request = replace(request, query={**request.query, "continue": metadata["continue"]})
    return rows, columns, None


def columns_and_rows(body: JsonObject, part: str) -> tuple[list[JsonObject], list[JsonObject]]:
    """Of one page: the columns of a Table and its rows, or the items of a list."""
    if part == "items":
        return [], body.get("items") or []
    if body.get("kind") == "Table":
        return body["columnDefinitions"], body.get("rows") or []
    # A server of its own that makes no tables.
    objects = body.get("items", [body])
    columns = [{"name": "Name"}, {"name": "Age"}]
    return columns, [_plain_row(obj.get("metadata") or {}) for obj in objects or ()]


def _plain_row(metadata: JsonObject) -> JsonObject:
    cells = [metadata.get("name"), age(metadata.get("creationTimestamp", ""))]
    return {"cells": cells, "object": {"metadata": metadata}}


async def missing_namespace(c: Connection, namespace: str) -> bool | None:
    """Whether a namespace does not exist; None where it may not be looked at."""
    request = Request(verb="get", version="v1", resource="namespaces", name=namespace)
    try:
        await c.investigate(request)
    except ApiError as error:
        return True if error.code == HTTPStatus.NOT_FOUND else None
    return False


async def nothing(c: Connection, said: str, namespace: str) -> Reading:
    """An empty answer that does not hide a namespace that isn't there."""
    none = Measured(returned=0, total=0, truncated=False)
    missing = await missing_namespace(c, namespace) if namespace else False
    if missing:
        return Reading(f"Namespace {namespace!r} does not exist.", none)
    if missing is None:
        said += " Whether that namespace exists can't be told: it may not be read."
    return Reading(said, none)


async def answered(c: Connection, request: Request) -> Reply:
    """The reply to a get by name; not found says, too, when it is the namespace that is missing.

    Raises:
        ApiError: no such object, or no permission.
    """
    try:
        return await c.investigate(request)
    except ApiError as error:
        missing = error.code == HTTPStatus.NOT_FOUND and request.namespace
        if missing and await missing_namespace(c, request.namespace):
            error.hint = f"Namespace {request.namespace!r} does not exist."
        raise

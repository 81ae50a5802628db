"""Events: what happened to an object, or in a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.paging import PAGE, nothing, pages
from dotai_nb.cluster.printing import Reading, age, rows_reading, table
from dotai_nb.cluster.redaction import redact_text
from dotai_nb.cluster.request import Request

if TYPE_CHECKING:
    from dotai_nb.cluster.connection import Connection
    from dotai_nb.session.canonical import JsonObject

EVENT_COLUMNS = ("LAST SEEN", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE")


async def events(
    c: Connection, *, namespace: str = "", resource: str = "", name: str = "", budget: int
) -> Reading:
    """Events, the newest last, of a namespace or of one object.

    Args:
        c: the cluster.
        namespace: empty for the context's own.
        resource: the object's type, as kubectl takes it.
        name: the object's name; needs `resource`.
        budget: tokens.

    Raises:
        ApiError: no such type, or no permission.
    """
    selector = []
    if resource:
        kind = await c.discovery.resolve(resource)
        selector.append(f"involvedObject.kind={kind.kind}")
        # Events of cluster-scoped objects are kept in the namespace `default`.
        namespace = namespace if kind.namespaced else "default"
    if name:
        selector.append(f"involvedObject.name={name}")
    where = namespace or c.namespace
    rows, total = await event_rows(c, where, ",".join(selector))
    if not rows:
        about = f" about {resource}/{name}" if name else ""
        return await nothing(c, f"No events found{about} in {where} namespace.", where)
    lines = table(EVENT_COLUMNS, rows)
    # What does not fit are the oldest.
    reading = rows_reading(
        [lines[0], *reversed(lines[1:])],
        budget=budget,
        total=total,
        narrow="Narrow with a resource and a name.",
    )
    head, *rest = reading.text.split("\n")
    shown = reading.measured.returned if reading.measured else 0
    text = "\n".join((head, *reversed(rest[:shown]), *rest[shown:]))
    return Reading(text, reading.measured)


async def event_rows(
    c: Connection, namespace: str, field_selector: str
) -> tuple[list[tuple[Any, ...]], int | None]:
    """Rows of events, the oldest first, and how many there are (None: more than were read)."""
    query = {"limit": str(PAGE)} | ({"fieldSelector": field_selector} if field_selector else {})
    request = Request(
        verb="list", version="v1", resource="events", namespace=namespace, query=query
    )
    found, _, total = await pages(c, request, "items")
    found.sort(key=_last_seen)
    return [_event_row(event) for event in found], total


def _last_seen(event: JsonObject) -> str:
    series = event.get("series") or {}
    created = (event.get("metadata") or {}).get("creationTimestamp")
    seen = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return str(seen or created or "")


def _event_row(event: JsonObject) -> tuple[Any, ...]:
    about = event.get("involvedObject") or {}
    count = (event.get("series") or {}).get("count") or event.get("count") or 1
    return (
        age(_last_seen(event)),
        event.get("type"),
        event.get("reason"),
        f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}",
        count,
        redact_text(event.get("message") or "").strip(),
    )

"""What goes when an object is deleted: what it owns, and what is in it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

from dotai_nb.cluster.request import Request
from dotai_nb.errors import ApiError, RequestRefused
from dotai_nb.session.values import Action

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dotai_nb.cluster.connection import Connection
    from dotai_nb.cluster.discovery import ResourceType
    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.values import Step

LONGEST = 50
"""Dependents named one by one; the rest are counted."""

_PAGE = 500
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
# Made by the thousand, and owned by nobody.
_NEVER_OWNED = frozenset({("", "events"), ("events.k8s.io", "events"), ("", "bindings")})

_Named = tuple[str, "JsonObject"]


async def dependents_of(c: Connection, step: Step, owner: JsonObject) -> tuple[str, ...]:
    """What a deletion takes along, as `pods/web-1`; the last entry says what could not be read.

    Objects whose owner references lead to the deleted one, over any number of steps; for a
    Namespace everything in it; for a CustomResourceDefinition all its objects. Empty for a step
    that deletes nothing, or orphans.
    """
    if step.action is not Action.DELETE or (step.body or {}).get("propagationPolicy") == "Orphan":
        return ()
    ref = step.target
    types = await _listable(c)
    if (ref.group, ref.kind) == ("", "Namespace"):
        found, notes = await _read(c, (t for t in types if t.namespaced), ref.name)
        return _told(found, notes)
    if ref.kind == "CustomResourceDefinition":
        spec = owner.get("spec", {})
        defined = (spec.get("group"), spec.get("names", {}).get("plural"))
        found, notes = await _read(c, (t for t in types if (t.group, t.plural) == defined), "")
        return _told(found, notes)
    in_reach = (t for t in types if t.namespaced or not ref.namespace)
    found, notes = await _read(c, in_reach, ref.namespace)
    return _told(_owned(found, owner["metadata"]["uid"]), notes)


async def _listable(c: Connection) -> list[ResourceType]:
    seen: dict[tuple[str, str], ResourceType] = {}
    for type_ in await c.discovery.all():
        key = (type_.group, type_.plural)
        if "list" in type_.verbs and key not in _NEVER_OWNED:
            seen.setdefault(key, type_)
    return list(seen.values())


async def _read(
    c: Connection, types: Iterable[ResourceType], namespace: str
) -> tuple[list[_Named], list[str]]:
    """Metadata of all objects of these types, and what could not be read of them."""
    listed = list(types)
    answers = await asyncio.gather(*(_metadata(c, t, namespace) for t in listed))
    found: list[_Named] = []
    unread, cut = 0, []
    for type_, answer in zip(listed, answers, strict=True):
        if answer is None:
            unread += 1
            continue
        found += [(str(type_), item["metadata"]) for item in answer.get("items") or ()]
        if answer.get("metadata", {}).get("continue"):
            cut.append(str(type_))
    notes = [f"({unread} types may not be listed; there may be more)"] if unread else []
    notes += [f"(only the first {_PAGE} of {', '.join(cut)} were read)"] if cut else []
    return found, notes


async def _metadata(c: Connection, type_: ResourceType, namespace: str) -> JsonObject | None:
    request = Request(
        verb="list",
        group=type_.group,
        version=type_.version,
        resource=type_.plural,
        namespace=namespace if type_.namespaced else "",
        query={"limit": str(_PAGE)},
        accept=_METADATA,
    )
    try:
        body: JsonObject = (await c.investigate(request)).body
    except (ApiError, RequestRefused):
        return None  # told as a type that may not be listed
    return body


def _owned(found: Iterable[_Named], uid: str) -> list[_Named]:
    by_owner: dict[str, list[_Named]] = defaultdict(list)
    for named in found:
        for owner in named[1].get("ownerReferences") or ():
            by_owner[owner["uid"]].append(named)
    owned: list[_Named] = []
    seen, queue = {uid}, [uid]
    while queue:
        for named in by_owner.get(queue.pop(0), ()):
            if named[1]["uid"] not in seen:
                seen.add(named[1]["uid"])
                queue.append(named[1]["uid"])
                owned.append(named)
    return owned


def _told(found: list[_Named], notes: list[str]) -> tuple[str, ...]:
    names = [f"{resource}/{metadata['name']}" for resource, metadata in found]
    more = [f"and {len(names) - LONGEST} more"] if len(names) > LONGEST else []
    return (*names[:LONGEST], *more, *notes)

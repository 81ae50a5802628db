"""The object that a step is about: found by kubectl's names, and turned into a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.manifest import check_body
from dotai_nb.cluster.reading import fetch
from dotai_nb.cluster.request import Request
from dotai_nb.errors import ApiError, StepRefused
from dotai_nb.session.values import Action, ObjectRef, Step

if TYPE_CHECKING:
    from dotai_nb.cluster.connection import Connection
    from dotai_nb.cluster.discovery import ResourceType
    from dotai_nb.session.canonical import JsonObject

FIELD_MANAGER = "dotai-nb"
WRITE_QUERY = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
"""Of every PATCH: who changes, and that an unknown field is an error."""

_FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class Place:
    """An object that a step is about.

    Attributes:
        live: the object now; None if there is none, empty where it may not be read or was not
            looked at.
        strict: whether values of environment variables and ConfigMaps are hidden too.
    """

    type: ResourceType
    ref: ObjectRef
    live: JsonObject | None
    strict: bool = False

    def step(  # noqa: PLR0913 - the parts of a request and of its kubectl command
        self,
        number: int,
        call_id: str,
        argv: tuple[str, ...],
        *,
        body: Any,
        content_type: str,
        action: Action = Action.UPDATE,
        subresource: str = "",
        stdin: str = "",
    ) -> Step:
        """The change of this object as one request: a DELETE for a deletion, else a PATCH.

        Raises:
            StepRefused: the body holds what must never be written.
        """
        check_body(self.ref, body, strict=self.strict)
        ref = self.ref
        deletes = action is Action.DELETE
        request = Request(
            verb="delete" if deletes else "patch",
            group=ref.group,
            version=ref.version,
            resource=ref.resource,
            namespace=ref.namespace,
            name=ref.name,
            subresource=subresource,
        )
        return Step(
            number=number,
            call_id=call_id,
            action=action,
            target=ref,
            subresource=subresource,
            method="DELETE" if deletes else "PATCH",
            path=request.path,
            query={} if deletes else WRITE_QUERY,
            content_type=content_type,
            body=body,
            argv=("kubectl", *argv, *(("-n", ref.namespace) if ref.namespace else ())),
            stdin=stdin,
        )


async def named(c: Connection, resource: str, name: str, namespace: str) -> Place:
    """The place of an object of that name, not looked at: its dry run says whether it is there.

    Raises:
        ApiError: there is no such type (404).
    """
    type_ = await c.discovery.resolve(resource)
    return Place(type_, _ref(c, type_, name, namespace), {}, c.strict)


async def find(c: Connection, type_: ResourceType, name: str, namespace: str) -> Place:
    """The place of an object of that name, whether it is there or not."""
    ref = _ref(c, type_, name, namespace)
    return Place(type_, ref, await _live(c, ref), c.strict)


async def existing(c: Connection, resource: str, name: str, namespace: str) -> Place:
    """The place of an object that is there.

    Raises:
        ApiError: there is no such type, or no such object (404).
    """
    place = await find(c, await c.discovery.resolve(resource), name, namespace)
    if place.live is None:
        raise missing(place.ref)
    return place


def missing(ref: ObjectRef) -> ApiError:
    """There is no such object, and what to do about it."""
    where = f" in namespace {ref.namespace}" if ref.namespace else ""
    return ApiError(
        f'{ref.resource} "{ref.name}" not found{where}.',
        code=404,
        reason="NotFound",
        hint="See what there is with kubectl_get; where an earlier step creates it, put the "
        "change into that step's manifest.",
    )


def _ref(c: Connection, type_: ResourceType, name: str, namespace: str) -> ObjectRef:
    """An empty namespace is the connection's; a cluster-scoped type has none, as with `-n`."""
    if not name:
        raise StepRefused(f"No name is given for {type_.plural}.", hint="Name one object.")
    return ObjectRef(
        group=type_.group,
        version=type_.version,
        kind=type_.kind,
        resource=type_.plural,
        namespace=(namespace or c.namespace) if type_.namespaced else "",
        name=name,
    )


async def _live(c: Connection, ref: ObjectRef) -> JsonObject | None:
    try:
        return await fetch(c, ref)
    except ApiError as error:
        if error.code != _FORBIDDEN:
            raise
        return {}  # the evidence will say that it is not allowed

"""What can be read of a cluster: each function asks, and answers within a budget of tokens.

Everything here is redacted. A read that is forbidden or partial says so; it never looks empty.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from dotai_nb.cluster.describing import describe, resource_json
from dotai_nb.cluster.events import events
from dotai_nb.cluster.listing import api_resources, get
from dotai_nb.cluster.logs import logs
from dotai_nb.cluster.printing import Reading
from dotai_nb.cluster.request import Request
from dotai_nb.cluster.schema import crd_schema
from dotai_nb.errors import ApiError

if TYPE_CHECKING:
    from dotai_nb.cluster.connection import Connection
    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.values import ObjectRef

__all__ = [
    "Reading",
    "api_resources",
    "crd_schema",
    "describe",
    "events",
    "fetch",
    "get",
    "logs",
    "resource_json",
]


async def fetch(c: Connection, ref: ObjectRef) -> JsonObject | None:
    """One object, whole and not redacted; None when the server says it does not exist.

    Raises:
        ApiError: any other answer, such as a lack of permission.
    """
    request = Request(
        verb="get",
        group=ref.group,
        version=ref.version,
        resource=ref.resource,
        namespace=ref.namespace,
        name=ref.name,
    )
    try:
        body: JsonObject = (await c.investigate(request)).body
    except ApiError as error:
        if error.code == HTTPStatus.NOT_FOUND:
            return None
        raise
    return body

"""The scale subresource: replicas of a workload, also of one that Kubernetes doesn't know.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#scale-subresource
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotai_nb.cluster.fields import carry
from dotai_nb.cluster.manifest import BUILT_IN_GROUPS
from dotai_nb.cluster.reading import fetch
from dotai_nb.cluster.request import Request
from dotai_nb.errors import ApiError
from dotai_nb.session.values import ObjectRef

if TYPE_CHECKING:
    from dotai_nb.cluster.connection import Connection
    from dotai_nb.session.canonical import JsonObject

_USUAL = ("spec", "replicas")


async def fetch_scale(c: Connection, ref: ObjectRef) -> JsonObject | None:
    """The Scale of an object; None if there is none.

    Raises:
        ApiError: it may not be read.
    """
    request = Request(
        verb="get",
        group=ref.group,
        version=ref.version,
        resource=ref.resource,
        namespace=ref.namespace,
        name=ref.name,
        subresource="scale",
    )
    try:
        body: JsonObject = (await c.investigate(request)).body
    except ApiError as error:
        if error.code != 404:  # noqa: PLR2004 - HTTP Not Found
            raise
        return None
    return body


async def as_scaled(
    c: Connection, ref: ObjectRef, parent: JsonObject, scale: JsonObject
) -> JsonObject:
    """The object with the replicas that a dry run of its Scale answered."""
    field = await replicas_field(c, ref)
    return carry({field: scale["spec"].get("replicas", 0)}, parent)


async def replicas_field(c: Connection, ref: ObjectRef) -> tuple[str, ...]:
    """Where an object keeps its replicas; a custom resource's definition says where."""
    if ref.group in BUILT_IN_GROUPS:
        return _USUAL
    definition = ObjectRef(
        group="apiextensions.k8s.io",
        version="v1",
        kind="CustomResourceDefinition",
        resource="customresourcedefinitions",
        name=f"{ref.resource}.{ref.group}",
    )
    try:
        found = await fetch(c, definition) or {}
    except ApiError as error:
        if error.code != 403:  # noqa: PLR2004 - HTTP Forbidden: then the usual place
            raise
        return _USUAL
    for version in found.get("spec", {}).get("versions", ()):
        if version["name"] == ref.version:
            path: str = version["subresources"]["scale"]["specReplicasPath"]
            return tuple(path.lstrip(".").split("."))
    return _USUAL

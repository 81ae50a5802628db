"""The API server's OpenAPI v3: fields of a kind, and which operations know `dryRun`."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

from dotai_nb.cluster.request import METHODS, Document
from dotai_nb.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dotai_nb.cluster.request import Reply, Verb
    from dotai_nb.session.canonical import JsonObject

_REF = "#/components/schemas/"


class OpenApi:
    """Documents by group and version, read when first needed and kept.

    https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
    """

    def __init__(self, read: Callable[[Document], Awaitable[Reply]]) -> None:
        self._read = read
        self._documents: dict[tuple[str, str], JsonObject] = {}
        self._lock = asyncio.Lock()

    async def document(self, group: str, version: str, *, again: bool = False) -> JsonObject:
        """The document of one group and version, tens to hundreds of kilobytes.

        Raises:
            ApiError: the server publishes none (404), or it may not be read (403).
        """
        key = (group, version)
        async with self._lock:
            if again or key not in self._documents:
                read = await self._read(Document(f"/openapi/v3/{_root(group, version)}"))
                self._documents[key] = read.body
        return self._documents[key]

    async def supports_dry_run(
        self, group: str, version: str, resource: str, verb: Verb, subresource: str = ""
    ) -> bool:
        """Whether the operation lists the query parameter `dryRun`."""
        try:
            for again in (False, True):
                document = await self.document(group, version, again=again)
                operation = _operation(
                    document, _root(group, version), (resource, verb, subresource)
                )
                if operation is not None:
                    return "dryRun" in {p.get("name") for p in operation.get("parameters", ())}
        except ApiError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
        return False

    async def schema(self, group: str, version: str, kind: str) -> JsonObject:
        """The schema of a kind; `$ref`s are left, see `followed`.

        Raises:
            ApiError: the server publishes none.
        """
        wanted = {"group": group, "version": version, "kind": kind}
        for again in (False, True):
            document = await self.document(group, version, again=again)
            for schema in document.get("components", {}).get("schemas", {}).values():
                if wanted in schema.get("x-kubernetes-group-version-kind", ()):
                    return dict(schema)
        raise ApiError(f"The API server publishes no schema for {kind}.", code=404)

    @staticmethod
    def followed(definitions: JsonObject, schema: JsonObject) -> JsonObject:
        """A schema with its `$ref` followed, one level; what stands beside it wins."""
        references = [part.get("$ref", "") for part in (schema, *schema.get("allOf", ()))]
        name = next((ref.removeprefix(_REF) for ref in references if ref), "")
        if not name:
            return schema
        beside = {key: value for key, value in schema.items() if key not in {"$ref", "allOf"}}
        return {**definitions.get(name, {}), **beside}


def _operation(document: JsonObject, root: str, wanted: tuple[str, Verb, str]) -> JsonObject | None:
    """The operation on a resource, namespaced or not, with its path's parameters."""
    resource, verb, subresource = wanted
    named = "" if verb == "create" else "{name}"
    ending = "/".join(part for part in (resource, named, subresource) if part)
    for path in (f"/{root}/{ending}", f"/{root}/namespaces/{{namespace}}/{ending}"):
        item = document.get("paths", {}).get(path, {})
        operation = item.get(METHODS[verb].lower())
        if operation is not None:
            shared = (*item.get("parameters", ()), *operation.get("parameters", ()))
            return {**operation, "parameters": list(shared)}
    return None


def _root(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"

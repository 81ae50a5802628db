"""What types the API server has, by the names that kubectl takes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.openapi import OpenApi
from dotai_nb.cluster.request import Document
from dotai_nb.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from dotai_nb.cluster.request import Reply, Verb
    from dotai_nb.session.canonical import JsonObject

AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
    "application/json"
)
"""All types in two requests; a server older than 1.26 answers with the old form instead."""


@dataclass(frozen=True)
class ResourceType:
    """A type of object as the API server lists it.

    Attributes:
        group: empty for the core group.
        plural: the resource's name in paths.
        subresources: names such as `scale` and `status`.
        categories: names that stand for several types, such as `all`.
    """

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    namespaced: bool
    verbs: tuple[str, ...]
    subresources: tuple[str, ...]
    categories: tuple[str, ...]

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


class Discovery:
    """The types of one API server, read once a connection and again when one is not found."""

    def __init__(self, read: Callable[[Document], Awaitable[Reply]]) -> None:
        self.openapi = OpenApi(read)
        self._read = read
        self._types: tuple[ResourceType, ...] = ()
        self._lock = asyncio.Lock()

    async def all(self) -> tuple[ResourceType, ...]:
        """Every type in every version, in the server's order: preferred versions come first."""
        async with self._lock:
            if not self._types:
                self._types = await self._load()
        return self._types

    async def preferred(self) -> tuple[ResourceType, ...]:
        """Every type once, in the version that the server prefers."""
        first: dict[tuple[str, str], ResourceType] = {}
        for kind in await self.all():
            first.setdefault((kind.group, kind.plural), kind)
        return tuple(first.values())

    async def resolve(self, text: str) -> ResourceType:
        """The type of a name as kubectl takes it: `deploy`, `Deployment`, `deployments.v1.apps`.

        Raises:
            ApiError: no such type (404); the hint names what it may have meant.
        """
        return await self._found(lambda types: _by_name(types, text), text)

    async def of_kind(self, api_version: str, kind: str) -> ResourceType:
        """The type of a manifest.

        Raises:
            ApiError: no such type (404).
        """
        return await self._found(
            lambda types: _only(t for t in types if (t.api_version, t.kind) == (api_version, kind)),
            kind,
            what=f"kind {kind!r} in version {api_version!r}",
        )

    async def in_category(self, category: str) -> tuple[ResourceType, ...]:
        """The listable types of a category such as `all`; empty when there is no such category."""
        return tuple(
            kind
            for kind in await self.preferred()
            if category in kind.categories and "list" in kind.verbs
        )

    async def is_namespaced(self, group: str, version: str, resource: str) -> bool:
        """Whether objects of a resource live in namespaces; yes for one that is not known."""
        key = (group, version, resource)
        types = [t for t in await self.all() if (t.group, t.version, t.plural) == key]
        return types[0].namespaced if types else True

    async def supports_dry_run(
        self, group: str, version: str, resource: str, verb: Verb, subresource: str = ""
    ) -> bool:
        """Whether the API server's OpenAPI lists `dryRun` for an operation."""
        return await self.openapi.supports_dry_run(group, version, resource, verb, subresource)

    async def schema(self, type: ResourceType) -> JsonObject:  # noqa: A002 -- the API's own word
        """The OpenAPI v3 schema of a kind; its `$ref`s are left for `openapi.followed`.

        Raises:
            ApiError: the server publishes none (404), or it may not be read (403).
        """
        return await self.openapi.schema(type.group, type.version, type.kind)

    async def _found(
        self,
        search: Callable[[tuple[ResourceType, ...]], ResourceType | None],
        name: str,
        *,
        what: str = "",
    ) -> ResourceType:
        known = self._types
        found = search(await self.all())
        if found is None and self._types is known:
            # A type may be newer than what was read: a CustomResourceDefinition just created.
            async with self._lock:
                self._types = await self._load()
            found = search(self._types)
        if found is None:
            raise ApiError(
                f"The server doesn't have a resource type {what or repr(name)}.",
                code=404,
                reason="NotFound",
                hint=_did_you_mean(self._types, name),
            )
        return found

    async def _load(self) -> tuple[ResourceType, ...]:
        core, groups = await asyncio.gather(
            self._read(Document("/api", AGGREGATED)), self._read(Document("/apis", AGGREGATED))
        )
        if core.body.get("kind") == groups.body.get("kind") == "APIGroupDiscoveryList":
            return (*_aggregated(core.body), *_aggregated(groups.body))
        return await self._load_old(core.body, groups.body)

    async def _load_old(self, core: JsonObject, groups: JsonObject) -> tuple[ResourceType, ...]:
        versions = [("", version) for version in core.get("versions", ())]
        for group in groups.get("groups", ()):
            preferred = group.get("preferredVersion", {}).get("version")
            names = [version["version"] for version in group.get("versions", ())]
            names.sort(key=lambda name: name != preferred)
            versions += [(group["name"], name) for name in names]
        lists = await asyncio.gather(*(self._old_list(*each) for each in versions))
        return tuple(kind for found in lists for kind in found)

    async def _old_list(self, group: str, version: str) -> tuple[ResourceType, ...]:
        root = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            listed = (await self._read(Document(root))).body.get("resources") or ()
        except ApiError as error:
            if error.code not in {404, 503}:
                raise
            # The group's own API server is away; kubectl, too, goes on with the others.
            return ()
        return tuple(_old_type(group, version, item, listed) for item in _whole(listed))


def _aggregated(document: JsonObject) -> Iterator[ResourceType]:
    for group in document.get("items", ()):
        for version in group.get("versions", ()):
            for item in version.get("resources") or ():
                if item.get("responseKind"):
                    yield _type(group.get("metadata", {}).get("name", ""), version["version"], item)


def _type(group: str, version: str, item: JsonObject) -> ResourceType:
    kind = item["responseKind"]
    return ResourceType(
        group=group,
        version=version,
        kind=kind["kind"],
        plural=item["resource"],
        singular=item.get("singularResource", ""),
        short_names=tuple(item.get("shortNames", ())),
        namespaced=item.get("scope") == "Namespaced",
        verbs=tuple(item.get("verbs", ())),
        subresources=tuple(sub["subresource"] for sub in item.get("subresources") or ()),
        categories=tuple(item.get("categories", ())),
    )


def _whole(listed: Iterable[JsonObject]) -> list[JsonObject]:
    return [item for item in listed if "/" not in item["name"]]


def _old_type(
    group: str, version: str, item: JsonObject, listed: Iterable[JsonObject]
) -> ResourceType:
    prefix = item["name"] + "/"
    return ResourceType(
        group=group,
        version=version,
        kind=item["kind"],
        plural=item["name"],
        singular=item.get("singularName", ""),
        short_names=tuple(item.get("shortNames", ())),
        namespaced=bool(item.get("namespaced")),
        verbs=tuple(item.get("verbs", ())),
        subresources=tuple(
            other["name"].removeprefix(prefix)
            for other in listed
            if other["name"].startswith(prefix)
        ),
        categories=tuple(item.get("categories", ())),
    )


def _only(found: Iterator[ResourceType]) -> ResourceType | None:
    return next(found, None)


def _by_name(types: tuple[ResourceType, ...], text: str) -> ResourceType | None:
    """As kubectl: `NAME`, `NAME.VERSION.GROUP`, `NAME.GROUP`; whole names before short ones."""
    name, _, rest = text.strip().lower().partition(".")
    version, _, group = rest.partition(".")
    scopes: list[Callable[[ResourceType], bool]] = [
        lambda t: (t.version, t.group) == (version, group),
        lambda t: t.group == rest,
    ]
    names: list[Callable[[ResourceType], Any]] = [
        lambda t: t.plural == name,
        lambda t: name in (t.singular, t.kind.lower()),
        lambda t: name in t.short_names,
    ]
    for scope in scopes if rest else [lambda _: True]:
        for matches in names:
            if found := _only(t for t in types if matches(t) and scope(t)):
                return found
    return None


def _did_you_mean(types: tuple[ResourceType, ...], text: str) -> str:
    names = {name for t in types for name in (t.plural, t.kind, str(t), *t.short_names)}
    lower = {name.lower(): name for name in sorted(names)}
    close = get_close_matches(text.lower(), lower, n=3, cutoff=0.7)
    if not close:
        return "List the types with kubectl_api_resources."
    return f"Did you mean {', '.join(lower[name] for name in close)}?"

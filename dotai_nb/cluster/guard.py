"""What may leave: an allow-list for investigations, and the approved requests for an execution.

A GET can run a command (`exec`), open a tunnel (`portforward`, `proxy`) or hang for ever, and a
POST can hand out a token while it is a dry run: so the list says what is allowed, and everything
else is refused, before it is sent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from dotai_nb.cluster.grant import Grant
from dotai_nb.cluster.request import Document, Request
from dotai_nb.errors import RequestRefused

if TYPE_CHECKING:
    from dotai_nb.cluster.discovery import Discovery
    from dotai_nb.settings import Settings

__all__ = ["Grant", "Guard"]

READ_SUBRESOURCES = frozenset({"", "log", "scale", "status"})
WRITE_SUBRESOURCES = frozenset({"", "scale"})

SELF_REVIEWS = frozenset(
    {
        ("authentication.k8s.io", "selfsubjectreviews"),
        ("authorization.k8s.io", "selfsubjectaccessreviews"),
        ("authorization.k8s.io", "selfsubjectrulesreviews"),
    }
)
"""Questions about ourselves: creations by their verb that store nothing."""

_PAGE = {"labelSelector", "fieldSelector", "limit", "continue", "resourceVersion"}
_LIST = _PAGE | {"resourceVersionMatch", "includeObject", "timeoutSeconds"}
_LOG = {"container", "tailLines", "sinceSeconds", "sinceTime", "previous", "timestamps"}
_WRITE = {"fieldManager", "fieldValidation", "propagationPolicy", "gracePeriodSeconds"}

QUERIES: dict[str, frozenset[str]] = {
    "get": frozenset({"includeObject", "resourceVersion"}),
    "log": frozenset(_LOG | {"limitBytes"}),
    "list": frozenset(_LIST),
    "watch": frozenset(_LIST | {"allowWatchBookmarks", "sendInitialEvents"}),
    "create": frozenset(_WRITE),
    "update": frozenset(_WRITE),
    "patch": frozenset(_WRITE),
    "delete": frozenset(_WRITE),
}
"""Query parameters by verb. Never `follow`, `watch` or `dryRun`: those follow from the verb."""

CONTENT_TYPES = frozenset(
    {
        "",
        "application/json",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    }
)

_LABEL = r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?"
_WORD = re.compile(_LABEL)
_DOCUMENT = re.compile(
    rf"/version|/api|/api/v1|/apis|/apis/{_LABEL}|/apis/{_LABEL}/{_LABEL}"
    rf"|/openapi/v3|/openapi/v3/api/v1|/openapi/v3/apis/{_LABEL}(?:/{_LABEL})?"
)
# `/api/v1/watch/…` and `/api/v1/proxy/…` are old forms that hide what they reach.
_NOT_RESOURCES = frozenset({"watch", "proxy"})


class Guard:
    """Judges every request before it is sent; refusing is the default."""

    def __init__(self, settings: Settings, discovery: Discovery) -> None:
        self._read_only = settings.read_only
        self._namespaces = settings.allowed_namespaces
        self._discovery = discovery

    async def judge_investigation(self, request: Request | Document) -> None:
        """Reads, self-subject reviews, and dry runs that the API server says it can make.

        Raises:
            RequestRefused: anything else.
        """
        if isinstance(request, Document):
            if not _DOCUMENT.fullmatch(request.path):
                raise RequestRefused(f"An investigation does not read {request.path!r}.")
            return
        _judge_form(request)
        if (request.group, request.resource) in SELF_REVIEWS:
            _judge_review(request)
        elif request.writes:
            if not request.dry_run:
                _refuse(request, "an investigation changes nothing: only with dryRun=All")
            await self._judge_write(request)
        else:
            await self._judge_read(request)

    async def judge_execution(self, request: Request) -> None:
        """A write of the kind that could be dry-run; that it was approved, a `Grant` says.

        Raises:
            RequestRefused: executions are switched off, or this kind is never sent.
        """
        if self._read_only:
            raise RequestRefused(
                f"{_named(request)} is refused: DOT_AI_READ_ONLY is set, nothing is executed.",
                hint="Unset DOT_AI_READ_ONLY and connect again to execute.",
            )
        _judge_form(request)
        if not request.writes or request.dry_run:
            _refuse(request, "an execution sends writes only")
        await self._judge_write(request)

    async def _judge_read(self, request: Request) -> None:
        if request.subresource not in READ_SUBRESOURCES:
            _refuse(request, f"subresource {request.subresource!r} is not one that only reads")
        if request.subresource == "log" and (request.group, request.resource) != ("", "pods"):
            _refuse(request, "only pods have logs")
        if bool(request.name) != (request.verb == "get"):
            _refuse(request, "get names an object; list and watch name none")
        if request.dry_run or request.body is not None:
            _refuse(request, "a read has no body and is no dry run")
        await self._judge_scope(request)

    async def _judge_write(self, request: Request) -> None:
        if request.subresource not in WRITE_SUBRESOURCES:
            _refuse(request, f"subresource {request.subresource!r} is never written")
        if request.group in {"authentication.k8s.io", "authorization.k8s.io"}:
            _refuse(request, "reviews of others are not asked for")
        if bool(request.name) == (request.verb == "create"):
            _refuse(request, "create names a collection; every other write names one object")
        if request.verb == "delete":
            _judge_delete_options(request)
        await self._judge_scope(request)
        if not await self._discovery.supports_dry_run(
            request.group, request.version, request.resource, request.verb, request.subresource
        ):
            _refuse(request, "the API server does not list dryRun for it")

    async def _judge_scope(self, request: Request) -> None:
        allowed = self._namespaces
        if not allowed or request.namespace in allowed:
            return
        if request.namespace:
            _refuse_namespace(request, allowed)
        if request.writes:
            if (request.group, request.resource) != ("", "namespaces") or (
                request.name not in allowed
            ):
                _refuse_namespace(request, allowed)
        elif not request.name and await self._discovery.is_namespaced(
            request.group, request.version, request.resource
        ):
            _refuse_namespace(request, allowed)


def _judge_form(request: Request) -> None:
    """Every part is what it says it is: the server decodes `%2F` before it splits the path."""
    for word in (request.group, request.version, request.resource, request.namespace):
        if word and not _WORD.fullmatch(word):
            _refuse(request, f"{word!r} is not a name of the API")
    if not request.version or not request.resource or request.resource in _NOT_RESOURCES:
        _refuse(request, "it names no resource")
    if request.name in {".", ".."} or "/" in request.name or "%" in request.name:
        _refuse(request, f"{request.name!r} can't be an object's name")
    if request.subresource and not request.name:
        _refuse(request, "a subresource belongs to a named object")
    kind = "log" if request.subresource == "log" else request.verb
    if extra := sorted(set(request.query) - QUERIES[kind]):
        _refuse(request, f"query {', '.join(extra)} is not allowed")
    if request.content_type not in CONTENT_TYPES:
        _refuse(request, f"content type {request.content_type!r} is not allowed")


def _judge_review(request: Request) -> None:
    if request.verb != "create" or request.name or request.namespace or request.subresource:
        _refuse(request, "a review of ourselves is created, nothing else")


def _judge_delete_options(request: Request) -> None:
    if request.body is None:
        return
    if not isinstance(request.body, dict) or "dryRun" in request.body:
        _refuse(request, "delete options are an object without dryRun")


def _named(request: Request) -> str:
    kind = f"{request.resource}.{request.group}" if request.group else request.resource
    rest = "/".join(part for part in (kind, request.name, request.subresource) if part)
    return f"{request.verb} {rest}" + (
        f" in namespace {request.namespace}" if request.namespace else ""
    )


def _refuse(request: Request, why: str) -> NoReturn:
    raise RequestRefused(f"{_named(request)} is refused: {why}. Nothing was sent.")


def _refuse_namespace(request: Request, allowed: frozenset[str]) -> NoReturn:
    raise RequestRefused(
        f"{_named(request)} is refused: DOT_AI_NAMESPACES does not allow it. Nothing was sent.",
        hint=f"Allowed namespaces: {', '.join(sorted(allowed))}.",
    )

"""A request to the API server in Kubernetes' own terms.

Method and path are derived from verb and resource, never given beside them: what the guard judges
is what is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode

from dotai_nb.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dotai_nb.session.values import Step

Verb = Literal["get", "list", "watch", "create", "update", "patch", "delete"]

METHODS: dict[Verb, Literal["GET", "POST", "PUT", "PATCH", "DELETE"]] = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}

WRITES: frozenset[Verb] = frozenset({"create", "update", "patch", "delete"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request about a resource.

    Attributes:
        group: empty for the core group.
        resource: the plural.
        namespace: empty for cluster scope, or for all namespaces in a list.
        name: empty for a collection.
        query: without `watch` and `dryRun`, which follow from `verb` and `dry_run`.
        accept: the media type asked for, such as a server-side Table.
    """

    verb: Verb
    group: str = ""
    version: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""
    body: Any = None
    dry_run: bool = False
    accept: str = "application/json"

    @property
    def method(self) -> Literal["GET", "POST", "PUT", "PATCH", "DELETE"]:
        """The HTTP method of the verb."""
        return METHODS[self.verb]

    @property
    def writes(self) -> bool:
        """Whether it would change the cluster, were it not for `dry_run`."""
        return self.verb in WRITES

    @property
    def path(self) -> str:
        """The URL's path; every segment is percent-encoded."""
        root = ("apis", self.group, self.version) if self.group else ("api", self.version)
        scope = ("namespaces", self.namespace) if self.namespace else ()
        rest = (self.resource, self.name, self.subresource)
        parts = (*root, *scope, *(part for part in rest if part))
        return "/" + "/".join(quote(part, safe="") for part in parts)

    @property
    def url(self) -> str:
        """Path and query, in the order given, `watch` and `dryRun` last."""
        pairs = list(self.query.items())
        if self.verb == "watch":
            pairs.append(("watch", "true"))
        if self.dry_run:
            pairs.append(("dryRun", "All"))
        return f"{self.path}?{urlencode(pairs)}" if pairs else self.path

    @property
    def payload(self) -> Any:
        """The body as it is sent.

        A delete's dry run is said in its body too: with a body, the API server takes all delete
        options from there and none from the query, `dryRun` included
        (k8s.io/apiserver/pkg/endpoints/handlers/delete.go).
        """
        if self.verb == "delete" and self.dry_run and self.body is not None:
            return {**self.body, "dryRun": ["All"]}
        return self.body

    def as_dry_run(self) -> Request:
        """The same with `dryRun=All`: everything happens but the storing."""
        return replace(self, dry_run=True)


@dataclass(frozen=True, slots=True)
class Document:
    """A read outside any resource: `/version`, `/api`, `/apis`, `/openapi/v3…`."""

    path: str
    accept: str = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """The API server's answer, already known to be a success (2xx).

    Attributes:
        body: parsed JSON, or text for logs.
        audit_id: the `Audit-ID` that was sent; the audit log has the same.
        warnings: texts of the `Warning` headers.
    """

    code: int
    body: Any
    audit_id: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Precondition:
    """The object as it was looked at; the server answers 409 when it is another by now."""

    uid: str
    resource_version: str


JSON_PATCH = "application/json-patch+json"

_VERBS: dict[str, Verb] = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def request_for(
    step: Step, *, dry_run: bool = False, precondition: Precondition | None = None
) -> Request:
    """The one request of a step; a precondition is added to its body, nothing else changes."""
    target = step.target
    verb = _VERBS[step.method]
    request = Request(
        verb=verb,
        group=target.group,
        version=target.version,
        resource=target.resource,
        namespace=target.namespace,
        name="" if verb == "create" else target.name,
        subresource=step.subresource,
        query=step.query,
        content_type=step.content_type,
        body=step.body if precondition is None else _guarded(step, precondition),
        dry_run=dry_run,
    )
    if (request.method, request.path) != (step.method, step.path):
        raise RequestRefused(
            f"Step {step.number} says {step.method} {step.path}, "
            f"but its target is {request.method} {request.path}."
        )
    return request


def _guarded(step: Step, precondition: Precondition) -> Any:
    identity = {"uid": precondition.uid, "resourceVersion": precondition.resource_version}
    if step.method == "DELETE":
        return {**(step.body or {}), "preconditions": identity}
    if step.content_type == JSON_PATCH:
        # A replaced resourceVersion answers 409 on a mismatch; a `test` operation would be a 422.
        pinned = [
            {"op": "replace", "path": f"/metadata/{key}", "value": value}
            for key, value in identity.items()
        ]
        return [*pinned, *step.body]
    return {**step.body, "metadata": {**step.body.get("metadata", {}), **identity}}

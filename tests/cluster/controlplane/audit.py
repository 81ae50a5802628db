"""Reads the API server's audit log: who really asked the cluster for what."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True)
class AuditRecord:
    """One request, as the API server saw it.

    `request_object` is the body of a write, None for a read. `name` is empty where the server
    chooses it or where a collection is meant; `code` is the HTTP status it answered. `user` is
    who logged in, `impersonated_user` as whom the request was judged where that is another.
    """

    audit_id: str
    stage: str
    verb: str
    uri: str
    dry_run: bool
    user: str
    user_agent: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    request_object: dict[str, Any] | None
    impersonated_user: str = ""
    impersonated_groups: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """As whom the server judged it."""
        return self.impersonated_user or self.user

    @property
    def is_write(self) -> bool:
        """Whether it could have changed something, dry run or not.

        Access reviews and token reviews are creations by their verb that store nothing.
        """
        stores = self.group not in {"authorization.k8s.io", "authentication.k8s.io"}
        return self.verb in WRITES and stores

    @classmethod
    def from_json(cls, event: dict[str, Any]) -> AuditRecord:
        """One `audit.k8s.io/v1` Event, as a line of the log holds it."""
        object_ref = event.get("objectRef", {})
        return cls(
            audit_id=event["auditID"],
            stage=event["stage"],
            verb=event["verb"],
            uri=event["requestURI"],
            dry_run=_is_dry_run(event),
            user=event.get("user", {}).get("username", ""),
            user_agent=event.get("userAgent", ""),
            group=object_ref.get("apiGroup", ""),
            resource=object_ref.get("resource", ""),
            subresource=object_ref.get("subresource", ""),
            namespace=object_ref.get("namespace", ""),
            name=object_ref.get("name", ""),
            code=event.get("responseStatus", {}).get("code", 0),
            request_object=event.get("requestObject"),
            impersonated_user=event.get("impersonatedUser", {}).get("username", ""),
            impersonated_groups=tuple(event.get("impersonatedUser", {}).get("groups", ())),
        )


def _is_dry_run(event: dict[str, Any]) -> bool:
    """Whether the server took the request as a dry run."""
    options = event.get("requestObject")
    if event["verb"] in {"delete", "deletecollection"} and options is not None:
        # A deletion that has a body is told by the body alone: the server ignores its query.
        return "All" in options.get("dryRun", [])
    return "All" in parse_qs(urlsplit(event["requestURI"]).query).get("dryRun", [])


def read_audit_log(log: Path, *, offset: int = 0) -> list[AuditRecord]:
    """The records from byte `offset` on, in the order the requests ended.

    The server writes a record before its request returns to the client, so what a client has
    been answered is here. A line that is being written just now is left out.
    """
    with log.open("rb") as file:
        file.seek(offset)
        written, _, _ = file.read().rpartition(b"\n")
    return [AuditRecord.from_json(json.loads(line)) for line in written.splitlines()]

"""Joins the API server's audit log to the sessions that say what they sent.

The server's word against ours: what an identity wrote is exactly what its sessions approved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from dotai_nb.session.canonical import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dotai_nb.session.events import Recorded
    from dotai_nb.session.values import Step
    from tests.cluster.controlplane.audit import AuditRecord

OURS = "dotai-nb/"
PINNED = ("uid", "resourceVersion")


def violations(records: Iterable[AuditRecord], sessions: Sequence[Sequence[Recorded]]) -> list[str]:
    """What the audit log says that the sessions don't, a sentence each; empty when they agree."""
    approved = {}
    read = set()
    identities = set()
    found = []
    for recorded in sessions:
        started = recorded[0].event
        assert started.type == "session_started"
        executor = started.executes_as or started.identity
        identities |= {started.identity, executor}
        writes, looks, early = _said(recorded)
        approved |= {audit_id: (step, executor) for audit_id, step in writes.items()}
        read |= looks
        found += early
    for record in records:
        if not record.user_agent.startswith(OURS):
            continue
        writes = record.is_write and not record.dry_run
        if record.audit_id in read and writes:
            found.append(f"{record.audit_id}: an investigation wrote {record.uri}")
        elif record.audit_id in approved:
            found += _differences(record, *approved[record.audit_id])
        elif writes and record.identity in identities:
            found.append(f"{record.audit_id}: {record.verb} {record.uri} is in no session")
    return found


def _said(recorded: Sequence[Recorded]) -> tuple[dict[str, Step], set[str], list[str]]:
    """Audit-IDs of approved writes, of everything else, and writes before any approval."""
    steps: dict[int, Step] = {}
    writes: dict[str, Step] = {}
    looks: set[str] = set()
    approved = False
    early = []
    for entry in recorded:
        match entry.event.type:
            case "step_checked":
                steps[entry.event.step.number] = entry.event.step
                looks |= set(entry.event.audit_ids)
            case "tool_finished" | "verdict_reached":
                looks |= set(entry.event.audit_ids)
            case "approved":
                approved = True
            case "refined":
                approved = False
            case "step_started":
                writes[entry.event.audit_id] = steps[entry.event.step]
                if not approved:
                    early.append(f"{entry.event.audit_id}: sent before an approval")
            case _:
                pass
    return writes, looks, early


def _differences(record: AuditRecord, step: Step, executor: str) -> list[str]:
    url = urlsplit(record.uri)
    sent = (url.path, dict(parse_qsl(url.query)))
    meant = (step.path, step.query)
    found = []
    if sent != meant:
        found.append(f"{record.audit_id}: sent {sent}, approved {meant}")
    if record.identity != executor:
        found.append(f"{record.audit_id}: sent as {record.identity}, executes as {executor}")
    if canonical(_unpinned(record.request_object)) != canonical(_unpinned(step.body)):
        found.append(f"{record.audit_id}: the body is not the approved one")
    return found


def _unpinned(body: Any) -> Any:
    """Without preconditions, and without what the server's log adds to it."""
    if isinstance(body, list):
        pins = {f"/metadata/{key}" for key in PINNED}
        return [op for op in body if op.get("path") not in pins]
    if not isinstance(body, dict):
        return body
    rest = {k: v for k, v in body.items() if k not in ("preconditions", "kind", "apiVersion")}
    if "metadata" in rest:
        kept = {k: v for k, v in rest["metadata"].items() if k not in PINNED}
        rest["metadata"] = kept
        if not kept:
            del rest["metadata"]
    return rest

"""What exactly is approved: a digest over the cluster and every request of the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotai_nb.session.canonical import JsonObject, digest
from dotai_nb.session.values import Accepted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dotai_nb.session.events import StepChecked
    from dotai_nb.session.values import Fingerprint, Step

SHORTEST_DIGEST = 12
"""How many hex digits code must write to approve; 48 bits of a SHA-256."""


def request_of(step: Step) -> JsonObject:
    """The request of a step as the approval binds it: no `dryRun`, no preconditions."""
    return {
        "method": step.method,
        "path": step.path,
        "query": step.query,
        "contentType": step.content_type,
        "body": step.body,
    }


def plan_digest(fingerprint: Fingerprint, steps: Iterable[StepChecked]) -> str:
    """SHA-256 over the fingerprint and, per step, its request, the object's UID and its diff.

    Returns:
        64 hex digits; empty when there is no step, or one that the server did not accept.
    """
    plan = []
    for checked in steps:
        if not isinstance(checked.evidence, Accepted):
            return ""
        plan.append(
            {
                **request_of(checked.step),
                "uid": checked.evidence.uid,
                "diff": list(checked.evidence.diff),
            }
        )
    if not plan:
        return ""
    return digest({"fingerprint": fingerprint.json_object(), "steps": plan})


def matches(given: str, whole: str) -> bool:
    """Whether `given`, at least 12 hex digits, begins the digest."""
    text = given.strip().lower()
    return bool(whole) and len(text) >= SHORTEST_DIGEST and whole.startswith(text)

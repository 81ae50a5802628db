"""A person's yes: what may be approved, what it is bound to, and when it may be used."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from dotai_nb.cluster.guard import Grant
from dotai_nb.errors import ApprovalMismatch, ApprovalRequired, ApprovalSpent, NotExecutable
from dotai_nb.session.approval import SHORTEST_DIGEST, matches
from dotai_nb.session.session import can_be_approved
from dotai_nb.session.values import Accepted, Approval, Outcome, Status

if TYPE_CHECKING:
    from dotai_nb.session.session import Session
    from dotai_nb.settings import Settings

How = Literal["asked", "button", "digest"]


def why_not(session: Session, settings: Settings) -> str:
    """Why this plan can't be approved, in one sentence; empty when it can."""
    if session.status is not Status.ANALYSIS_COMPLETE:
        return f"{session.id} is {session.status}; only a finished analysis can be approved."
    if session.outcome is not Outcome.PROPOSAL:
        return f"The outcome is {session.outcome}; there is nothing to approve."
    if settings.read_only:
        return "DOT_AI_READ_ONLY is set: nothing is executed from here."
    if can_be_approved(session):
        return ""
    numbers = [
        str(checked.step.number)
        for _, checked in session.planned
        if not isinstance(checked.evidence, Accepted)
    ]
    return (
        f"The API server would not do step {', '.join(numbers)} for {session.started.identity}; "
        "ask somebody with the rights, or have the plan changed."
    )


def approval_of(session: Session, given: str, how: How, settings: Settings) -> Approval:
    """The approval of this session's plan by whoever gives its digest.

    Raises:
        NotExecutable: nothing here can be approved, with the reason.
        ApprovalMismatch: the digest is of another plan, or shorter than 12 hex digits.
    """
    if reason := why_not(session, settings):
        raise NotExecutable(reason)
    if not matches(given, session.digest):
        raise ApprovalMismatch(
            f"The digest {given[:16]!r} is not this plan's.",
            hint=f"Read the review again; its digest begins with "
            f"{session.digest[:SHORTEST_DIGEST]}.",
        )
    now = datetime.now(UTC)
    return Approval(
        digest=session.digest,
        by=who(),
        how=how,
        approved_at=now,
        expires_at=now + timedelta(minutes=settings.approval_minutes),
    )


def grant_for(session: Session, approval: Approval) -> Grant:
    """What lets the transport send exactly the approved requests, each once."""
    steps = [checked.step for _, checked in session.planned]
    return Grant(approval.digest, session.started.fingerprint, steps, approval.expires_at)


def check_executable(session: Session, grant: Grant | None, settings: Settings) -> Grant:
    """The grant, if this session may be executed with it now.

    Raises:
        NotExecutable: it has had its run, or proposes nothing that can be executed.
        ApprovalRequired: it was not approved in this process.
        ApprovalSpent: the approval expired.
    """
    if session.status is not Status.ANALYSIS_COMPLETE:
        raise NotExecutable(
            f"{session.id} is {session.status}; a session is executed once.",
            hint="Start a new operation to go on.",
        )
    if reason := why_not(session, settings):
        raise NotExecutable(reason)
    if grant is None or session.approval is None:
        raise ApprovalRequired(
            f"{session.id} has not been approved.", hint="Read the review and approve it first."
        )
    if session.approval.expires_at <= datetime.now(UTC):
        raise ApprovalSpent(
            f"The approval expired at {session.approval.expires_at:%H:%M:%S} UTC.",
            hint="Read the review again and approve it again.",
        )
    return grant


def who() -> str:
    """The system's user; `unknown` where the system doesn't tell."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"

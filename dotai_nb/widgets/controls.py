"""Which buttons can be pressed, and why not: a pure function of the session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from dotai_nb.session.session import Session
    from dotai_nb.session.values import Approval


@dataclass(frozen=True, slots=True)
class Control:
    """A button: it can be pressed exactly if there is no reason against it."""

    against: str = ""

    @property
    def enabled(self) -> bool:
        """Whether it can be pressed."""
        return not self.against


@dataclass(frozen=True, slots=True)
class Controls:
    """All of a panel's buttons. `form`: whether the fields can be edited."""

    start: Control
    cancel: Control
    approve: Control
    execute: Control
    refine: Control

    @property
    def form(self) -> bool:
        """Whether the fields can be edited."""
        return self.start.enabled


YES = Control()
_FIRST = Control("Start an analysis first.")
IDLE = Controls(
    start=YES, cancel=Control("Nothing is running."), approve=_FIRST, execute=_FIRST, refine=_FIRST
)


def connecting() -> Controls:
    """While a session is being opened: nothing but cancel."""
    wait = Control("The session is being opened.")
    return Controls(start=wait, cancel=YES, approve=wait, execute=wait, refine=wait)


def controls(
    session: Session | None,
    *,
    busy: bool,
    now: datetime,
    replayed: bool = False,
    approval: Approval | None = None,
) -> Controls:
    """What can be pressed now.

    Args:
        session: None before the first start.
        busy: an analysis or an execution is under way.
        now: aware; decides whether an approval has expired.
        replayed: everything comes from a file.
        approval: of a replay, which never enters its session's live state.
    """
    if session is None:
        return IDLE
    running = busy or not session.at_rest
    return Controls(
        start=Control("An operation is running; cancel it first." if running else ""),
        cancel=_cancel(session, running=running),
        approve=Control(_against_approve(session, now, running=running, given=approval)),
        execute=Control(_against_execute(session, now, running=running, given=approval)),
        refine=Control(_against_refine(session, running=running, replayed=replayed)),
    )


def _cancel(session: Session, *, running: bool) -> Control:
    if not running:
        return IDLE.cancel
    return Control("Cancelling: the request in flight ends first." if session.cancelled else "")


def _against_approve(
    session: Session, now: datetime, *, running: bool, given: Approval | None
) -> str:
    if reason := _against_plan(session, running=running):
        return reason
    live = session.approval or given
    if live and not _expired(live, now, replayed=given is not None):
        return f"Approved by {live.by}."
    return ""


def _against_execute(
    session: Session, now: datetime, *, running: bool, given: Approval | None
) -> str:
    if reason := _against_plan(session, running=running):
        return reason
    live = session.approval or given
    if live is None:
        return "Approve the plan first."
    if _expired(live, now, replayed=given is not None):
        return f"The approval expired at {live.expires_at:%H:%M:%S} UTC; approve again."
    return ""


def _expired(approval: Approval, now: datetime, *, replayed: bool) -> bool:
    """A recorded approval opens nothing but its own recording, whenever that was."""
    return not replayed and approval.expires_at <= now


def _against_plan(session: Session, *, running: bool) -> str:
    """Why this session's plan can be neither approved nor executed; empty if it can."""
    from dotai_nb.session.session import can_be_approved
    from dotai_nb.session.values import Accepted, Outcome
    from dotai_nb.views import words

    if session.execution is not None:
        return "This plan has had its one run."
    if running:
        return "The analysis is running."
    if session.outcome is not Outcome.PROPOSAL:
        return f"There is no plan: {words.headline(session).lower()}."
    if session.started.access == "read":
        return "DOT_AI_READ_ONLY is set: nothing is executed."
    for _, checked in session.planned:
        if not isinstance(checked.evidence, Accepted):
            return f"Step {checked.step.number} is {words.evidence(checked.evidence)}."
    return "" if can_be_approved(session) else "The plan has no step."


def _against_refine(session: Session, *, running: bool, replayed: bool) -> str:
    from dotai_nb.session.values import Status

    if running:
        return "Wait for what is running, or cancel it."
    if replayed:
        return "A replay asks no model; start a live operation to refine it."
    if session.started.by_hand:
        return "No model was asked: change the steps and start again."
    if session.status is not Status.ANALYSIS_COMPLETE:
        return "Only a finished analysis that was not executed can be refined."
    return ""

"""Which event may happen when: the state machine of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotai_nb.errors import IllegalEvent
from dotai_nb.session.approval import plan_digest
from dotai_nb.session.events import (
    AnalysisFinished,
    Approved,
    CancelRequested,
    Event,
    ExecutionStarted,
    Failed,
    Interrupted,
    ModelRetried,
    Noted,
    Refined,
    RolloutProgressed,
    StepChecked,
    StepFinished,
    StepStarted,
    TextSaid,
    Thought,
    ToolCalled,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    TurnStarted,
    VerdictReached,
)
from dotai_nb.session.values import Outcome, ResultKind, Status, StepResult

if TYPE_CHECKING:
    from dotai_nb.session.session import Session

_ANALYSING = (Status.ANALYZING,)
_MODEL = (Status.ANALYZING, Status.EXECUTING)
_COMPLETE = (Status.ANALYSIS_COMPLETE,)
_EXECUTING = (Status.EXECUTING,)

LEGAL: dict[type[Event], tuple[Status, ...]] = {
    TurnStarted: _MODEL,
    TextSaid: _MODEL,
    Thought: _MODEL,
    ToolCalled: _MODEL,
    TurnFinished: _MODEL,
    ModelRetried: _MODEL,
    ToolStarted: _MODEL,
    ToolFinished: _MODEL,
    StepChecked: _ANALYSING,
    AnalysisFinished: _ANALYSING,
    Failed: _ANALYSING,
    Refined: _COMPLETE,
    Approved: _COMPLETE,
    ExecutionStarted: _COMPLETE,
    StepStarted: _EXECUTING,
    StepFinished: _EXECUTING,
    RolloutProgressed: _EXECUTING,
    CancelRequested: _EXECUTING,
    VerdictReached: _EXECUTING,
    Interrupted: _MODEL,
    Noted: tuple(Status),
}
"""In which status each event may happen."""

CONCLUSIONS = frozenset(
    {
        Outcome.PROPOSAL,
        Outcome.NO_CHANGE_NEEDED,
        Outcome.BLOCKED_BY_POLICY,
        Outcome.NEEDS_CLARIFICATION,
    }
)
"""The outcomes that rest in `analysis_complete`; the others end in `failed`."""


def check(session: Session, event: Event) -> None:
    """Refuse what can't happen now.

    Raises:
        IllegalEvent: names the session, and why.
    """
    if session.status not in LEGAL[type(event)]:
        raise IllegalEvent(
            f"{session.id}: {event.type} can't happen while the session is {session.status}."
        )
    if reason := _why_illegal(session, event):
        raise IllegalEvent(f"{session.id}: {reason}.")


def _why_illegal(session: Session, event: Event) -> str:  # noqa: PLR0911 - one arm an event
    """Why this event can't happen here although the status allows its kind; empty when it can."""
    match event:
        case TurnStarted(turn=turn) if turn != len(session.turns) + 1:
            return f"turn {turn} is out of order"
        case TextSaid() | Thought() | ToolCalled() | TurnFinished() | ModelRetried():
            return _why_not_in_turn(session, event.turn)
        case ToolStarted() | ToolFinished():
            return _why_not_of_call(session, event.call_id)
        case StepChecked(step=step) if step.number != len(session.steps) + 1:
            return f"step {step.number} is out of order"
        case AnalysisFinished():
            return _why_not_concluded(session, event)
        case Approved(approval=approval) if approval.digest != session.digest or not session.digest:
            return "the approval is not of this plan's digest"
        case ExecutionStarted():
            return _why_not_executed(session, event)
        case StepStarted(step=number) | StepFinished(result=StepResult(step=number)):
            return _why_not_run(session, event, number)
        case VerdictReached() if session.running:
            return f"step {session.running[0]} was sent and has no result yet"
        case _:
            return ""


def _why_not_in_turn(session: Session, turn: int) -> str:
    last = session.turns[-1] if session.turns else None
    running = last is not None and last.number == turn and last.finished is None
    return "" if running else f"turn {turn} is not running"


def _why_not_of_call(session: Session, call_id: str) -> str:
    tool = session.tool(call_id)
    if tool is None:
        return f"there is no tool call {call_id}"
    return f"tool call {call_id} is answered" if tool.finished else ""


def _why_not_concluded(session: Session, event: AnalysisFinished) -> str:
    analysis = event.analysis
    if analysis.outcome not in CONCLUSIONS:
        return f"{analysis.outcome} is not a conclusion of an analysis"
    if event.digest and analysis.outcome is not Outcome.PROPOSAL:
        return f"{analysis.outcome} has nothing to approve, but a digest"
    numbers = [planned.step for planned in analysis.steps]
    if len(set(numbers)) != len(numbers):
        return "the proposal names a step twice"
    unchecked = [number for number in numbers if session.step(number) is None]
    if unchecked:
        return f"step {unchecked[0]} was never checked"
    steps = [checked for number in numbers if (checked := session.step(number))]
    plan = plan_digest(session.started.fingerprint, steps)
    return "the digest is not of these steps" if event.digest not in ("", plan) else ""


def _why_not_executed(session: Session, event: ExecutionStarted) -> str:
    if session.started.access == "read":
        return "it was started for reading only"
    if session.approval is None or session.approval.digest != event.digest:
        return "the execution has no live approval of its digest"
    return ""


def _why_not_run(session: Session, event: StepStarted | StepFinished, number: int) -> str:
    if number not in session.plan:
        return f"step {number} is not in the plan"
    if session.result(number) is not None:
        return f"step {number} has its result"
    sent = number in session.running
    if isinstance(event, StepStarted):
        # Again under another Audit-ID: after a conflict, which says that nothing was applied.
        return f"{event.audit_id} was sent already" if event.audit_id in session.sent else ""
    match event.result.result:
        case ResultKind.SUCCEEDED | ResultKind.UNKNOWN if not sent:
            return f"step {number} was never sent"
        case ResultKind.SKIPPED if sent:
            return f"step {number} was sent, so it can't be skipped"
        case _:
            return ""

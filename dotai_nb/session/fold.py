"""The fold: what each event makes of a session."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, assert_never

from dotai_nb.errors import IllegalEvent
from dotai_nb.session import legal
from dotai_nb.session.events import (
    AnalysisFinished,
    Approved,
    CancelRequested,
    ExecutionStarted,
    Failed,
    Interrupted,
    ModelRetried,
    Noted,
    Recorded,
    Refined,
    RolloutProgressed,
    SessionStarted,
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
from dotai_nb.session.session import Block, Session, ToolCall, Turn
from dotai_nb.session.values import Outcome, ResultKind, Status, StepResult, VerdictKind

if TYPE_CHECKING:
    from collections.abc import Iterable


def fold(recorded: Iterable[Recorded]) -> Session:
    """The session that these events make.

    Raises:
        IllegalEvent: for no events, or one that its status does not allow.
    """
    session: Session | None = None
    for entry in recorded:
        session = advance(session, entry)
    if session is None:
        raise IllegalEvent("A session has at least its first event; there is none.")
    return session


def advance(session: Session | None, entry: Recorded) -> Session:
    """The session after one more event.

    Raises:
        IllegalEvent: when the session's status does not allow this event.
    """
    event = entry.event
    if session is None or isinstance(event, SessionStarted):
        if session is not None or not isinstance(event, SessionStarted):
            raise IllegalEvent("A session starts once, with session_started.")
        return Session(event, created_at=entry.at, updated_at=entry.at, head=entry.hash)
    legal.check(session, event)
    changes = _changes(session, entry)
    return replace(
        session, updated_at=entry.at, head=entry.hash, count=session.count + 1, **changes
    )


def _changes(session: Session, entry: Recorded) -> dict[str, Any]:  # noqa: C901, PLR0911, PLR0912 - one arm an event, closed
    event = entry.event
    match event:
        case SessionStarted():
            raise IllegalEvent("A session starts once.")
        case TurnStarted():
            return {"turns": (*session.turns, Turn(event.turn, event.purpose))}
        case TextSaid() | Thought():
            return {"turns": _with_block(session, event)}
        case ToolCalled():
            return {
                "turns": _with_block(session, event),
                "tools": (*session.tools, ToolCall(event)),
            }
        case TurnFinished():
            return {"turns": _with_last(session, replace(session.turns[-1], finished=event))}
        case ModelRetried():
            return {
                "turns": _with_last(session, replace(session.turns[-1], blocks=())),
                "tools": tuple(t for t in session.tools if t.called.turn != event.turn),
                "retries": (*session.retries, event),
            }
        case ToolStarted():
            return {"tools": _with_tool(session, event.call_id, started_at=entry.at)}
        case ToolFinished():
            return {"tools": _with_tool(session, event.call_id, finished=event)}
        case StepChecked():
            return {"steps": (*session.steps, event)}
        case AnalysisFinished():
            return {
                "status": Status.ANALYSIS_COMPLETE,
                "outcome": event.analysis.outcome,
                "analysis": event.analysis,
                "digest": event.digest,
                "topology": event.topology,
            }
        case Refined():
            return {
                "status": Status.ANALYZING,
                "outcome": None,
                "analysis": None,
                "topology": None,
                "digest": "",
                "approval": None,
                "refinements": (*session.refinements, event.text),
            }
        case Approved():
            return {"approval": event.approval}
        case ExecutionStarted():
            return {
                "status": Status.EXECUTING,
                "execution": event,
                "spent": session.approval,
                "approval": None,
            }
        case StepStarted():
            others = tuple(n for n in session.running if n != event.step)
            return {"running": (*others, event.step), "sent": (*session.sent, event.audit_id)}
        case StepFinished():
            return {
                "running": tuple(n for n in session.running if n != event.result.step),
                "results": (*session.results, event.result),
            }
        case RolloutProgressed():
            return {"rollouts": (*session.rollouts, event)}
        case CancelRequested():
            return {"cancelled": True}
        case VerdictReached():
            return {"status": _final(session, event), "verdict": event.verdict}
        case Failed():
            return {"status": Status.FAILED, "outcome": event.outcome, "failure": event}
        case Interrupted():
            return _interrupted(session, event)
        case Noted():
            return {"notes": (*session.notes, event.message)}
        case _:
            assert_never(event)


def _with_block(session: Session, block: Block) -> tuple[Turn, ...]:
    last = session.turns[-1]
    return _with_last(session, replace(last, blocks=(*last.blocks, block)))


def _with_last(session: Session, last: Turn) -> tuple[Turn, ...]:
    return (*session.turns[:-1], last)


def _position(session: Session, call_id: str) -> int | None:
    """Where the latest call of that id stands; some local servers count anew in every turn."""
    for position in range(len(session.tools) - 1, -1, -1):
        if session.tools[position].called.call_id == call_id:
            return position
    return None


def _with_tool(session: Session, call_id: str, **changes: Any) -> tuple[ToolCall, ...]:
    tools = session.tools
    position = _position(session, call_id)
    if position is None:
        return tools
    return (*tools[:position], replace(tools[position], **changes), *tools[position + 1 :])


def _final(session: Session, event: VerdictReached) -> Status:
    fine = (
        event.verdict.verdict is VerdictKind.PASSED
        and not session.cancelled
        and {r.step for r in session.results if r.result is ResultKind.SUCCEEDED}
        == set(session.plan)
    )
    return Status.EXECUTED_SUCCESSFULLY if fine else Status.EXECUTED_WITH_ERRORS


def _interrupted(session: Session, event: Interrupted) -> dict[str, Any]:
    if session.status is Status.ANALYZING:
        return {"status": Status.FAILED, "outcome": Outcome.FAILED, "failure": event}
    done = {r.step for r in session.results}
    lost = tuple(
        StepResult(
            step=number,
            result=ResultKind.UNKNOWN if number in session.running else ResultKind.SKIPPED,
            error=event.message,
        )
        for number in session.plan
        if number not in done
    )
    return {
        "status": Status.EXECUTED_WITH_ERRORS,
        "results": (*session.results, *lost),
        "running": (),
        "failure": event,
    }

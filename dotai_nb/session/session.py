"""A session is what its events say: the fold, the statuses, the legal moves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, assert_never

from dotai_nb.errors import IllegalEvent
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
from dotai_nb.session.values import (
    Accepted,
    Outcome,
    PlannedStep,
    ResultKind,
    Status,
    StepResult,
    Usage,
    VerdictKind,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from dotai_nb.session.values import Analysis, Approval, Topology, Verdict

Block = TextSaid | Thought | ToolCalled


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call as a person sees it: asked for, perhaps running, perhaps answered."""

    called: ToolCalled
    started_at: datetime | None = None
    finished: ToolFinished | None = None

    @property
    def state(self) -> str:
        """`waiting`, `running`, `ok` or `failed`."""
        if self.finished:
            return "ok" if self.finished.ok else "failed"
        return "running" if self.started_at else "waiting"


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of the model; `finished` is None while it streams."""

    number: int
    purpose: str
    blocks: tuple[Block, ...] = ()
    finished: TurnFinished | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A session at one moment, folded from its events; never stored as a second truth.

    Attributes:
        head: hash of the last event.
        analysis: the latest accepted conclusion; None while analysing.
        digest: of the plan that can be approved now; empty when none can.
        approval: the live approval; None before it, after it was voided, and once it is spent.
        spent: the approval that this session's one execution used.
        running: numbers of the steps that were sent and have no result yet.
        sent: Audit-IDs of the writes that were sent, in their order.
    """

    started: SessionStarted
    created_at: datetime
    updated_at: datetime
    head: str
    count: int = 1
    status: Status = Status.ANALYZING
    outcome: Outcome | None = None
    turns: tuple[Turn, ...] = ()
    tools: tuple[ToolCall, ...] = ()
    steps: tuple[StepChecked, ...] = ()
    refinements: tuple[str, ...] = ()
    analysis: Analysis | None = None
    topology: Topology | None = None
    digest: str = ""
    approval: Approval | None = None
    spent: Approval | None = None
    execution: ExecutionStarted | None = None
    running: tuple[int, ...] = ()
    sent: tuple[str, ...] = ()
    results: tuple[StepResult, ...] = ()
    rollouts: tuple[RolloutProgressed, ...] = field(default=())
    cancelled: bool = False
    verdict: Verdict | None = None
    failure: Failed | Interrupted | None = None
    retries: tuple[ModelRetried, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """`opr-{epoch ms}-{8 hex}`."""
        return self.started.session_id

    @property
    def intent(self) -> str:
        """What the person asked, in their words."""
        return self.started.intent

    @property
    def usage(self) -> Usage:
        """Tokens of all finished turns."""
        return sum((t.finished.usage for t in self.turns if t.finished), start=Usage())

    @property
    def at_rest(self) -> bool:
        """Nothing is running: no analysis, no execution."""
        return self.status not in (Status.ANALYZING, Status.EXECUTING)

    @property
    def planned(self) -> tuple[tuple[PlannedStep, StepChecked], ...]:
        """The proposal's steps in its order, each with its step and evidence."""
        if self.analysis is None:
            return ()
        by_number = {checked.step.number: checked for checked in self.steps}
        return tuple((planned, by_number[planned.step]) for planned in self.analysis.steps)

    def step(self, number: int) -> StepChecked | None:
        """The checked step of that number; None if there is none."""
        return next((c for c in self.steps if c.step.number == number), None)

    def result(self, number: int) -> StepResult | None:
        """The result of that step; None if it has none yet."""
        return next((r for r in self.results if r.step == number), None)

    def tool(self, call_id: str) -> ToolCall | None:
        """The latest tool call of that id; None if there is none."""
        return next((t for t in reversed(self.tools) if t.called.call_id == call_id), None)


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
    _check_legal(session, event)
    changes = _changes(session, entry)
    return replace(
        session, updated_at=entry.at, head=entry.hash, count=session.count + 1, **changes
    )


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


def _check_legal(session: Session, event: Event) -> None:
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
    position = _position(session, call_id)
    if position is None:
        return f"there is no tool call {call_id}"
    return f"tool call {call_id} is answered" if session.tools[position].finished else ""


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
    return f"step {unchecked[0]} was never checked" if unchecked else ""


def _why_not_executed(session: Session, event: ExecutionStarted) -> str:
    if session.started.access == "read":
        return "it was started for reading only"
    if session.approval is None or session.approval.digest != event.digest:
        return "the execution has no live approval of its digest"
    return ""


def _why_not_run(session: Session, event: StepStarted | StepFinished, number: int) -> str:
    if number not in _planned(session):
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


def _planned(session: Session) -> tuple[int, ...]:
    return tuple(p.step for p in session.analysis.steps) if session.analysis else ()


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
            *rest, last = session.turns
            return {"turns": (*rest, replace(last, finished=event))}
        case ModelRetried():
            *rest, last = session.turns
            return {
                "turns": (*rest, replace(last, blocks=())),
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
    *rest, last = session.turns
    return (*rest, replace(last, blocks=(*last.blocks, block)))


def _position(session: Session, call_id: str) -> int | None:
    """Where the latest call of that id stands; some local servers count anew in every turn."""
    for position in range(len(session.tools) - 1, -1, -1):
        if session.tools[position].called.call_id == call_id:
            return position
    return None


def _with_tool(session: Session, call_id: str, **changes: Any) -> tuple[ToolCall, ...]:
    tools = list(session.tools)
    position = _position(session, call_id)
    if position is not None:
        tools[position] = replace(tools[position], **changes)
    return tuple(tools)


def _final(session: Session, event: VerdictReached) -> Status:
    fine = (
        event.verdict.verdict is VerdictKind.PASSED
        and not session.cancelled
        and {r.step for r in session.results if r.result is ResultKind.SUCCEEDED}
        == set(_planned(session))
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
        for number in _planned(session)
        if number not in done
    )
    return {
        "status": Status.EXECUTED_WITH_ERRORS,
        "results": (*session.results, *lost),
        "running": (),
        "failure": event,
    }


def can_be_approved(session: Session) -> bool:
    """Whether every step of the proposal was accepted by the API server, and there is one."""
    return (
        session.outcome is Outcome.PROPOSAL
        and bool(session.planned)
        and all(isinstance(checked.evidence, Accepted) for _, checked in session.planned)
    )

"""A session at one moment: what its events have made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dotai_nb.session.events import (
    ExecutionStarted,
    Failed,
    Interrupted,
    ModelRetried,
    RolloutProgressed,
    SessionStarted,
    StepChecked,
    TextSaid,
    Thought,
    ToolCalled,
    ToolFinished,
    TurnFinished,
)
from dotai_nb.session.values import (
    Accepted,
    Analysis,
    Approval,
    Outcome,
    PlannedStep,
    Status,
    StepResult,
    Topology,
    Usage,
    Verdict,
)

if TYPE_CHECKING:
    from datetime import datetime

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

    @property
    def plan(self) -> tuple[int, ...]:
        """Numbers of the proposal's steps, in its order."""
        return tuple(p.step for p in self.analysis.steps) if self.analysis else ()

    def step(self, number: int) -> StepChecked | None:
        """The checked step of that number; None if there is none."""
        return next((c for c in self.steps if c.step.number == number), None)

    def result(self, number: int) -> StepResult | None:
        """The result of that step; None if it has none yet."""
        return next((r for r in self.results if r.step == number), None)

    def tool(self, call_id: str) -> ToolCall | None:
        """The latest tool call of that id; None if there is none."""
        return next((t for t in reversed(self.tools) if t.called.call_id == call_id), None)


def can_be_approved(session: Session) -> bool:
    """Whether every step of the proposal was accepted by the API server, and there is one."""
    return (
        session.outcome is Outcome.PROPOSAL
        and bool(session.planned)
        and all(isinstance(checked.evidence, Accepted) for _, checked in session.planned)
    )

"""The closed union of events: what a session is made of.

Design rule: an event is one fact that happened; it is never changed. Text deltas are not events:
they are live only (`TextDelta`), and one `text` event a content block is what is kept.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from dotai_nb.session.canonical import JsonObject, digest
from dotai_nb.session.values import (
    Analysis,
    Approval,
    Evidence,
    Fingerprint,
    Measured,
    ObjectRef,
    Outcome,
    Step,
    StepResult,
    Topology,
    Usage,
    Value,
    Verdict,
)

Purpose = Literal["investigate", "validate"]

BY_HAND = "by hand"
"""The provider of a plan that a person wrote: no model was asked."""


class SessionStarted(Value):
    """The first event: who asks what, of which cluster, with which model.

    Attributes:
        identity: the username that investigates, checks dry runs and looks afterwards.
        executes_as: the username that executes, where it is another; empty where one identity is
            shared, and then not written, so that files from before this field keep their hashes.
        provider: `anthropic`, `recording` for recorded turns, or `by hand` for a person's own
            steps, which have neither endpoint nor model.
        endpoint: the URL that is sent data; empty for recorded turns.
        model: the model asked for; which one answered is in `turn_finished`.
        recording: the recording whose turns are used; empty for a live model.
        scripted: no model ever made these turns.
        prompts: SHA-256 of each prompt template by name.
        tools: SHA-256 of the tool schemas.
        access: `execute`, or `read` when `DOT_AI_READ_ONLY` is set.
        continues: the session this one goes on from; empty for a first one.
    """

    type: Literal["session_started"] = "session_started"
    session_id: str
    tool_name: Literal["operate"] = "operate"
    intent: str
    namespace: str
    context: str
    fingerprint: Fingerprint
    server_version: str
    identity: str
    executes_as: str = Field(default="", exclude_if=lambda name: not name)
    package_version: str
    provider: str
    endpoint: str
    model: str
    recording: str = ""
    scripted: bool = False
    prompts: dict[str, str]
    tools: str
    access: Literal["execute", "read"] = "execute"
    continues: str = ""
    patterns: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    knowledge: str = Field(description="one sentence: what of the organisation was known")

    @property
    def by_hand(self) -> bool:
        """A person wrote the steps, and no model is ever asked."""
        return self.provider == BY_HAND


class TurnStarted(Value):
    """The model is asked for its next turn (1-based over the whole session)."""

    type: Literal["turn_started"] = "turn_started"
    turn: int
    purpose: Purpose


class TextSaid(Value):
    """A content block of the model's words, whole."""

    type: Literal["text"] = "text"
    turn: int
    text: str


class Thought(Value):
    """A thinking block, whole, with what the provider needs to take it back."""

    type: Literal["thinking"] = "thinking"
    turn: int
    text: str
    signature: str = ""
    redacted: str = Field(default="", description="opaque data of a redacted block")


class ToolCalled(Value):
    """The model calls a tool. Arguments as it gave them, redacted; text if they were not JSON."""

    type: Literal["tool_called"] = "tool_called"
    turn: int
    call_id: str
    name: str
    arguments: Any


class TurnFinished(Value):
    """The model's turn is whole: its blocks are the text, thinking and tool calls since its start.

    Attributes:
        stop_reason: as the provider says it.
        model: the model that answered.
        request_id: the provider's.
    """

    type: Literal["turn_finished"] = "turn_finished"
    turn: int
    stop_reason: str
    model: str
    usage: Usage = Usage()
    request_id: str = ""


class ModelRetried(Value):
    """A model request failed and is made again; the blocks of this turn so far are void.

    Attributes:
        wait: seconds until the next try.
    """

    type: Literal["model_retried"] = "model_retried"
    turn: int
    attempt: int
    wait: float
    error: str
    request_id: str = ""


class ToolStarted(Value):
    """A tool call begins to run."""

    type: Literal["tool_started"] = "tool_started"
    call_id: str


class ToolFinished(Value):
    """A tool call is answered; `output` is to the letter what the model gets.

    Attributes:
        audit_ids: of every request the call made, to join with the API server's audit log.
        step: the step it made, for a dry run.
    """

    type: Literal["tool_finished"] = "tool_finished"
    call_id: str
    ok: bool
    output: str
    measured: Measured | None = None
    duration_ms: int
    audit_ids: tuple[str, ...] = ()
    step: int | None = None


class StepChecked(Value):
    """A dry run was answered: a step and its evidence.

    Attributes:
        audit_ids: of the requests made for a step written by hand; a model's are those of its call.
    """

    type: Literal["step_checked"] = "step_checked"
    step: Step
    evidence: Evidence
    # Left out when empty: the files, and their hashes, of before this field stay what they are.
    audit_ids: tuple[str, ...] = Field((), exclude_if=lambda ids: not ids)


class AnalysisFinished(Value):
    """The model concluded, and the code accepted it.

    Attributes:
        digest: SHA-256 of the plan, 64 hex digits; empty when nothing can be approved.
        topology: what changes and what hangs on it.
    """

    type: Literal["analysis_finished"] = "analysis_finished"
    analysis: Analysis
    digest: str
    topology: Topology = Topology()


class Refined(Value):
    """The person says more; the session analyses again and its approvals are void."""

    type: Literal["refined"] = "refined"
    text: str


class Approved(Value):
    """A person said yes to a digest."""

    type: Literal["approved"] = "approved"
    approval: Approval


class ExecutionStarted(Value):
    """The one run of this session begins; the approval is spent."""

    type: Literal["execution_started"] = "execution_started"
    digest: str
    on_error: Literal["continue", "stop"] = "continue"
    by: str = ""


class StepStarted(Value):
    """Durable before the request leaves."""

    type: Literal["step_started"] = "step_started"
    step: int
    audit_id: str


class StepFinished(Value):
    """The answer to a step's request, or why it was not sent."""

    type: Literal["step_finished"] = "step_finished"
    result: StepResult


class RolloutProgressed(Value):
    """A rollout that is waited for moved.

    Attributes:
        ready: updated and available replicas.
        wanted: replicas wanted.
        state: `progressing`, `done`, `failed` or `deadline`.
    """

    type: Literal["rollout_progressed"] = "rollout_progressed"
    step: int
    target: ObjectRef
    ready: int
    wanted: int
    state: Literal["progressing", "done", "failed", "deadline"]
    message: str


class VerdictReached(Value):
    """The check after the execution; ends it."""

    type: Literal["verdict_reached"] = "verdict_reached"
    verdict: Verdict
    audit_ids: tuple[str, ...] = ()


class CancelRequested(Value):
    """A person pressed Cancel, or interrupted the kernel, during the execution."""

    type: Literal["cancel_requested"] = "cancel_requested"
    by: str = ""


class Failed(Value):
    """The analysis ended without a conclusion.

    Attributes:
        error: the class of the error.
        hint: what to do next.
    """

    type: Literal["failed"] = "failed"
    outcome: Literal[Outcome.FAILED, Outcome.BUDGET_EXHAUSTED, Outcome.CANCELLED]
    error: str
    message: str
    hint: str = ""
    request_id: str = ""


class Interrupted(Value):
    """The process that ran this session is gone; told by whoever opened the file next."""

    type: Literal["interrupted"] = "interrupted"
    message: str


class Noted(Value):
    """Something the reader of this session should know, such as a torn last line that was cut."""

    type: Literal["noted"] = "noted"
    message: str


Event = (
    SessionStarted
    | TurnStarted
    | TextSaid
    | Thought
    | ToolCalled
    | TurnFinished
    | ModelRetried
    | ToolStarted
    | ToolFinished
    | StepChecked
    | AnalysisFinished
    | Refined
    | Approved
    | ExecutionStarted
    | StepStarted
    | StepFinished
    | RolloutProgressed
    | VerdictReached
    | CancelRequested
    | Failed
    | Interrupted
    | Noted
)

EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


class TextDelta(Value):
    """Live only: a piece of the model's words as it arrives. Never stored."""

    turn: int
    text: str


class Recorded(Value):
    """An event in its place: numbered, timed, chained.

    Attributes:
        seq: 1-based, without gaps.
        at: UTC.
        hash: SHA-256 over the hash before (empty for the first), `seq`, `at` and the event.
    """

    seq: int
    at: datetime
    event: Annotated[Event, Field(discriminator="type")]
    hash: str

    @classmethod
    def after(cls, previous: Recorded | None, event: Event, at: datetime) -> Recorded:
        """Chain an event behind the one before it."""
        seq = previous.seq + 1 if previous else 1
        unsealed = cls(seq=seq, at=at, event=event, hash="")
        return unsealed.model_copy(update={"hash": unsealed.seal(previous)})

    def seal(self, previous: Recorded | None) -> str:
        """The hash this entry must carry behind `previous`."""
        entry = self.json_object()
        entry["hash"] = previous.hash if previous else ""
        return digest(entry)

    def line(self) -> JsonObject:
        """As one JSON object, the way it stands in the file."""
        return self.json_object()

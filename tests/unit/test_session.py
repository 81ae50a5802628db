"""The fold: which events may happen when, and what they make of a session."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from dotai_nb.errors import IllegalEvent
from dotai_nb.session.approval import plan_digest
from dotai_nb.session.events import (
    EVENT,
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
from dotai_nb.session.fold import advance, fold
from dotai_nb.session.legal import LEGAL
from dotai_nb.session.session import Session, can_be_approved
from dotai_nb.session.values import (
    Analysis,
    Outcome,
    PlannedStep,
    ResultKind,
    Status,
    StepResult,
    Usage,
    Verdict,
    VerdictKind,
)
from tests.unit.sessions import (
    BEGAN,
    DEPLOYMENT,
    TICK,
    approval,
    clarification_session,
    executed_events,
    executed_session,
    failed_session,
    proposal_digest,
    proposal_events,
    proposal_session,
    record,
    started,
    update_step,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


def folded(events: Iterable[Event]) -> Session:
    return fold(record(events))


def after(session: Session, *events: Event) -> Session:
    """The session with more events; the hashes play no part in a fold."""
    for event in events:
        entry = Recorded(
            seq=session.count + 1, at=BEGAN + TICK * session.count, event=event, hash="0" * 64
        )
        session = advance(session, entry)
    return session


def verdict(kind: VerdictKind = VerdictKind.PASSED) -> VerdictReached:
    return VerdictReached(verdict=Verdict(verdict=kind, summary="", by_code=kind, by_model=None))


def finished(step: int, result: ResultKind = ResultKind.SUCCEEDED) -> StepFinished:
    return StepFinished(result=StepResult(step=step, result=result))


def ran(*steps: int) -> list[Event]:
    return [event for n in steps for event in (StepStarted(step=n, audit_id=f"a{n}"), finished(n))]


def called(call_id: str, turn: int = 1) -> ToolCalled:
    return ToolCalled(turn=turn, call_id=call_id, name="kubectl_get", arguments={})


def answered(call_id: str) -> ToolFinished:
    return ToolFinished(call_id=call_id, ok=True, output="", duration_ms=1)


ANALYZING = folded([started(), TurnStarted(turn=1, purpose="investigate"), called("call-1")])
COMPLETE = fold(proposal_session())
APPROVED = after(COMPLETE, Approved(approval=approval()))
EXECUTING = after(
    APPROVED,
    ExecutionStarted(digest=proposal_digest()),
    TurnStarted(turn=5, purpose="validate"),
    called("call-1", turn=5),
)
AT = {
    Status.ANALYZING: ANALYZING,
    Status.ANALYSIS_COMPLETE: APPROVED,
    Status.EXECUTING: EXECUTING,
    Status.EXECUTED_SUCCESSFULLY: fold(executed_session()),
    Status.EXECUTED_WITH_ERRORS: after(EXECUTING, verdict(VerdictKind.FAILED)),
    Status.FAILED: fold(failed_session()),
}

MODEL_EVENTS = {
    TurnStarted,
    TextSaid,
    Thought,
    ToolCalled,
    TurnFinished,
    ModelRetried,
    ToolStarted,
    ToolFinished,
    Interrupted,
    Noted,
}
MAY_HAPPEN: dict[Status, set[type[Event]]] = {
    Status.ANALYZING: MODEL_EVENTS | {StepChecked, AnalysisFinished, Failed},
    Status.ANALYSIS_COMPLETE: {Refined, Approved, ExecutionStarted, Noted},
    Status.EXECUTING: MODEL_EVENTS
    | {StepStarted, StepFinished, RolloutProgressed, CancelRequested, VerdictReached},
    Status.EXECUTED_SUCCESSFULLY: {Noted},
    Status.EXECUTED_WITH_ERRORS: {Noted},
    Status.FAILED: {Noted},
}
"""Written down from the issue, not from the code."""


def fitting(kind: type[Event], session: Session) -> Event:
    """An event of that kind that is right for this session in all but perhaps its status."""
    turn = session.turns[-1].number if session.turns else 1
    step = update_step().step.model_copy(update={"number": len(session.steps) + 1})
    unchanged = Analysis(outcome=Outcome.NO_CHANGE_NEEDED, summary="")
    samples: tuple[Event, ...] = (
        TurnStarted(turn=turn + 1, purpose="investigate"),
        TextSaid(turn=turn, text="x"),
        Thought(turn=turn, text="x"),
        called("call-2", turn),
        TurnFinished(turn=turn, stop_reason="end_turn", model="m"),
        ModelRetried(turn=turn, attempt=1, wait=1, error="529"),
        ToolStarted(call_id="call-1"),
        answered("call-1"),
        StepChecked(step=step, evidence=update_step().evidence),
        AnalysisFinished(analysis=unchanged, digest=""),
        Failed(outcome=Outcome.CANCELLED, error="Cancelled", message=""),
        Refined(text="x"),
        Approved(approval=approval()),
        ExecutionStarted(digest=proposal_digest()),
        StepStarted(step=2, audit_id="a2"),
        finished(2, ResultKind.FAILED),
        RolloutProgressed(
            step=2, target=DEPLOYMENT, ready=1, wanted=2, state="progressing", message=""
        ),
        CancelRequested(),
        verdict(),
        Interrupted(message="gone"),
        Noted(message="x"),
    )
    return next(sample for sample in samples if type(sample) is kind)


@pytest.mark.parametrize("kind", sorted(LEGAL, key=lambda kind: kind.__name__))
@pytest.mark.parametrize("status", Status)
def test_an_event_happens_in_exactly_the_statuses_that_allow_it(kind: type[Event], status: Status):
    session = AT[status]
    assert session.status is status
    event = fitting(kind, session)
    if kind in MAY_HAPPEN[status]:
        assert after(session, event).count == session.count + 1
    else:
        with pytest.raises(IllegalEvent, match=f"{event.type} can't happen while .* {status}"):
            after(session, event)


def test_every_event_but_the_first_has_its_statuses():
    kinds = {kind.__name__ for kind in get_args(Event)}
    assert {kind.__name__ for kind in LEGAL} == kinds - {"SessionStarted"}


def test_a_session_starts_once_and_with_its_start():
    with pytest.raises(IllegalEvent, match="there is none"):
        fold(())
    with pytest.raises(IllegalEvent, match="starts once"):
        folded([Noted(message="x")])
    with pytest.raises(IllegalEvent, match="starts once"):
        folded([started(), started()])


OUT_OF_PLACE: dict[str, tuple[Session, Event, str]] = {
    "a text before any turn": (
        folded([started()]),
        TextSaid(turn=1, text=""),
        "turn 1 is not running",
    ),
    "a text of another turn": (ANALYZING, TextSaid(turn=2, text=""), "turn 2 is not running"),
    "a text of a finished turn": (
        after(ANALYZING, TurnFinished(turn=1, stop_reason="", model="")),
        TextSaid(turn=1, text=""),
        "turn 1 is not running",
    ),
    "a turn that skips a number": (
        ANALYZING,
        TurnStarted(turn=3, purpose="investigate"),
        "turn 3 is out of order",
    ),
    "the start of a call nobody made": (
        ANALYZING,
        ToolStarted(call_id="call-9"),
        "no tool call call-9",
    ),
    "a second answer": (
        after(ANALYZING, answered("call-1")),
        answered("call-1"),
        "call-1 is answered",
    ),
    "a step out of order": (ANALYZING, update_step(), "step 2 is out of order"),
    "a proposal of an unchecked step": (
        ANALYZING,
        AnalysisFinished(
            analysis=Analysis(
                outcome=Outcome.PROPOSAL, summary="", steps=(PlannedStep(step=1, reason=""),)
            ),
            digest="",
        ),
        "step 1 was never checked",
    ),
    "a digest of other steps": (
        after(COMPLETE, Refined(text="again")),
        AnalysisFinished(
            analysis=Analysis(
                outcome=Outcome.PROPOSAL, summary="", steps=(PlannedStep(step=2, reason=""),)
            ),
            digest="a" * 64,
        ),
        "the digest is not of these steps",
    ),
    "an analysis that failed": (
        ANALYZING,
        AnalysisFinished(analysis=Analysis(outcome=Outcome.CANCELLED, summary=""), digest=""),
        "cancelled is not a conclusion",
    ),
    "a digest of nothing": (
        ANALYZING,
        AnalysisFinished(
            analysis=Analysis(outcome=Outcome.NO_CHANGE_NEEDED, summary=""), digest="a" * 64
        ),
        "has nothing to approve",
    ),
    "an approval of another plan": (
        COMPLETE,
        Approved(approval=approval().model_copy(update={"digest": "a" * 64})),
        "not of this plan's digest",
    ),
    "an approval of nothing": (
        fold(clarification_session()),
        Approved(approval=approval().model_copy(update={"digest": ""})),
        "not of this plan's digest",
    ),
    "an execution without approval": (
        COMPLETE,
        ExecutionStarted(digest=proposal_digest()),
        "no live approval",
    ),
    "an execution of another plan": (
        APPROVED,
        ExecutionStarted(digest="a" * 64),
        "no live approval",
    ),
    "a step outside the plan": (EXECUTING, StepStarted(step=1, audit_id=""), "not in the plan"),
    "a request sent twice": (
        after(EXECUTING, StepStarted(step=2, audit_id="a1")),
        StepStarted(step=2, audit_id="a1"),
        "a1 was sent already",
    ),
    "a step sent again after its result": (
        after(EXECUTING, *ran(2)),
        StepStarted(step=2, audit_id=""),
        "step 2 has its result",
    ),
    "a second result": (after(EXECUTING, *ran(2)), finished(2), "step 2 has its result"),
    "a success of a step never sent": (EXECUTING, finished(2), "step 2 was never sent"),
    "a step skipped after it was sent": (
        after(EXECUTING, StepStarted(step=2, audit_id="")),
        finished(2, ResultKind.SKIPPED),
        "can't be skipped",
    ),
    "a verdict while a step is out": (
        after(EXECUTING, StepStarted(step=2, audit_id="")),
        verdict(),
        "step 2 was sent and has no result yet",
    ),
}


@pytest.mark.parametrize(("session", "event", "reason"), OUT_OF_PLACE.values(), ids=OUT_OF_PLACE)
def test_what_is_out_of_place_is_refused_with_the_reason(
    session: Session, event: Event, reason: str
):
    with pytest.raises(IllegalEvent, match=reason):
        after(session, event)


def test_a_step_may_be_sent_again_under_another_audit_id_and_has_one_result():
    again = [StepStarted(step=2, audit_id=audit_id) for audit_id in ("first", "second")]
    session = after(EXECUTING, *again)
    assert (session.running, session.sent) == ((2,), ("first", "second"))
    session = after(session, finished(2))
    assert session.running == ()
    assert [result.step for result in session.results] == [2]


def test_a_session_started_for_reading_is_never_executed():
    _, *rest = proposal_events()
    reading = folded([started(access="read"), *rest, Approved(approval=approval())])
    with pytest.raises(IllegalEvent, match="reading only"):
        after(reading, ExecutionStarted(digest=proposal_digest()))


def test_an_execution_spends_its_approval():
    assert APPROVED.approval == approval()
    assert EXECUTING.approval is None
    assert EXECUTING.spent == approval()


def test_refining_voids_approval_digest_and_analysis_but_keeps_what_was_learnt():
    refined = after(APPROVED, Refined(text="keep the canary"))
    assert (refined.approval, refined.digest, refined.analysis, refined.outcome) == (
        None,
        "",
        None,
        None,
    )
    assert refined.refinements == ("keep the canary",)
    assert refined.steps == COMPLETE.steps
    assert refined.turns == COMPLETE.turns
    assert refined.planned == ()


def test_a_retry_voids_the_blocks_and_calls_of_its_turn_only():
    session = after(
        ANALYZING,
        TurnFinished(turn=1, stop_reason="tool_use", model="m"),
        TurnStarted(turn=2, purpose="investigate"),
        TextSaid(turn=2, text="half"),
        called("call-2", turn=2),
        ModelRetried(turn=2, attempt=1, wait=0.5, error="529"),
    )
    assert [len(turn.blocks) for turn in session.turns] == [1, 0]
    assert [call.called.call_id for call in session.tools] == ["call-1"]
    assert len(session.retries) == 1


def test_a_call_id_used_again_means_the_latest_call():
    session = after(
        ANALYZING,
        answered("call-1"),
        TurnFinished(turn=1, stop_reason="tool_use", model="m"),
        TurnStarted(turn=2, purpose="investigate"),
        called("call-1", turn=2),
        ToolStarted(call_id="call-1"),
    )
    assert [call.state for call in session.tools] == ["ok", "running"]
    assert session.tool("call-1") == session.tools[1]


def test_the_whole_story_ends_successfully():
    session = fold(executed_session())
    assert session.status is Status.EXECUTED_SUCCESSFULLY
    assert session.outcome is Outcome.PROPOSAL
    assert [result.step for result in session.results] == [2, 3, 4]
    assert session.usage == Usage(input=7200, output=1080, cache_read=5400, cache_write=1800)
    assert session.updated_at - session.created_at == timedelta(seconds=15)
    assert session.at_rest


@pytest.mark.parametrize("kind", [VerdictKind.FAILED, VerdictKind.INCONCLUSIVE])
def test_a_verdict_that_is_not_passed_is_an_execution_with_errors(kind: VerdictKind):
    ended = after(EXECUTING, *ran(2, 3, 4), verdict(kind))
    assert ended.status is Status.EXECUTED_WITH_ERRORS


@pytest.mark.parametrize(
    "events",
    [
        ran(2, 3),
        [*ran(2, 3), finished(4, ResultKind.SKIPPED)],
        [*ran(2, 3), StepStarted(step=4, audit_id=""), finished(4, ResultKind.FAILED)],
        [*ran(2, 3, 4), CancelRequested()],
    ],
    ids=["a step is missing", "a step was skipped", "a step failed", "it was cancelled"],
)
def test_a_passed_verdict_alone_is_no_success(events: list[Event]):
    assert after(EXECUTING, *events, verdict()).status is Status.EXECUTED_WITH_ERRORS


def test_an_interrupted_analysis_has_failed():
    session = after(ANALYZING, Interrupted(message="gone"))
    assert (session.status, session.outcome) == (Status.FAILED, Outcome.FAILED)


def test_an_interrupted_execution_knows_what_it_does_not_know():
    out = StepStarted(step=3, audit_id="")
    session = after(EXECUTING, *ran(2), out, Interrupted(message="gone"))
    assert session.status is Status.EXECUTED_WITH_ERRORS
    assert {result.step: result.result for result in session.results} == {
        2: ResultKind.SUCCEEDED,
        3: ResultKind.UNKNOWN,
        4: ResultKind.SKIPPED,
    }
    assert session.running == ()


def test_only_a_proposal_of_accepted_steps_can_be_approved():
    assert can_be_approved(COMPLETE)
    assert not can_be_approved(ANALYZING)
    assert not can_be_approved(fold(clarification_session()))
    assert COMPLETE.analysis is not None
    refused = COMPLETE.analysis.model_copy(
        update={"steps": (PlannedStep(step=1, reason="the refused one"),)}
    )
    assert not can_be_approved(replace(COMPLETE, analysis=refused))


@pytest.mark.parametrize("event", tuple(executed_events()), ids=lambda event: event.type)
def test_every_event_reads_back_as_the_same_event(event: Event):
    assert EVENT.validate_python(event.json_object()) == event


class Lives(RuleBasedStateMachine):
    """Random lives of a session beside a model of a few plain variables."""

    @initialize(steps=st.integers(0, 3), moves=st.integers(0, 8))
    def begin(self, steps: int, moves: int) -> None:
        self.session = folded([started()])
        self.status = Status.ANALYZING
        self.steps = 0
        self.approved = False
        self.executions = 0
        self.results: dict[int, ResultKind] = {}
        self.out: set[int] = set()
        self.requests: list[str] = []
        self.cancelled = False
        for _ in range(steps):
            self.check_a_step()
        self.go_on(moves, ResultKind.SUCCEEDED)

    def expect(self, event: Event, *, legal: bool) -> bool:
        if legal:
            self.session = after(self.session, event)
        else:
            with pytest.raises(IllegalEvent):
                after(self.session, event)
        return legal

    @property
    def planned(self) -> list[int]:
        return list(range(1, self.steps + 1))

    def check_a_step(self) -> None:
        step = update_step().step.model_copy(update={"number": self.steps + 1})
        event = StepChecked(step=step, evidence=update_step().evidence)
        if self.expect(event, legal=self.status is Status.ANALYZING):
            self.steps += 1

    @rule()
    def check_another_step(self) -> None:
        self.check_a_step()

    @rule(times=st.integers(1, 6), result=st.sampled_from(ResultKind))
    def go_on(self, times: int, result: ResultKind) -> None:
        """What usually happens next; moves alone would seldom come to an execution."""
        for _ in range(times):
            waiting = [n for n in self.planned if n not in self.results]
            if self.status is Status.ANALYZING:
                self.conclude()
            elif self.status is Status.ANALYSIS_COMPLETE:
                if self.approved:
                    self.execute()
                else:
                    self.approve()
            elif self.out:
                self.answer(min(self.out), result)
            elif waiting:
                self.send(waiting[0], attempt=1)

    @rule()
    def conclude(self) -> None:
        outcome = Outcome.PROPOSAL if self.steps else Outcome.NO_CHANGE_NEEDED
        plan = tuple(PlannedStep(step=n, reason="") for n in self.planned)
        event = AnalysisFinished(
            analysis=Analysis(outcome=outcome, summary="", steps=plan),
            digest=self.digest(),
        )
        if self.expect(event, legal=self.status is Status.ANALYZING):
            self.status = Status.ANALYSIS_COMPLETE

    def digest(self) -> str:
        checked = (self.session.step(n) for n in self.planned)
        return plan_digest(self.session.started.fingerprint, [c for c in checked if c])

    @rule()
    def refine(self) -> None:
        if self.expect(Refined(text="x"), legal=self.status is Status.ANALYSIS_COMPLETE):
            self.status, self.approved = Status.ANALYZING, False

    @rule()
    def fail(self) -> None:
        event = Failed(outcome=Outcome.FAILED, error="", message="")
        if self.expect(event, legal=self.status is Status.ANALYZING):
            self.status = Status.FAILED

    @rule()
    def approve(self) -> None:
        legal = self.status is Status.ANALYSIS_COMPLETE and self.steps > 0
        yes = approval().model_copy(update={"digest": self.digest()})
        self.approved |= self.expect(Approved(approval=yes), legal=legal)

    @rule()
    def execute(self) -> None:
        legal = self.status is Status.ANALYSIS_COMPLETE and self.approved
        if self.expect(ExecutionStarted(digest=self.digest()), legal=legal):
            self.status, self.approved = Status.EXECUTING, False
            self.executions += 1

    @rule(number=st.integers(1, 3), attempt=st.integers(1, 2))
    def send(self, number: int, attempt: int) -> None:
        audit_id = f"a{number}-{attempt}"
        open_step = number in self.planned and number not in self.results
        legal = self.status is Status.EXECUTING and open_step and audit_id not in self.requests
        if self.expect(StepStarted(step=number, audit_id=audit_id), legal=legal):
            self.out.add(number)
            self.requests.append(audit_id)

    @rule(number=st.integers(1, 3), result=st.sampled_from(ResultKind))
    def answer(self, number: int, result: ResultKind) -> None:
        fits = {
            ResultKind.SUCCEEDED: number in self.out,
            ResultKind.UNKNOWN: number in self.out,
            ResultKind.SKIPPED: number not in self.out,
            ResultKind.FAILED: True,
        }[result]
        open_step = number in self.planned and number not in self.results
        legal = self.status is Status.EXECUTING and open_step and fits
        if self.expect(finished(number, result), legal=legal):
            self.results[number] = result
            self.out.discard(number)

    @rule()
    def cancel(self) -> None:
        self.cancelled |= self.expect(CancelRequested(), legal=self.status is Status.EXECUTING)

    @rule(kind=st.sampled_from(VerdictKind))
    def judge(self, kind: VerdictKind) -> None:
        legal = self.status is Status.EXECUTING and not self.out
        if self.expect(verdict(kind), legal=legal):
            done = [self.results.get(n) is ResultKind.SUCCEEDED for n in self.planned]
            fine = kind is VerdictKind.PASSED and all(done) and not self.cancelled
            self.status = Status.EXECUTED_SUCCESSFULLY if fine else Status.EXECUTED_WITH_ERRORS

    @rule()
    def interrupt(self) -> None:
        legal = self.status in (Status.ANALYZING, Status.EXECUTING)
        executing = self.status is Status.EXECUTING
        if self.expect(Interrupted(message="gone"), legal=legal):
            self.status = Status.EXECUTED_WITH_ERRORS if executing else Status.FAILED
            for number in self.planned if executing else ():
                lost = ResultKind.UNKNOWN if number in self.out else ResultKind.SKIPPED
                self.results.setdefault(number, lost)
            self.out.clear()

    @invariant()
    def the_fold_and_the_model_agree(self) -> None:
        session = self.session
        assert session.status is self.status
        assert (session.approval is not None) is self.approved
        assert {r.step: r.result for r in session.results} == self.results
        assert sorted(session.running) == sorted(self.out)
        assert session.sent == tuple(self.requests)
        assert self.executions <= 1
        assert session.at_rest is (self.status not in (Status.ANALYZING, Status.EXECUTING))


TestLives: Any = Lives.TestCase
TestLives.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)


def test_a_checked_step_without_audit_ids_is_written_as_before_there_were_any() -> None:
    checked = update_step()
    assert "auditIds" not in checked.json_object()
    named = checked.model_copy(update={"audit_ids": ("a",)})
    assert named.json_object()["auditIds"] == ["a"]
    for event in (checked, named):
        assert EVENT.validate_python(event.json_object()) == event

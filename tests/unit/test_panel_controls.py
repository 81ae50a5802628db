"""Which buttons can be pressed: a pure function of the session."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dotai_nb.session.events import AnalysisFinished, Approved, ExecutionStarted, StepStarted
from dotai_nb.session.fold import fold
from dotai_nb.session.values import PlannedStep
from dotai_nb.widgets.controls import IDLE, Controls, connecting, controls
from tests.unit.sessions import (
    BEGAN,
    approval,
    by_hand_session,
    clarification_session,
    executed_session,
    failed_session,
    proposal_session,
    record,
    started,
)

if TYPE_CHECKING:
    from dotai_nb.session.session import Session

NOW = BEGAN + timedelta(minutes=2)
LATER = BEGAN + timedelta(hours=2)


def _until(kind: type) -> Session:
    entries = executed_session()
    last = next(e.seq for e in entries if isinstance(e.event, kind))
    return fold(entries[:last])


def _enabled(found: Controls) -> set[str]:
    names = ("start", "cancel", "approve", "execute", "refine")
    return {name for name in names if getattr(found, name).enabled}


@pytest.mark.parametrize(
    ("session", "busy", "enabled"),
    [
        (None, False, {"start"}),
        (fold(record([started()])), True, {"cancel"}),
        (fold(proposal_session()), False, {"start", "approve", "refine"}),
        (fold(by_hand_session()), False, {"start", "approve"}),
        (_until(Approved), False, {"start", "execute", "refine"}),
        (_until(ExecutionStarted), True, {"cancel"}),
        (_until(StepStarted), True, {"cancel"}),
        (fold(executed_session()), False, {"start"}),
        (fold(clarification_session()), False, {"start", "refine"}),
        (fold(failed_session()), False, {"start"}),
    ],
)
def test_each_state_has_its_buttons(
    session: Session | None, *, busy: bool, enabled: set[str]
) -> None:
    assert _enabled(controls(session, busy=busy, now=NOW)) == enabled


def test_nothing_but_cancel_while_connecting() -> None:
    assert _enabled(connecting()) == {"cancel"}


def test_the_form_is_locked_while_something_runs() -> None:
    assert IDLE.form
    assert not controls(fold(record([started()])), busy=True, now=NOW).form


def test_an_expired_approval_can_be_given_again_and_not_used() -> None:
    found = controls(_until(Approved), busy=False, now=LATER)
    assert found.approve.enabled
    assert found.execute.against == "The approval expired at 00:31:00 UTC; approve again."


def test_a_step_that_was_not_accepted_stands_in_the_way_by_name() -> None:
    entries = proposal_session()
    last = entries[-1].event
    assert isinstance(last, AnalysisFinished)
    steps = (PlannedStep(step=1, reason="try"), *last.analysis.steps)
    analysis = last.analysis.model_copy(update={"steps": steps})
    event = last.model_copy(update={"analysis": analysis, "digest": ""})
    session = fold(record([*(e.event for e in entries[:-1]), event]))
    found = controls(session, busy=False, now=NOW)
    assert found.approve.against.startswith("Step 1 is refused by the API server: strict decoding")
    assert not found.execute.enabled


def test_read_only_stands_in_the_way_of_approving() -> None:
    session = fold(proposal_session())
    read = replace(session, started=session.started.model_copy(update={"access": "read"}))
    found = controls(read, busy=False, now=NOW)
    assert found.approve.against == "DOT_AI_READ_ONLY is set: nothing is executed."
    assert found.execute.against == found.approve.against


def test_a_question_says_that_there_is_no_plan() -> None:
    found = controls(fold(clarification_session()), busy=False, now=NOW)
    assert found.approve.against == "There is no plan: needs clarification."


def test_a_recorded_approval_opens_its_recording_however_old_it_is() -> None:
    session = fold(proposal_session())
    found = controls(session, busy=False, now=LATER, replayed=True, approval=approval())
    assert found.execute.enabled
    assert found.approve.against == "Approved by ada."
    assert found.refine.against.startswith("A replay asks no model")


def test_a_cancelled_execution_is_not_cancelled_twice() -> None:
    running = replace(_until(StepStarted), cancelled=True)
    found = controls(running, busy=True, now=NOW)
    assert found.cancel.against == "Cancelling: the request in flight ends first."


def test_every_disabled_button_says_why() -> None:
    for session in (None, fold(proposal_session()), fold(executed_session())):
        found = controls(session, busy=False, now=NOW)
        for name in ("start", "cancel", "approve", "execute", "refine"):
            control = getattr(found, name)
            assert control.enabled or control.against.endswith(".")

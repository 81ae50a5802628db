from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dotai_nb.session.fold import fold
from dotai_nb.workflow.conclusion import Propose, Unfounded, analysis
from tests.unit import sessions as sample

if TYPE_CHECKING:
    from dotai_nb.session.session import Session


def analysing() -> Session:
    """The sample session just before its proposal: steps 1 (refused) to 4, six calls."""
    recorded = sample.proposal_session()
    cut = next(n for n, r in enumerate(recorded) if r.event.type == "analysis_finished")
    return fold(recorded[:cut])


def proposal(**changes: Any) -> Propose:
    given: dict[str, Any] = {
        "outcome": "proposal",
        "summary": "Update it.",
        "observations": [{"text": "It runs 1.19.", "calls": [1]}],
        "steps": [{"step": 2, "reason": "wanted"}],
        "risk": {"level": "low", "reasons": ["small"]},
        "validation_intent": "It runs 1.20.",
    }
    return Propose.model_validate({**given, **changes})


def refusal(given: Propose, replaced: set[int] | None = None) -> str:
    with pytest.raises(Unfounded) as caught:
        analysis(given, analysing(), replaced or set())
    return str(caught.value)


def test_a_founded_proposal_names_calls_by_their_ids() -> None:
    concluded = analysis(proposal(), analysing(), set())
    assert concluded.observations[0].calls == ("toolu_01",)
    assert [s.step for s in concluded.steps] == [2]


def test_a_step_that_was_never_checked_is_refused() -> None:
    assert "no step 9" in refusal(proposal(steps=[{"step": 9, "reason": "x"}]))


def test_a_refused_step_is_refused_in_the_servers_words() -> None:
    said = refusal(proposal(steps=[{"step": 1, "reason": "x"}]))
    assert "Step 1 was refused" in said
    assert "unknown field" in said


def test_a_replaced_step_is_refused() -> None:
    assert "replaced" in refusal(proposal(), {2})


def test_a_step_named_twice_is_refused() -> None:
    twice = [{"step": 2, "reason": "x"}, {"step": 2, "reason": "y"}]
    assert "twice" in refusal(proposal(steps=twice))


def test_an_observation_that_names_no_call_of_the_session_is_refused() -> None:
    assert "99" in refusal(proposal(observations=[{"text": "x", "calls": [99]}]))


def test_unknown_policies_patterns_and_capabilities_are_refused() -> None:
    for field in ("policies_checked", "patterns_applied", "capabilities_used"):
        assert "made-up" in refusal(proposal(**{field: ["made-up"]}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": []}, "needs steps"),
        ({"risk": None}, "needs a risk"),
        ({"outcome": "no_change_needed"}, "has no steps"),
        ({"outcome": "needs_clarification", "steps": []}, "needs a question"),
        ({"outcome": "blocked_by_policy", "steps": []}, "name a policy"),
    ],
)
def test_an_outcome_has_what_belongs_to_it(changes: dict[str, Any], said: str) -> None:
    assert said in refusal(proposal(**changes))


def test_a_step_can_not_stand_without_the_one_it_was_checked_on() -> None:
    before = analysing()
    second = sample.update_step()
    again = second.model_copy(update={"step": second.step.model_copy(update={"number": 5})})
    session = fold(
        sample.record([*(r.event for r in sample.proposal_session()[: before.count]), again])
    )
    alone = proposal(steps=[{"step": 5, "reason": "x"}])
    with pytest.raises(Unfounded, match="step 2 leaves"):
        analysis(alone, session, set())
    both = proposal(steps=[{"step": 2, "reason": "x"}, {"step": 5, "reason": "y"}])
    assert [s.step for s in analysis(both, session, set()).steps] == [2, 5]
    assert [s.step for s in analysis(alone, session, {2}).steps] == [5]


def test_another_version_of_an_object_is_the_same_object() -> None:
    before = analysing()
    second = sample.update_step()
    target = second.step.target.model_copy(update={"version": "v1beta1"})
    step = second.step.model_copy(update={"number": 5, "target": target})
    again = second.model_copy(update={"step": step})
    session = fold(
        sample.record([*(r.event for r in sample.proposal_session()[: before.count]), again])
    )
    with pytest.raises(Unfounded, match="step 2 leaves"):
        analysis(proposal(steps=[{"step": 5, "reason": "x"}]), session, set())


def test_the_servers_words_stay_inside_their_marks() -> None:
    said = refusal(proposal(steps=[{"step": 1, "reason": "x"}]))
    inside, _, behind = said.partition("</cluster-data>")
    assert "unknown field" in inside
    assert "unknown field" not in behind

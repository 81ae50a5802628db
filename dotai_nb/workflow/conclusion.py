"""The two typed ways to conclude: `propose` after an analysis, `conclude` after an execution.

What the model says here is believed only as far as the session's own record bears it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from dotai_nb.errors import DotAiError
from dotai_nb.session.values import (
    Accepted,
    Analysis,
    DependsOn,
    NotAllowed,
    Observation,
    Outcome,
    PlannedStep,
    Refused,
    Risk,
    RiskLevel,
    VerdictKind,
)
from dotai_nb.workflow.tools import Arguments
from dotai_nb.workflow.untrusted import as_data

if TYPE_CHECKING:
    from collections.abc import Collection

    from dotai_nb.session.events import StepChecked
    from dotai_nb.session.session import Session


class Unfounded(DotAiError):
    """A conclusion that the record does not bear out; the model is told why and tries again."""


class Seen(Arguments):
    """An observation."""

    text: str = Field(min_length=1)
    calls: tuple[int, ...] = Field(min_length=1, description="numbers of the calls it rests on")


class Proposed(Arguments):
    """A step of the proposal."""

    step: int
    reason: str = Field(min_length=1)


class Judged(Arguments):
    """A risk."""

    level: RiskLevel
    reasons: tuple[str, ...] = Field(min_length=1)


class Propose(Arguments):
    """Conclude the analysis."""

    outcome: Literal["proposal", "no_change_needed", "needs_clarification", "blocked_by_policy"]
    summary: str = Field(min_length=1, description="two or three sentences for the engineer")
    observations: tuple[Seen, ...] = ()
    steps: tuple[Proposed, ...] = Field((), description="for proposal: checked steps, in order")
    risk: Judged | None = Field(None, description="for proposal")
    validation_intent: str = Field("", description="for proposal: what must be true afterwards")
    question: str = Field("", description="for needs_clarification")
    alternative: str = Field("", description="for blocked_by_policy: what would be allowed")
    policies_checked: tuple[str, ...] = Field((), description="ids")
    patterns_applied: tuple[str, ...] = Field((), description="ids")
    capabilities_used: tuple[str, ...] = Field((), description="ids")


class Conclude(Arguments):
    """Conclude the check."""

    verdict: VerdictKind
    summary: str = Field(min_length=1)
    observations: tuple[Seen, ...] = ()


def analysis(given: Propose, session: Session, replaced: Collection[int]) -> Analysis:
    """The conclusion as the record bears it out.

    Raises:
        Unfounded: names every step, call or id that the record does not have, and what to do.
    """
    outcome = Outcome(given.outcome)
    _check_outcome(given, outcome)
    _check_steps(given, session, replaced)
    started = session.started
    _check_known("pattern", given.patterns_applied, started.patterns)
    _check_known("policy", given.policies_checked, started.policies)
    _check_known("capability", given.capabilities_used, started.capabilities)
    return Analysis(
        outcome=outcome,
        summary=given.summary,
        observations=observations(given.observations, session),
        steps=tuple(PlannedStep(step=s.step, reason=s.reason) for s in given.steps),
        risk=Risk(level=given.risk.level, reasons=given.risk.reasons) if given.risk else None,
        validation_intent=given.validation_intent,
        question=given.question,
        alternative=given.alternative,
        patterns_applied=given.patterns_applied,
        policies_checked=given.policies_checked,
        capabilities_used=given.capabilities_used,
    )


def observations(given: tuple[Seen, ...], session: Session) -> tuple[Observation, ...]:
    """Observations with call ids in the place of call numbers.

    Raises:
        Unfounded: a number that no answered call has.
    """
    answered = {n: t for n, t in enumerate(session.tools, start=1) if t.finished}
    wrong = sorted({n for seen in given for n in seen.calls} - answered.keys())
    if wrong:
        raise Unfounded(
            f"No call has the number {_list(wrong)}; the calls are 1 to {len(session.tools)}.",
            hint="Name the calls that an observation rests on by their numbers.",
        )
    return tuple(
        Observation(text=seen.text, calls=tuple(answered[n].called.call_id for n in seen.calls))
        for seen in given
    )


def _check_outcome(given: Propose, outcome: Outcome) -> None:
    if outcome is Outcome.PROPOSAL:
        if not given.steps:
            raise Unfounded(
                "A proposal needs steps.",
                hint="Check the change with a …_dryrun tool, or conclude with another outcome.",
            )
        if given.risk is None:
            raise Unfounded("A proposal needs a risk, with reasons.")
        return
    if given.steps:
        raise Unfounded(f"The outcome {given.outcome} has no steps.")
    if outcome is Outcome.NEEDS_CLARIFICATION and not given.question.strip():
        raise Unfounded("needs_clarification needs a question.")
    if outcome is Outcome.BLOCKED_BY_POLICY:
        if not given.policies_checked:
            raise Unfounded(
                "blocked_by_policy must name a policy by its id.",
                hint="Where the cluster itself refused, say so in another outcome's summary.",
            )
        if not given.alternative.strip():
            raise Unfounded("blocked_by_policy needs an alternative: what would be allowed.")


def _check_steps(given: Propose, session: Session, replaced: Collection[int]) -> None:
    named = [s.step for s in given.steps]
    if len(set(named)) != len(named):
        raise Unfounded("A step is named twice; each runs once.")
    for number in named:
        checked = session.step(number)
        if checked is None:
            raise Unfounded(
                f"There is no step {number}; {_known_steps(session)}",
                hint="Only steps that a …_dryrun call has made can be proposed.",
            )
        if number in replaced:
            raise Unfounded(f"Step {number} was replaced by a later one.")
        _check_evidence(checked)
    _check_foundations(named, session, replaced)


def _check_evidence(checked: StepChecked) -> None:
    number = checked.step.number
    match checked.evidence:
        case Refused(message=message):
            raise Unfounded(
                f"Step {number} was refused:\n{as_data(message)}\n",
                hint="Correct the change and check it again.",
            )
        case Accepted() | NotAllowed() | DependsOn():
            return


def _check_foundations(named: list[int], session: Session, replaced: Collection[int]) -> None:
    """A step checked on what an earlier one left can't stand without it, nor before it."""
    for position, number in enumerate(named):
        checked = session.step(number)
        target = _identity(checked) if checked else None
        for earlier in session.steps:
            n = earlier.step.number
            stands_on = (
                n < number
                and _identity(earlier) == target
                and isinstance(earlier.evidence, Accepted)
                and n not in replaced
            )
            if stands_on and n not in named[:position]:
                raise Unfounded(
                    f"Step {number} was checked on what step {n} leaves of the same object, "
                    f"and the proposal doesn't run step {n} before it.",
                    hint=f"Propose step {n} first, or check the change again with "
                    f"`replaces: [{n}]`.",
                )


def _identity(checked: StepChecked) -> tuple[str, str, str, str]:
    """Which object a step changes, in whatever version it is written."""
    ref = checked.step.target
    return ref.group, ref.resource, ref.namespace, ref.name


def _check_known(noun: str, named: tuple[str, ...], known: tuple[str, ...]) -> None:
    wrong = [name for name in named if name not in known]
    if wrong:
        raise Unfounded(
            f"No {noun} has the id {_list(wrong)}; "
            + (f"the ids are {_list(known)}." if known else "none is set up.")
        )


def _known_steps(session: Session) -> str:
    if not session.steps:
        return "no step was checked yet."
    return f"the steps are 1 to {len(session.steps)}."


def _list(items: Collection[object]) -> str:
    return ", ".join(str(item) for item in items)

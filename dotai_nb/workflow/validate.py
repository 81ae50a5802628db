"""After the execution: the model's own look, with read tools only, beside the code's checks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dotai_nb.errors import DotAiError
from dotai_nb.session.values import ResultKind, VerdictKind
from dotai_nb.workflow.conclusion import Conclude, observations
from dotai_nb.workflow.investigate import Goal
from dotai_nb.workflow.toolbox import read_tools
from dotai_nb.workflow.untrusted import unmarked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dotai_nb.session.session import Session
    from dotai_nb.session.values import Check
    from dotai_nb.workflow.investigate import Investigator
    from dotai_nb.workflow.prompts import Prompts

MAX_TURNS = 10


def by_code(looked: Sequence[Check]) -> VerdictKind:
    """`failed` if any check failed, `inconclusive` if any could not be told or there is none."""
    if any(check.ok is False for check in looked):
        return VerdictKind.FAILED
    if not looked or any(check.ok is None for check in looked):
        return VerdictKind.INCONCLUSIVE
    return VerdictKind.PASSED


def sentence(looked: Sequence[Check]) -> str:
    """The code's checks in one sentence."""
    failed = [check for check in looked if check.ok is False]
    unsure = [check for check in looked if check.ok is None]
    if failed:
        return f"Of {len(looked)} checks {len(failed)} failed: {_names(failed)}."
    if unsure:
        return f"Of {len(looked)} checks {len(unsure)} could not be told: {_names(unsure)}."
    return f"All {len(looked)} checks hold." if looked else "There was nothing to check."


async def by_model(
    investigator: Investigator, prompts: Prompts, session: Session, looked: Sequence[Check]
) -> tuple[VerdictKind, str]:
    """The model's verdict and its words; `inconclusive` when it can't be asked."""
    assert session.analysis is not None  # noqa: S101 - an execution has had its analysis
    fresh = replace(investigator, said=())

    def accept(given: Conclude) -> tuple[VerdictKind, str]:
        observations(given.observations, investigator.session())
        return given.verdict, given.summary

    goal = Goal("validate", "conclude", Conclude, accept, read_tools(), MAX_TURNS)
    try:
        return await fresh.run(
            goal,
            system=prompts.render("validate-system"),
            ask=prompts.render(
                "validate-user",
                intent=session.intent,
                validation_intent=session.analysis.validation_intent,
                results=[unmarked(line) for line in _results(session)],
                checks=[unmarked(_line(check)) for check in looked] or ["none could be made"],
                namespace=session.started.namespace,
            ),
        )
    except DotAiError as error:
        return VerdictKind.INCONCLUSIVE, f"The model could not check: {error}"


def _results(session: Session) -> list[str]:
    lines = []
    for _, checked in session.planned:
        result = session.result(checked.step.number)
        if result is None:
            continue
        what = result.output if result.result is ResultKind.SUCCEEDED else result.error
        lines.append(f"{checked.step.command.splitlines()[0]}: {result.result}. {what}")
    return lines


def _line(check: Check) -> str:
    state = {True: "holds", False: "does not hold", None: "could not be told"}[check.ok]
    return f"{check.name}: {state}. {check.detail}".rstrip()


def _names(some: Sequence[Check]) -> str:
    return "; ".join(f"{check.name} ({check.detail})" for check in some)

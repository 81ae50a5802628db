"""A person's own steps: the same evidence, approval, execution and checks, and no model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, assert_never

from dotai_nb.cluster import step as make
from dotai_nb.cluster.connection import Connection
from dotai_nb.cluster.documents import objects, plain
from dotai_nb.cluster.evidence import check
from dotai_nb.errors import ApiError, NotExecutable, PlanRefused, RequestRefused, StepRefused
from dotai_nb.session.events import BY_HAND, SessionStarted, StepChecked
from dotai_nb.session.store import Journal
from dotai_nb.session.values import Analysis, Outcome, PlannedStep, Refused
from dotai_nb.steps import (
    Annotate,
    Apply,
    Change,
    Delete,
    Label,
    Patch,
    Rollout,
    Scale,
    SetImage,
)
from dotai_nb.workflow.operate import LONGEST_INTENT, checked_intent
from dotai_nb.workflow.run import Run, pinned

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from pathlib import Path

    from dotai_nb.session.values import Step
    from dotai_nb.settings import Settings

REASON = "written by hand"
CHANGES_NOTHING = "NoChange"
"""The reason of evidence that says: the object has these values already."""


def written(steps: str | Sequence[Change | str]) -> tuple[Change, ...]:
    """The changes in their order, YAML text as one `Apply` an object.

    Raises:
        StepRefused: there is none, or one that can't be read; nothing was asked or sent.
    """
    given = [steps] if isinstance(steps, str) else list(steps)
    found: list[Change] = []
    for place, one in enumerate(given, start=1):
        try:
            found += _changes(one)
        except (StepRefused, ValueError) as error:
            raise _misread(place, len(given), error) from error
    if not found:
        raise StepRefused(
            "There are no steps.", hint="Give values of dotai_nb.steps, or manifests as YAML text."
        )
    return tuple(found)


def _changes(one: Change | str) -> list[Change]:
    match one:
        case str():
            return [Apply(found) for found in objects(one)]
        case Apply(manifest=str(text)):
            return [Apply(found, namespace=one.namespace) for found in objects(text)]
        case Apply():
            return [replace(one, manifest=plain(one.manifest))]
        case Patch():
            return [replace(one, patch=plain(one.patch))]
        case Delete() | SetImage() | Scale() | Rollout() | Label() | Annotate():
            return [one]
        case _:
            raise StepRefused(
                f"A {type(one).__name__} is no step.",
                hint="Give values of dotai_nb.steps, or manifests as YAML text.",
            )


def _misread(place: int, count: int, error: StepRefused | ValueError) -> StepRefused:
    which = f"Step {place} of {count}: " if count > 1 else ""
    if isinstance(error, StepRefused):
        return StepRefused(which + error.message, hint=error.hint)
    return StepRefused(f"{which}It can't be sent: {error}.", hint="Correct it; nothing was sent.")


class ByHand(Run):
    """A live session whose steps a person wrote.

    Args:
        changes: as `written` gives them.
    """

    def __init__(
        self,
        journal: Journal,
        connection: Connection,
        settings: Settings,
        changes: Sequence[Change],
    ) -> None:
        super().__init__(journal, connection, settings)
        self._changes = tuple(changes)

    async def analyse(self) -> None:
        """Dry-run every step, one after the other, since one may stand on another.

        Raises:
            PlanRefused: names each step that can't be done, after all of them were checked.
        """
        await self._concluding(self._analysis())

    async def refine(self, text: str) -> None:
        """Nobody is there who could be told.

        Raises:
            NotExecutable: always, with what to do instead.
        """
        del text
        raise NotExecutable(
            f"{self.session.id} was written by hand: there is no model to tell more.",
            hint="Change the steps and start a new plan of them.",
        )

    async def _analysis(self) -> Analysis:
        refusals = []
        for place, change in enumerate(self._changes, start=1):
            if why := await self._check(change):
                refusals.append(f"Step {place} ({change}): {why}")
        if refusals:
            raise self._refused(refusals)
        return self._concluded()

    async def _check(self, change: Change) -> str:
        """Record the step with its evidence; why it can't be done, empty if it can."""
        done = self.session.steps
        with self._connection.trail() as audit_ids:
            try:
                step = await built(
                    self._connection, change, len(done) + 1, self.session.started.namespace
                )
                evidence = await check(self._connection, step, done)
            except (StepRefused, RequestRefused, ApiError) as error:
                return str(error)
        self._record(StepChecked(step=step, evidence=evidence, audit_ids=tuple(audit_ids)))
        if isinstance(evidence, Refused) and evidence.reason != CHANGES_NOTHING:
            return evidence.message
        return ""

    def _refused(self, refusals: Sequence[str]) -> PlanRefused:
        count = len(self._changes)
        steps = "the step" if count == 1 else f"{len(refusals)} of {count} steps"
        return PlanRefused(
            "\n".join([f"The dry run refused {steps}.", *refusals]),
            refusals=tuple(refusals),
            hint="Nothing was changed. Correct what was refused and plan the steps again.",
        )

    def _concluded(self) -> Analysis:
        """Every step that changes something, in order; the others are told, not run."""
        wanted = [c for c in self.session.steps if not isinstance(c.evidence, Refused)]
        same = [c.step.target for c in self.session.steps if isinstance(c.evidence, Refused)]
        said = "The steps were written by hand; no model was asked."
        if same:
            said += f" Left out, since it would change nothing: {', '.join(map(str, same))}."
        return Analysis(
            outcome=Outcome.PROPOSAL if wanted else Outcome.NO_CHANGE_NEEDED,
            summary=said,
            steps=tuple(PlannedStep(step=c.step.number, reason=REASON) for c in wanted),
        )


async def built(c: Connection, change: Change, number: int, namespace: str) -> Step:
    """The step of a change, by the same builders that a model's calls go through."""
    common: dict[str, Any] = {
        "number": number,
        "call_id": "",
        "namespace": change.namespace or namespace,
    }
    if isinstance(change, Apply):
        assert not isinstance(change.manifest, str)  # noqa: S101 - `written` has read all text
        return await make.build_apply(c, manifest=change.manifest, **common)
    named = {**common, "resource": change.resource, "name": change.name}
    making: Awaitable[Step]
    match change:
        case Patch():
            making = make.build_patch(c, patch=change.patch, patch_type=change.type, **named)
        case Delete():
            making = make.build_delete(c, propagation=change.propagation, **named)
        case SetImage():
            making = make.build_set_image(c, images=change.images, **named)
        case Scale():
            making = make.build_scale(c, replicas=change.replicas, **named)
        case Rollout():
            making = make.build_rollout(
                c, action=change.action, to_revision=change.to_revision, **named
            )
        case Label():
            making = make.build_label(c, changes=change.labels, **named)
        case Annotate():
            making = make.build_annotate(c, changes=change.annotations, **named)
        case _:
            assert_never(change)
    return await making


async def begin(  # noqa: PLR0913 - each is one thing a session is pinned to
    changes: Sequence[Change],
    *,
    intent: str,
    namespace: str,
    context: str,
    directory: Path,
    settings: Settings,
) -> ByHand:
    """Connect, create the session's file, and the run that fills it; no provider is asked.

    An empty intent is filled with the steps' names.

    Raises:
        IntentError: it is longer than an intent may be.
        ConnectionFailed, CredentialsRejected: the cluster can't be reached.
    """
    said = checked_intent(intent if intent.strip() else _named(changes))
    connection = await Connection.open(settings, context=context)
    try:
        started = SessionStarted(
            **pinned(connection, namespace, settings),
            intent=said,
            provider=BY_HAND,
            endpoint="",
            model="",
            prompts={},
            tools="",
            knowledge="Nothing of the organisation was asked for: the steps were written by hand.",
        )
        return ByHand(Journal.create(directory, started), connection, settings, changes)
    except BaseException:
        await connection.close()
        raise


def _named(changes: Sequence[Change]) -> str:
    whole = ", ".join(map(str, changes))
    return whole if len(whole) <= LONGEST_INTENT // 10 else f"{whole[: LONGEST_INTENT // 10 - 1]}…"

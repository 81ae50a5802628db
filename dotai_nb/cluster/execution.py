"""Sends one approved step: looks first, records before sending, and tells what came of it."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dotai_nb.cluster.difference import difference, normalised, same
from dotai_nb.cluster.evidence import check, look
from dotai_nb.cluster.redaction import redact
from dotai_nb.cluster.request import Precondition
from dotai_nb.errors import ApiError, ClusterError, OutcomeUnknown
from dotai_nb.session.events import Noted, StepFinished, StepStarted
from dotai_nb.session.values import Accepted, Action, NotAllowed, Refused, ResultKind, StepResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dotai_nb.cluster.connection import Connection
    from dotai_nb.cluster.guard import Grant
    from dotai_nb.cluster.request import Reply
    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.events import Event, StepChecked
    from dotai_nb.session.values import Evidence, Step

    Record = Callable[[Event], object]

SENDS = 3
"""How often one step may be sent: again only after an answer that says it was not applied."""

CALM = 0.2
"""Seconds to wait after a conflict, more each time: a rollout's controller writes in bursts."""

GRACE = 10.0
"""Seconds that a request in flight may take to end after a cancellation."""

_CONFLICT, _BUSY = 409, 429

_DONE = {
    "patch": "patched",
    "apply": "serverside-applied",
    "delete": "deleted",
    "scale": "scaled",
    "annotate": "annotated",
    "set image": "image updated",
    "rollout restart": "restarted",
    "rollout undo": "rolled back",
    "rollout pause": "paused",
    "rollout resume": "resumed",
}
"""What kubectl says when it is done."""


class Drifted(ClusterError):
    """The object is not the one that was reviewed any more; nothing was sent.

    Attributes:
        result: the step's, `skipped`, recorded already.
        diff: what the step would change now, as RFC 6902 operations; empty when it can't be told.
    """

    def __init__(self, message: str, *, result: StepResult, diff: Sequence[JsonObject]) -> None:
        super().__init__(message, hint="Review the plan again on the cluster as it is now.")
        self.result = result
        self.diff = tuple(diff)


@dataclass(frozen=True, slots=True)
class _Drift:
    """Why a step can't be sent as it was approved, and what it would change now."""

    why: str
    diff: tuple[JsonObject, ...] = ()


async def run_step(
    c: Connection,
    grant: Grant,
    checked: StepChecked,
    record: Record,
    *,
    earlier: Sequence[StepChecked],
) -> StepResult:
    """Send a step's request, once; its result is recorded and returned.

    `record` makes an event durable before it returns. `earlier` are the steps of this run that
    were sent before: what they changed is no drift.

    Raises:
        Drifted: the object changed since its evidence, so that the step would do something else.
        asyncio.CancelledError: after the request in flight has ended and was recorded.
    """
    run = _Run(checked.step, time.monotonic())
    attempt = 0
    while True:
        attempt += 1
        try:
            live = await look(c, checked.step)
            drift = await _drift(c, checked, live, earlier)
        except ClusterError as error:
            result = run.ended(ResultKind.FAILED, f"Nothing was changed, the look failed: {error}")
            record(StepFinished(result=result))
            return result
        if isinstance(drift, _Drift):
            # A try that the server refused for a conflict was sent, so it isn't skipped.
            kind = ResultKind.FAILED if run.audit_id else ResultKind.SKIPPED
            result = run.ended(kind, f"drift: {drift.why}")
            record(StepFinished(result=result))
            raise Drifted(drift.why, result=result, diff=drift.diff)
        if drift is not None and drift != run.noted:
            run.noted = drift
            record(drift)
        run.audit_id = str(uuid.uuid4())
        record(StepStarted(step=checked.step.number, audit_id=run.audit_id))
        sending = asyncio.ensure_future(
            c.execute(grant, checked.step, audit_id=run.audit_id, precondition=_precondition(live))
        )
        cancelled = await _end_of(sending)
        if cancelled or attempt == SENDS or not _not_applied(sending):
            break
        grant.give_back(checked.step)
        await asyncio.sleep(attempt if _code(sending) == _BUSY else CALM * attempt)
    result = run.judged(sending)
    record(StepFinished(result=result))
    if cancelled:
        raise asyncio.CancelledError
    return result


@dataclass(slots=True)
class _Run:
    """A step being run: since when, its last request's Audit-ID, and what was noted of it."""

    step: Step
    begun: float
    audit_id: str = ""
    noted: Noted | None = None

    def ended(self, kind: ResultKind, error: str = "", *, code: int = 0) -> StepResult:
        return StepResult(
            step=self.step.number,
            result=kind,
            output=said(self.step) if kind is ResultKind.SUCCEEDED else "",
            error=error,
            code=code,
            duration_ms=round((time.monotonic() - self.begun) * 1000),
            audit_id=self.audit_id,
        )

    def judged(self, sending: asyncio.Future[Reply]) -> StepResult:
        if sending.cancelled() or not sending.done():
            return self.ended(ResultKind.UNKNOWN, "Cancelled before the server answered.")
        match error := sending.exception():
            case None:
                return self.ended(ResultKind.SUCCEEDED, code=sending.result().code)
            case ApiError():
                return self.ended(ResultKind.FAILED, error.message, code=error.code)
            case ClusterError() if not isinstance(error, OutcomeUnknown):
                return self.ended(ResultKind.FAILED, str(error))
            case _:
                # An error that nobody foresaw says nothing of what the server did.
                return self.ended(ResultKind.UNKNOWN, str(error) or type(error).__name__)


async def _drift(
    c: Connection,
    checked: StepChecked,
    live: JsonObject | None,
    earlier: Sequence[StepChecked],
) -> _Drift | Noted | None:
    """What has changed since the review: nothing, something that makes no odds, or a drift."""
    evidence = checked.evidence
    target = checked.step.target
    if not isinstance(evidence, Accepted):
        return _Drift(f"the dry run of {target} was never accepted")
    if live is None or evidence.before is None:
        what = "is gone" if live is None else "exists by now"
        return None if live is evidence.before else _Drift(f"{target} {what}")
    if live["metadata"]["uid"] != evidence.uid:
        return _Drift(f"{target} was deleted and made anew since the review")
    if same(normalised(redact(live, strict=c.strict)), normalised(evidence.before)):
        return None
    now = await check(c, checked.step, ())
    if isinstance(now, Accepted) and _same_effect(now, evidence):
        own = any(other.step.target == target for other in earlier)
        cause = "was changed by this run" if own else "has changed since the review"
        again = f"a new dry run of step {checked.step.number} gives the same difference"
        return Noted(message=f"{target} {cause}; {again}.")
    return _Drift(*_told(now, f"{target} has changed since the review"))


def _same_effect(now: Accepted, reviewed: Accepted) -> bool:
    """Whether both lead to the same values from the same values.

    A difference names the new values only, so the way back is compared too.
    """
    return same(now.diff, reviewed.diff) and same(_way_back(now), _way_back(reviewed))


def _way_back(evidence: Accepted) -> tuple[JsonObject, ...]:
    ends = (evidence.after, evidence.before)
    return difference(*(None if end is None else normalised(end) for end in ends))


def _told(now: Evidence, what: str) -> tuple[str, tuple[JsonObject, ...]]:
    match now:
        case Accepted():
            return f"{what}, and the step would make another difference", now.diff
        case Refused() | NotAllowed():
            return f"{what}; a new dry run was refused: {now.message}", ()
        case _:
            return what, ()


def _precondition(live: JsonObject | None) -> Precondition | None:
    if live is None:
        return None
    metadata = live["metadata"]
    return Precondition(uid=metadata["uid"], resource_version=metadata["resourceVersion"])


async def _end_of(sending: asyncio.Future[Reply]) -> bool:
    """Wait for the answer, also through a cancellation; whether there was one.

    A request that has left can't be called back: to stop listening would lose its outcome.
    """
    deadline: float | None = None
    while not sending.done():
        patience = None if deadline is None else deadline - time.monotonic()
        if patience is not None and patience <= 0:
            sending.cancel()
            break
        try:
            await asyncio.wait({sending}, timeout=patience)
        except asyncio.CancelledError:
            deadline = deadline or time.monotonic() + GRACE
    return deadline is not None


def _code(sending: asyncio.Future[Reply]) -> int:
    """The HTTP status of an error answer; 0 for anything else."""
    if not sending.done() or sending.cancelled():
        return 0
    error = sending.exception()
    return error.code if isinstance(error, ApiError) else 0


def _not_applied(sending: asyncio.Future[Reply]) -> bool:
    """Whether the server said that it did nothing, for a reason that passes."""
    # Server-side apply answers 409 too when a field has another manager: that does not pass.
    code = _code(sending)
    of_fields = code == _CONFLICT and str(sending.exception()).startswith("Apply failed with ")
    return code in {_CONFLICT, _BUSY} and not of_fields


def said(step: Step) -> str:
    """One line in kubectl's manner, such as `deployment.apps/web scaled`."""
    two, one = " ".join(step.argv[1:3]), step.argv[1]
    target = step.target
    kind = target.kind.lower() + (f".{target.group}" if target.group else "")
    if step.action is Action.DELETE:
        where = f" from {target.namespace} namespace" if target.namespace else ""
        return f'{kind} "{target.name}" deleted{where}'
    done = _labeled(step) if one == "label" else _DONE.get(two) or _DONE[one]
    return f"{kind}/{target.name} {done}"


def _labeled(step: Step) -> str:
    removed = {value is None for value in step.body["metadata"]["labels"].values()}
    if len(removed) > 1:
        return "modified"
    return "unlabeled" if True in removed else "labeled"

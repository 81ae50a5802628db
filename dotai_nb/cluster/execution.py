"""Sends one approved step: looks first, records before sending, and tells what came of it."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dotai_nb.cluster.difference import normalised, same
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
    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.events import Event, StepChecked
    from dotai_nb.session.values import Evidence, Step

    Record = Callable[[Event], object]

SENDS = 3
"""How often one step may be sent: again only after an answer that says it was not applied."""

GRACE = 10.0
"""Seconds that a request in flight may take to end after a cancellation."""

_CONFLICT, _BUSY = 409, 429

_DONE = {
    "patch": "patched",
    "apply": "serverside-applied",
    "delete": "deleted",
    "scale": "scaled",
    "label": "labeled",
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

    Args:
        record: makes an event durable before it returns.
        earlier: steps of this run that were sent before; what they changed is no drift.

    Raises:
        Drifted: the object changed since its evidence, so that the step would do something else.
        asyncio.CancelledError: after the request in flight has ended and was recorded.
        ClusterError: the object could not be looked at; nothing was sent or recorded.
    """
    begun = time.monotonic()
    result = StepResult(step=checked.step.number, result=ResultKind.FAILED)
    for attempt in range(1, SENDS + 1):
        live = await look(c, checked.step)
        drift = await _drift(c, checked, live, record, earlier)
        if drift is not None:
            result = _ended(result, ResultKind.SKIPPED, f"drift: {drift.why}", begun)
            record(StepFinished(result=result))
            raise Drifted(drift.why, result=result, diff=drift.diff)
        audit_id = str(uuid.uuid4())
        result = result.model_copy(update={"audit_id": audit_id})
        record(StepStarted(step=checked.step.number, audit_id=audit_id))
        sending = asyncio.ensure_future(
            c.execute(grant, checked.step, audit_id=audit_id, precondition=_precondition(live))
        )
        cancelled = await _end_of(sending)
        result = _judged(sending, checked.step, result, begun)
        if cancelled or attempt == SENDS or not _not_applied(sending):
            record(StepFinished(result=result))
            if cancelled:
                raise asyncio.CancelledError
            return result
        grant.give_back(checked.step)
        await asyncio.sleep(attempt if result.code == _BUSY else 0)
    return result


async def _drift(
    c: Connection,
    checked: StepChecked,
    live: JsonObject | None,
    record: Record,
    earlier: Sequence[StepChecked],
) -> _Drift | None:
    evidence = checked.evidence
    if not isinstance(evidence, Accepted):
        return _Drift("its dry run was never accepted")
    target = checked.step.target
    if live is None or evidence.before is None:
        if live is None and evidence.before is None:
            return None
        return _Drift(f"{target} is gone" if live is None else f"{target} exists by now")
    if live["metadata"]["uid"] != evidence.uid:
        return _Drift(f"{target} was deleted and made anew since the review")
    if same(normalised(redact(live)), normalised(evidence.before)):
        return None
    now = await check(c, checked.step, ())
    if isinstance(now, Accepted) and same(now.diff, evidence.diff):
        own = any(str(other.step.target) == str(target) for other in earlier)
        cause = "has changed since the review" + (", by a step of this run too" if own else "")
        record(Noted(message=f"{target} {cause}; a new dry run of step {checked.step.number} "
                             "gives the same difference."))  # fmt: skip
        return None
    return _Drift(*_told(now, f"{target} has changed since the review"))


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


async def _end_of(sending: asyncio.Future[object]) -> bool:
    """Wait for an answer, also through cancellations; whether there was one.

    A request that has left can't be called back: to stop listening would lose its outcome.
    """
    cancelled = False
    deadline = float("inf")
    while not sending.done():
        patience = None if deadline == float("inf") else deadline - time.monotonic()
        if patience is not None and patience <= 0:
            sending.cancel()
            await asyncio.wait({sending}, timeout=1)
            break
        try:
            await asyncio.wait({sending}, timeout=patience)
        except asyncio.CancelledError:
            cancelled = True
            deadline = min(deadline, time.monotonic() + GRACE)
    return cancelled


def _not_applied(sending: asyncio.Future[object]) -> bool:
    """Whether the server said that it did nothing, for a reason that passes."""
    error = None if sending.cancelled() or not sending.done() else sending.exception()
    if not isinstance(error, ApiError):
        return False
    # Server-side apply answers 409 too when a field has another manager: that does not pass.
    of_fields = error.message.startswith("Apply failed with ")
    return error.code == _BUSY or (error.code == _CONFLICT and not of_fields)


def _judged(
    sending: asyncio.Future[object], step: Step, result: StepResult, begun: float
) -> StepResult:
    if sending.cancelled() or not sending.done():
        return _ended(result, ResultKind.UNKNOWN, "cancelled before the server answered", begun)
    error = sending.exception()
    match error:
        case None:
            done = _ended(result, ResultKind.SUCCEEDED, "", begun)
            return done.model_copy(update={"output": said(step)})
        case OutcomeUnknown():
            return _ended(result, ResultKind.UNKNOWN, str(error), begun)
        case ApiError():
            failed = _ended(result, ResultKind.FAILED, error.message, begun)
            return failed.model_copy(update={"code": error.code})
        case ClusterError():
            return _ended(result, ResultKind.FAILED, str(error), begun)
        case _:
            raise error


def _ended(result: StepResult, kind: ResultKind, error: str, begun: float) -> StepResult:
    duration = round((time.monotonic() - begun) * 1000)
    changes = {"result": kind, "error": error, "duration_ms": duration}
    if kind is ResultKind.SKIPPED:
        changes |= {"duration_ms": 0, "audit_id": ""}
    return result.model_copy(update=changes)


def said(step: Step) -> str:
    """One line in kubectl's manner, such as `deployment.apps/web scaled`."""
    two, one = " ".join(step.argv[1:3]), step.argv[1]
    target = step.target
    kind = target.kind.lower() + (f".{target.group}" if target.group else "")
    if step.action is Action.DELETE:
        where = f" from {target.namespace} namespace" if target.namespace else ""
        return f'{kind} "{target.name}" deleted{where}'
    return f"{kind}/{target.name} {_DONE.get(two) or _DONE[one]}"

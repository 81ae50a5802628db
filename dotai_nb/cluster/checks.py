"""What can be told by looking, after an execution: the code's own part of the verdict."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.difference import names_of, same
from dotai_nb.cluster.evidence import look
from dotai_nb.cluster.fields import ABSENT, changed, overlap, shown, value_at
from dotai_nb.cluster.redaction import redact
from dotai_nb.cluster.rollout import waits
from dotai_nb.errors import ClusterError
from dotai_nb.session.values import Accepted, Action, Check, ResultKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dotai_nb.cluster.connection import Connection
    from dotai_nb.cluster.fields import Field
    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.events import StepChecked
    from dotai_nb.session.session import Session
    from dotai_nb.session.values import ObjectRef

PATIENCE = 5.0
"""Seconds that a deleted object may take to go, while its finalizers run."""

_POLL = 0.25

_PAUSED: Field = ("spec", "paused")

# The API server picks these anew at each request, so a dry run's are not the stored ones.
_ALLOCATED = frozenset({"clusterIP", "clusterIPs", "healthCheckNodePort", "nodePort"})


async def look_after(c: Connection, session: Session) -> tuple[Check, ...]:
    """Look at every object that a succeeded step changed.

    That it is there, or gone; that it is the same one and not made anew; that what the step set is
    still so, unless a later step set it again; that its rollout is done. What can't be read is
    `ok=None`, never a success.
    """
    succeeded = [
        checked
        for planned, checked in session.planned
        if (result := session.result(planned.step)) and result.result is ResultKind.SUCCEEDED
    ]
    found: list[Check] = []
    for position, checked in enumerate(succeeded):
        later = [o for o in succeeded[position + 1 :] if o.step.target == checked.step.target]
        if any(other.step.action is Action.DELETE for other in later):
            continue
        found += await _of_step(c, checked, later)
    found += [_of_rollout(session, target) for target in _rolled(succeeded)]
    return tuple(found)


async def _of_step(
    c: Connection, checked: StepChecked, later: Iterable[StepChecked]
) -> list[Check]:
    step = checked.step
    try:
        live = await (_gone(c, checked) if step.action is Action.DELETE else look(c, step))
    except ClusterError as error:
        return [Check(name=f"step {step.number}: {step.target}", ok=None, detail=str(error))]
    if step.action is Action.DELETE:
        return [_deleted(checked, live)]
    if live is None:
        return [Check(name=f"step {step.number}: {step.target} exists", ok=False, detail="gone")]
    return [_same_object(checked, live), *_values(checked, redact(live, strict=c.strict), later)]


async def _gone(c: Connection, checked: StepChecked) -> JsonObject | None:
    """The object once it has gone or been made anew, or as it is when patience ends."""
    uid = _accepted(checked).uid
    live = await look(c, checked.step)
    for _ in range(round(PATIENCE / _POLL)):
        if live is None or live["metadata"]["uid"] != uid:
            break
        await asyncio.sleep(_POLL)
        live = await look(c, checked.step)
    return live


def _deleted(checked: StepChecked, live: JsonObject | None) -> Check:
    name = f"step {checked.step.number}: {checked.step.target} is gone"
    if live is None:
        return Check(name=name, ok=True)
    metadata = live["metadata"]
    if metadata["uid"] != _accepted(checked).uid:
        return Check(name=name, ok=False, detail="it was made anew")
    if "deletionTimestamp" in metadata:
        waiting = ", ".join(metadata.get("finalizers") or ()) or "what it owns"
        return Check(name=name, ok=None, detail=f"it is being deleted and waits for {waiting}")
    return Check(name=name, ok=False, detail="it is still there")


def _same_object(checked: StepChecked, live: JsonObject) -> Check:
    target, uid = checked.step.target, _accepted(checked).uid
    if not uid:
        return Check(name=f"step {checked.step.number}: {target} exists", ok=True)
    now = live["metadata"]["uid"]
    return Check(
        name=f"step {checked.step.number}: {target} is the same object",
        ok=now == uid,
        detail="" if now == uid else f"its UID was {uid} and is {now}",
    )


def _values(checked: StepChecked, now: JsonObject, later: Iterable[StepChecked]) -> Iterator[Check]:
    """One check, or none where nothing is left that it could find wrong.

    `now` is the object, redacted as its evidence is: equal values have equal placeholders.
    """
    wanted = _set_by(checked)
    again = [field for other in later for field in _set_by(other)]
    still = [field for field in wanted if not overlap([field], again)]
    if not still:
        return
    wrong = [field for field in still if not holds(value_at(now, field), wanted[field])]
    detail = "; ".join(f"{shown(f)} is {_told(value_at(now, f))}" for f in wrong)
    name = f"step {checked.step.number}: {checked.step.target} has the values that were set"
    yield Check(name=name, ok=not wrong, detail=detail)


def _set_by(checked: StepChecked) -> dict[Field, Any]:
    """The fields that a step set, with the values that the API server made of them."""
    evidence = _accepted(checked)
    if evidence.after is None:
        return {}
    if evidence.before is not None:
        fields = changed(evidence.before, evidence.after)
        return {field: value for field, value in fields.items() if field[-1] not in _ALLOCATED}
    made = changed({}, evidence.after)
    return {field: made[field] for field in overlap(made, changed({}, checked.step.body or {}))}


def holds(now: Any, wanted: Any) -> bool:
    """Whether a value is there, whatever the API server or a controller has added to it."""
    if wanted is ABSENT or now is ABSENT:
        return now is wanted
    if isinstance(wanted, dict) and isinstance(now, dict):
        keys = wanted.keys() - _ALLOCATED
        return all(key in now and holds(now[key], wanted[key]) for key in keys)
    if isinstance(wanted, list) and isinstance(now, list):
        return _holds_items(now, wanted)
    return same(now, wanted)


def _holds_items(now: list[Any], wanted: list[Any]) -> bool:
    names_now, names = names_of(now), names_of(wanted)
    if names and names_now is not None:
        there = dict(zip(names_now, now, strict=True))
        return all(n in there and holds(there[n], w) for n, w in zip(names, wanted, strict=True))
    return len(now) == len(wanted) and all(map(holds, now, wanted))


def _rolled(succeeded: Iterable[StepChecked]) -> Iterator[ObjectRef]:
    """The objects whose rollout has to be done: not those that end deleted, or paused by a step."""
    by_target: dict[ObjectRef, dict[Field, Any]] = {}
    for checked in succeeded:
        by_target.setdefault(checked.step.target, {}).update(_set_by(checked))
        if checked.step.action is Action.DELETE:
            del by_target[checked.step.target]
    for target, wanted in by_target.items():
        if waits(target) and wanted.get(_PAUSED) is not True:
            yield target


def _of_rollout(session: Session, target: ObjectRef) -> Check:
    name = f"the rollout of {target} is done"
    seen = [rollout for rollout in session.rollouts if rollout.target == target]
    if not seen:
        return Check(name=name, ok=None, detail="it was not waited for")
    last = seen[-1]
    ok = {"done": True, "failed": False}.get(last.state)
    return Check(name=name, ok=ok, detail=last.message)


def _accepted(checked: StepChecked) -> Accepted:
    if not isinstance(checked.evidence, Accepted):
        raise ClusterError(f"Step {checked.step.number} was run without an accepted dry run.")
    return checked.evidence


def _told(value: Any) -> str:
    return "not there" if value is ABSENT else str(value)

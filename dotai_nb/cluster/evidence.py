"""The API server's answer to a step's dry run, as evidence."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

from dotai_nb.cluster.dependents import dependents_of
from dotai_nb.cluster.difference import difference, normalised, same
from dotai_nb.cluster.fields import (
    carry,
    changed,
    overlap,
    replaces_all,
    shown,
    touched,
)
from dotai_nb.cluster.ownership import owners
from dotai_nb.cluster.place import WRITE_QUERY, missing
from dotai_nb.cluster.reading import fetch
from dotai_nb.cluster.redaction import exposes, holds_placeholder, redact
from dotai_nb.cluster.request import JSON_PATCH, Request, request_for
from dotai_nb.cluster.scaling import as_scaled, fetch_scale
from dotai_nb.errors import ApiError, StepRefused
from dotai_nb.session.values import Accepted, Action, NotAllowed, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from dotai_nb.cluster.connection import Connection
    from dotai_nb.cluster.request import Reply
    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.events import StepChecked
    from dotai_nb.session.values import Evidence, ObjectRef, Step

A = TypeVar("A")
B = TypeVar("B")

LOOKS = 5
"""How often an object and its dry run are asked for together, until both are of one moment."""

_FORBIDDEN, _NOT_FOUND = 403, 404
# Authorization says who can't do what (apiserver's `forbiddenMessage`), RBAC who can't give away
# what; any other 403 is a quota's or an admission policy's, which another request may satisfy.
_NO_PERMISSION = re.compile(
    r'User "[^"]*" cannot |attempting to grant RBAC permissions not currently held'
)
# Server-side apply answers an unknown field with this, as an internal error.
_NOT_IN_SCHEMA = re.compile(r"field not declared in schema|failed to create typed patch object")


@dataclass(frozen=True, slots=True)
class _Change:
    """The object before and after, as the API server gave them."""

    before: JsonObject | None
    after: JsonObject | None
    warnings: tuple[str, ...]


async def check(c: Connection, step: Step, earlier: Sequence[StepChecked]) -> Evidence:
    """Dry-run a step and say what the API server would do.

    Where an earlier step changes the same object, the dry run is made of both changes together,
    and `before` is what that step's own dry run left. `earlier` are the steps that will have run
    before this one.

    Raises:
        ConnectionFailed, CredentialsRejected, RequestRefused: the server was not asked.
        ApiError: it answered with an error of its own (5xx), is too busy (429), or has no such
            object (404).
        StepRefused: a value that is hidden would be seen under another name.
    """
    try:
        live, reply = await _of_one_moment(c, step)
        change = _Change(live, await _after(c, step, live, reply), reply.warnings)
        before_it = _latest(step, earlier)
        if before_it is not None:
            refusal = _apart(step, before_it, change)
            if refusal is not None:
                return refusal
            change = await _together(c, step, _chain(before_it, earlier), change)
        return await _accepted(c, step, change)
    except ApiError as error:
        if error.code == _NOT_FOUND and step.action is not Action.CREATE:
            raise missing(step.target) from error
        return _answered(error)


async def _of_one_moment(c: Connection, step: Step) -> tuple[JsonObject | None, Reply]:
    """The object, and the dry run that was made of just this state of it.

    Raises:
        ApiError: 409 when the object changes faster than both can be had.
    """
    for _ in range(LOOKS):
        live, reply = await _both(look(c, step), c.investigate(request_for(step, dry_run=True)))
        if _version(live) in {"", _version(reply.body)} or step.action is Action.DELETE:
            return live, reply
    raise ApiError(
        f"{step.target} changes all the time; no dry run was made of what was read just before.",
        code=409,
        reason="Conflict",
        hint="Check the step again once the object has settled.",
    )


def _version(obj: Any) -> str:
    """The resourceVersion; a dry run's answer has that of the object it was made of."""
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    return str((metadata or {}).get("resourceVersion", ""))


async def _both(looking: Awaitable[A], trying: Awaitable[B]) -> tuple[A, B]:
    """Both at once, for one's time; the first one's error comes first."""
    looked, tried = await asyncio.gather(looking, trying, return_exceptions=True)
    if isinstance(looked, BaseException):
        raise looked
    if isinstance(tried, BaseException):
        raise tried
    return looked, tried


async def look(c: Connection, step: Step) -> JsonObject | None:
    """The object a step is about, as it is now; None if there is none.

    For a scale whose object may not be read, its Scale.
    """
    try:
        return await fetch(c, step.target)
    except ApiError as error:
        if error.code != _FORBIDDEN or step.subresource != "scale":
            raise
        return await fetch_scale(c, step.target)


def _answered(error: ApiError) -> Evidence:
    if error.code == _FORBIDDEN and _NO_PERMISSION.search(error.message):
        return NotAllowed(message=error.message)
    too_busy = error.code == 429  # noqa: PLR2004 - HTTP Too Many Requests
    if too_busy or (error.code >= 500 and not _NOT_IN_SCHEMA.search(error.message)):  # noqa: PLR2004
        raise error
    return Refused(code=error.code, reason=error.reason, message=error.message)


async def _after(
    c: Connection, step: Step, live: JsonObject | None, reply: Reply
) -> JsonObject | None:
    if step.action is Action.DELETE:
        return None
    after: JsonObject = reply.body
    if step.subresource == "scale" and live is not None and live.get("kind") != "Scale":
        return await as_scaled(c, step.target, live, after)
    return after


async def _accepted(c: Connection, step: Step, change: _Change) -> Evidence:
    before, after = change.before, change.after
    if before is not None and after is not None and same(normalised(before), normalised(after)):
        return Refused(
            code=0,
            reason="NoChange",
            message=f"{step.target} has these values already: the change would change nothing.",
        )
    metadata = (before or {}).get("metadata", {})
    old, new = (obj and redact(obj, strict=c.strict) for obj in (before, after))
    if before and old and new and exposes(before, shown=(old, new)):
        raise StepRefused(
            f"The change would show a hidden value of {step.target} under another name.",
            hint="Leave that value where it is, and change something else.",
        )
    diff = difference(old, new)
    if not diff:
        return Refused(
            code=0,
            reason="NothingToReview",
            message=f"What would change of {step.target} is never shown, so it can't be reviewed.",
        )
    return Accepted(
        before=_unmanaged(old),
        after=_unmanaged(new),
        diff=diff,
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
        warnings=change.warnings,
        conflicts=owners(before, after),
        dependents=await dependents_of(c, step, before) if before else (),
    )


def _unmanaged(obj: JsonObject | None) -> JsonObject | None:
    """Without managedFields: a third of an object, told already as `conflicts`."""
    if obj is None or "managedFields" not in obj.get("metadata", {}):
        return obj
    metadata = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    return {**obj, "metadata": metadata}


def _identity(ref: ObjectRef) -> tuple[str, str, str, str]:
    return ref.group, ref.resource, ref.namespace, ref.name


def _latest(step: Step, earlier: Sequence[StepChecked]) -> StepChecked | None:
    """The last of the earlier accepted steps on the same object."""
    on_it = [
        checked
        for checked in earlier
        if isinstance(checked.evidence, Accepted)
        and checked.step.number < step.number
        and _identity(checked.step.target) == _identity(step.target)
    ]
    return max(on_it, key=lambda checked: checked.step.number, default=None)


def _chain(last: StepChecked, earlier: Sequence[StepChecked]) -> list[StepChecked]:
    """That step and those on the same object before it, in order."""
    before_it = _latest(last.step, earlier)
    return [*(_chain(before_it, earlier) if before_it else ()), last]


def _apart(step: Step, other: StepChecked, change: _Change) -> Refused | None:
    """Why two steps on one object can't both stand; None when they change different fields."""
    numbers = f"step {other.step.number} and this change"
    way_out = (
        f"Make one change of both in the place of step {other.step.number} (a tool call says "
        f"`replaces: [{other.step.number}]`), or leave one of them out."
    )
    match other.step.action:
        case Action.CREATE | Action.DELETE:
            what = f"Step {other.step.number} would {other.step.action} {step.target} before"
        case Action.UPDATE:
            shared = _shared(step, other, change)
            if not shared:
                return None
            what = f"Both {numbers} set {', '.join(shared)} of {step.target}"
        case _:
            assert_never(other.step.action)
    return Refused(code=0, reason="Overlap", message=f"{what}. {way_out}")


def _shared(step: Step, other: StepChecked, change: _Change) -> list[str]:
    evidence = other.evidence
    if step.action is Action.DELETE or (replaces_all(step) and replaces_all(other.step)):
        return ["fields"]
    if not isinstance(evidence, Accepted) or evidence.before is None or evidence.after is None:
        return ["fields"]
    if change.before is None or change.after is None:
        return ["fields"]
    theirs = changed(evidence.before, evidence.after)
    ours = touched(step, change.before, change.after)
    return sorted({shown(field) for field in overlap(theirs, ours)})


async def _together(
    c: Connection, step: Step, chain: Sequence[StepChecked], change: _Change
) -> _Change:
    """Both changes in one dry run, so that the server judges what they make together.

    Raises:
        ApiError: the server refuses the two together, or they can't be put together.
    """
    live, after = change.before, change.after
    if live is None or after is None:
        raise ApiError(f"{step.target} is not there.", code=404, reason="NotFound")
    try:
        left = live
        for checked in chain:
            left = carry(_own_changes(checked), left)
        both = carry(changed(live, after), left)
    except LookupError as error:
        raise ApiError(
            f"{step.target} has changed since step {chain[-1].step.number} was checked.",
            code=409,
            reason="Conflict",
            hint="Check that step again.",
        ) from error
    operations = list(difference(live, both))
    if holds_placeholder(operations):
        numbers = ", ".join(str(checked.step.number) for checked in chain)
        raise ApiError(
            f"Step {numbers} changes a list with a hidden value, so this change can't be tried "
            "on top of it.",
            code=422,
            reason="Invalid",
            hint="Put both changes into one step, with `replaces`.",
        )
    ref = step.target
    reply = await c.investigate(
        Request(
            verb="patch",
            group=ref.group,
            version=ref.version,
            resource=ref.resource,
            namespace=ref.namespace,
            name=ref.name,
            query=WRITE_QUERY,
            content_type=JSON_PATCH,
            body=operations,
            dry_run=True,
        )
    )
    warnings = dict.fromkeys((*change.warnings, *reply.warnings))
    return _Change(left, reply.body, tuple(warnings))


def _own_changes(checked: StepChecked) -> dict[Any, Any]:
    evidence = checked.evidence
    if not isinstance(evidence, Accepted) or evidence.before is None or evidence.after is None:
        return {}
    return changed(evidence.before, evidence.after)

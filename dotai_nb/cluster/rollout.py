"""Waits for a Deployment's rollout, by the rules of `kubectl rollout status`.

https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Literal

from dotai_nb.cluster.reading import fetch
from dotai_nb.cluster.request import Request
from dotai_nb.errors import ApiError, ClusterError, CredentialsRejected
from dotai_nb.session.events import RolloutProgressed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from dotai_nb.cluster.connection import Connection
    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.events import Event
    from dotai_nb.session.values import ObjectRef

State = Literal["progressing", "done", "failed", "deadline"]

POLL = 1.0
"""Seconds between two looks where the object can't be watched."""


def waits(target: ObjectRef) -> bool:
    """Whether a change of this object sets off a rollout that is waited for."""
    return (target.group, target.kind) == ("apps", "Deployment")


async def wait_for_rollout(
    c: Connection,
    target: ObjectRef,
    *,
    step: int,
    deadline: float,
    record: Callable[[Event], object],
) -> RolloutProgressed:
    """Wait until the rollout is done, has failed, or took too long; each move is recorded.

    A paused Deployment rolls nothing out: that is told at once, as `deadline`. `deadline` is in
    seconds from now.
    """
    last = RolloutProgressed(
        step=step, target=target, ready=0, wanted=0, state="progressing", message="not looked at"
    )
    try:
        async with asyncio.timeout(deadline), aclosing(_looks(c, target, deadline)) as looks:
            async for live in looks:
                now = judge(live, target, step)
                if now != last:
                    record(now)
                last = now
                if now.state != "progressing":
                    return now
    except TimeoutError:
        message = f"not done within {deadline:g} s; last: {last.message}"
        last = last.model_copy(update={"state": "deadline", "message": message})
        record(last)
    except ClusterError as error:
        # Not to know is not to fail, and no reason to forget the steps that were run.
        message = f"the rollout can't be followed: {error}"
        last = last.model_copy(update={"state": "deadline", "message": message})
        record(last)
    return last


def judge(live: JsonObject | None, target: ObjectRef, step: int) -> RolloutProgressed:
    """How far the rollout is, in kubectl's words."""
    spec, status = (live or {}).get("spec", {}), (live or {}).get("status", {})
    wanted = spec.get("replicas", 1) if live else 0
    ready = min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
    state, message = _state(live, target.name, wanted)
    return RolloutProgressed(
        step=step, target=target, ready=ready, wanted=wanted, state=state, message=message
    )


def _state(live: JsonObject | None, name: str, wanted: int) -> tuple[State, str]:
    if live is None:
        return "failed", f'deployment "{name}" is gone'
    status = live.get("status", {})
    if live["metadata"]["generation"] > status.get("observedGeneration", 0):
        return "progressing", "waiting for deployment spec update to be observed"
    reasons = {c["type"]: c.get("reason") for c in status.get("conditions") or ()}
    if reasons.get("Progressing") == "ProgressDeadlineExceeded":
        return "failed", f'deployment "{name}" exceeded its progress deadline'
    left = _left(status, wanted)
    if not left:
        return "done", f'deployment "{name}" successfully rolled out'
    if live["spec"].get("paused"):
        return "deadline", f'deployment "{name}" is paused: {left}'
    return "progressing", left


def _left(status: JsonObject, wanted: int) -> str:
    """What the rollout still waits for; empty when nothing."""
    updated = status.get("updatedReplicas", 0)
    if updated < wanted:
        return f"{updated} out of {wanted} new replicas have been updated"
    if old := status.get("replicas", 0) - updated:
        return f"{old} old replicas are pending termination"
    available = status.get("availableReplicas", 0)
    if available < updated:
        return f"{available} of {updated} updated replicas are available"
    return ""


async def _looks(
    c: Connection,
    target: ObjectRef,
    timeout: float,  # noqa: ASYNC109 - how long to watch at most
) -> AsyncGenerator[JsonObject | None]:
    """The object now and whenever it changes; None when it is gone. Never ends by itself."""
    while True:
        try:
            live = await fetch(c, target)
            yield live
            if live is None:
                return
            async with aclosing(_watched(c, target, live, timeout)) as changes:
                async for changed in changes:
                    yield changed
        except CredentialsRejected:
            raise
        except ClusterError as error:
            # A watch that isn't allowed or breaks off is no news of the rollout; look again.
            if isinstance(error, ApiError) and "cannot get" in error.message:
                raise
        await asyncio.sleep(POLL)


async def _watched(
    c: Connection,
    target: ObjectRef,
    live: JsonObject,
    timeout: float,  # noqa: ASYNC109 - see _looks
) -> AsyncGenerator[JsonObject | None]:
    request = Request(
        verb="watch",
        group=target.group,
        version=target.version,
        resource=target.resource,
        namespace=target.namespace,
        query={
            "fieldSelector": f"metadata.name={target.name}",
            "resourceVersion": live["metadata"]["resourceVersion"],
        },
    )
    async for event in c.watch(request, timeout=timeout):
        match event["type"]:
            case "MODIFIED" | "ADDED":
                yield event["object"]
            case "DELETED":
                yield None
            case _:
                return  # an error or a bookmark: the caller looks again

"""Steps on the real cluster: connect, check, run, and run the printed command in a real shell."""

from __future__ import annotations

import os
import subprocess
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster import step as steps
from dotai_nb.cluster.connection import Connection
from dotai_nb.cluster.difference import normalised
from dotai_nb.cluster.evidence import check
from dotai_nb.cluster.execution import run_step
from dotai_nb.cluster.guard import Grant
from dotai_nb.session.approval import plan_digest
from dotai_nb.session.events import StepChecked
from dotai_nb.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from dotai_nb.session.events import Event
    from dotai_nb.session.values import Step, StepResult
    from tests.cluster.controlplane.plane import Cluster

Json = dict[str, Any]


@asynccontextmanager
async def connected(kubeconfig: Path, **settings: str) -> AsyncIterator[Connection]:
    """A connection with a kubeconfig's own context, closed at the end."""
    c = await Connection.open(Settings(KUBECONFIG=str(kubeconfig), **settings))
    try:
        yield c
    finally:
        await c.close()


async def build(
    c: Connection, change: str, namespace: str, *, number: int = 1, **arguments: Any
) -> Step:
    """A step of `build_{change}`; of the Deployment my-api unless the arguments say otherwise."""
    of_object = {"resource": "deployments", "name": "my-api"} if change != "apply" else {}
    builder = getattr(steps, f"build_{change}")
    given = {**of_object, "namespace": namespace, **arguments}
    step: Step = await builder(c, number=number, call_id=f"call-{number}", **given)
    return step


async def checked(
    c: Connection,
    change: str,
    namespace: str,
    *,
    earlier: Sequence[StepChecked] = (),
    **arguments: Any,
) -> StepChecked:
    """The same with its evidence; numbered behind the earlier ones."""
    step = await build(c, change, namespace, number=len(earlier) + 1, **arguments)
    return StepChecked(step=step, evidence=await check(c, step, earlier))


def granted(c: Connection, *plan: StepChecked, minutes: float = 5) -> Grant:
    """A grant for these steps, as an approval makes it."""
    expires_at = datetime.now(UTC) + timedelta(minutes=minutes)
    digest = plan_digest(c.fingerprint, plan)
    return Grant(digest, c.fingerprint, [each.step for each in plan], expires_at)


async def run(
    c: Connection, *plan: StepChecked, events: list[Event] | None = None
) -> list[StepResult]:
    """Runs the steps in order under one grant; collects their events."""
    seen: list[Event] = [] if events is None else events
    grant, done = granted(c, *plan), []
    for position, each in enumerate(plan):
        done.append(await run_step(c, grant, each, seen.append, earlier=plan[:position]))
    return done


def in_shell(cluster: Cluster, command: str) -> str:
    """What a person gets who pastes the printed command into a shell, as the cluster's admin."""
    assert cluster.kubectl is not None
    path = f"{cluster.kubectl.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(cluster.kubeconfig)}
    done = subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def comparable(obj: Json | None) -> Json | None:
    """An object without what differs between two namespaces."""
    if obj is None:
        return None
    kept = normalised(obj)
    kept["metadata"] = {k: v for k, v in kept["metadata"].items() if k != "namespace"}
    return kept

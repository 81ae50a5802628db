"""Cancel at any moment: nothing lives on, the file loads and says how far it came."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from dotai_nb import errors, portal
from dotai_nb.cluster.connection import Connection
from dotai_nb.engine import Hub
from dotai_nb.knowledge.source import NoKnowledge
from dotai_nb.llm.scripted import ScriptedModel
from dotai_nb.operation import Operation
from dotai_nb.session.store import load
from dotai_nb.session.values import Status
from dotai_nb.settings import Settings
from dotai_nb.workflow import operate as live
from dotai_nb.workflow.source import Source
from tests.cluster.test_operate import update_turns

if TYPE_CHECKING:
    from pathlib import Path

    from dotai_nb.session.events import Recorded, TextDelta
    from tests.cluster.fixtures import Agent, DeploymentFactory

MOMENTS = range(1, 60)
SHARE = len(MOMENTS) if os.environ.get("DOTAI_TEST_FULL") else 12
CHOSEN = sorted(random.Random(3).sample(MOMENTS, SHARE))


async def begun(settings: Settings, folder: Path, hub: Hub) -> Operation:
    async def make() -> live.Run:
        connection = await Connection.open(settings)
        source = Source(connection, ScriptedModel(update_turns(), name="scripted"))
        return await live.begin(
            "update", namespace="", source=source, knowledge=NoKnowledge(),
            directory=folder, settings=settings, live=hub,
        )  # fmt: skip

    run = await portal.bridge(make())
    run.journal.subscribe(hub)
    operation = Operation(run, hub, settings)
    operation.begin(run.analyse())
    return operation


@pytest.mark.parametrize("moment", CHOSEN)
async def test_cancel_at_an_event_ends_in_a_state_that_says_so(
    moment: int, agent: Agent, deployment: DeploymentFactory, tmp_path: Path
) -> None:
    deployment()
    settings = Settings.model_validate(
        {"KUBECONFIG": str(agent.kubeconfig), "DOT_AI_ROLLOUT_TIMEOUT": 30}
    )
    hub = Hub()
    operation = await begun(settings, tmp_path, hub)

    def hear(heard: Recorded | TextDelta) -> None:
        if getattr(heard, "seq", 0) == moment:
            # Called on the loop: cancel as a button does, from another thread.
            portal.loop().run_in_executor(None, operation.cancel)

    hub.add(hear)
    cancelled = False
    try:
        await operation.analysed()
        operation.approve(digest=operation.digest)
        await operation.execute()
    except (errors.Cancelled, errors.NotExecutable):
        cancelled = True
    assert not operation.busy
    loaded = load(operation.path)
    assert loaded.session.head == operation.session.head
    assert loaded.session.at_rest
    assert not list(tmp_path.glob("*.jsonl"))
    match loaded.session.status:
        case Status.FAILED:
            assert cancelled
            assert loaded.session.outcome == "cancelled"
        case Status.EXECUTED_WITH_ERRORS:
            assert loaded.session.cancelled
            assert len(loaded.session.results) == len(loaded.session.planned)
            assert loaded.session.running == ()
        case Status.EXECUTED_SUCCESSFULLY:
            assert not loaded.session.cancelled, "the request came after the verdict"
        case other:
            assert other == Status.ANALYSIS_COMPLETE
            assert cancelled
    operation.close()

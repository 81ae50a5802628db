"""Makes the recordings of the notebooks: `python -m tests.cluster.record`.

Each is a session that really ran, on a control plane of its own with the practice application. The
model's turns come from `scripts/NAME.yaml`, written by hand: no model made them, which the
session's first event says (`scripted`). All else in the file is the API server's and the package's
doing.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import yaml

from dotai_nb.cluster.connection import Connection
from dotai_nb.knowledge.source import NoKnowledge
from dotai_nb.llm.conversation import Answer, Text, ToolUse
from dotai_nb.llm.scripted import ScriptedModel
from dotai_nb.settings import Settings
from dotai_nb.workflow import operate
from dotai_nb.workflow.source import Source
from tests.cluster.controlplane import ControlPlane, build, find_built
from tests.cluster.practice import CONTEXT, create_application

RECORDINGS: Final = Path(__file__).parents[2] / "notebooks" / "01-operate.recordings"
SCRIPTS: Final = Path(__file__).with_name("scripts")
NAMESPACE: Final = "shop"
MODEL: Final = "scripted"

_PERSON: Final = "practice"
"""Who approves: whose machine a published recording was made on is nobody's business."""


@dataclass(frozen=True)
class Script:
    """What is asked, and the model's turns that answer it.

    Attributes:
        executed: whether the plan is approved and executed.
    """

    name: str
    intent: str
    answers: tuple[Answer, ...]
    executed: bool

    @classmethod
    def load(cls, path: Path) -> Script:
        """A script from its file."""
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
        numbers = count(1)
        answers = tuple(_answer(turn, numbers) for turn in written["turns"])
        return cls(path.stem, written["intent"], answers, written["executed"])


def _answer(turn: dict[str, Any], numbers: count[int]) -> Answer:
    named = [pair for call in turn["calls"] for pair in call.items()]
    calls = (ToolUse(f"call_{next(numbers)}", name, arguments) for name, arguments in named)
    return Answer((Text(turn["says"]), *calls), "tool_use", MODEL)


async def record(script: Script, settings: Settings, directory: Path) -> Path:
    """Run a script on the cluster of the settings; returns the session's file."""
    model = ScriptedModel(script.answers, name=MODEL)
    run = await operate.begin(
        script.intent,
        namespace=NAMESPACE,
        source=Source(await Connection.open(settings), model, scripted=True),
        knowledge=NoKnowledge(),
        directory=directory,
        settings=settings,
        live=lambda _: None,
    )
    try:
        await run.analyse()
        if script.executed:
            run.approve(run.session.digest, "digest")
            await run.execute("continue")
    finally:
        await run.close()
    print(f"{script.name}: {run.session.status}, {run.session.outcome}", flush=True)
    return run.path


def main() -> int:
    """Make every recording anew; returns the exit status."""
    os.environ["LOGNAME"] = _PERSON
    # What executes nothing comes first: it shows the application as it was.
    scripts = sorted(map(Script.load, SCRIPTS.glob("*.yaml")), key=lambda s: s.executed)
    RECORDINGS.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        ControlPlane(find_built() or build(), context=CONTEXT) as cluster,
    ):
        create_application(cluster)
        settings = Settings(KUBECONFIG=str(cluster.kubeconfig))
        for script in scripts:
            made = asyncio.run(record(script, settings, Path(folder)))
            shutil.copyfile(made, RECORDINGS / f"{script.name}.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the notebooks ship: recordings that can be trusted, and no outputs of somebody's machine."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from dotai_nb.llm.scripted import answers_of
from dotai_nb.session.loading import load
from tests.cluster.record import RECORDINGS, SCRIPTS, Script

if TYPE_CHECKING:
    from pathlib import Path

NOTEBOOKS = sorted(RECORDINGS.parent.glob("*.ipynb"))
SCRIPTED = sorted(SCRIPTS.glob("*.yaml"))
MACHINE = re.compile(r"/(home|root|tmp|work|Users)/")


@pytest.mark.parametrize("script", SCRIPTED, ids=lambda path: path.stem)
def test_a_recording_has_the_turns_of_its_script_and_says_that_no_model_made_them(
    script: Path,
) -> None:
    loaded = load(RECORDINGS / f"{script.stem}.json")
    wanted = Script.load(script)
    assert loaded.session.started.scripted
    assert loaded.session.intent == wanted.intent
    assert answers_of(loaded.recorded) == wanted.answers


def test_every_recording_has_its_script() -> None:
    recordings = {path.stem for path in RECORDINGS.glob("*.json")}
    assert recordings == {path.stem for path in SCRIPTED}


@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("*.json")), ids=lambda path: path.stem)
def test_a_recording_names_no_folder_of_the_machine_it_was_made_on(path: Path) -> None:
    assert MACHINE.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"]] == []

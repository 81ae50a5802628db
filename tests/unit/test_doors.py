"""The doors to an operation, on a recording: nothing is sent anywhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import dotai_nb
from dotai_nb import errors
from dotai_nb.magics import UsageError
from dotai_nb.session.canonical import readable
from dotai_nb.session.fold import fold
from dotai_nb.session.snapshot import document
from dotai_nb.session.values import Status
from tests.unit import sessions as sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

    from dotai_nb.session.events import Recorded


def keep(folder: Path, name: str, recorded: tuple[Recorded, ...]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_bytes(readable(document(fold(recorded), recorded)))
    return path


@pytest.fixture(autouse=True)
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return keep(tmp_path / "book.recordings", "update", sample.executed_session())


async def test_a_recording_is_played_to_its_end_and_says_so(recording: Path) -> None:
    op = await dotai_nb.operate("anything", recording="update")
    assert op.replayed
    assert op.path == recording
    assert op.status == Status.ANALYSIS_COMPLETE
    assert op.approve().digest == op.digest
    await op.execute()
    assert op.status == fold(sample.executed_session()).status
    assert len(op.steps) == len(op.session.planned)
    assert list(op.results["step"]) == [r.step for r in op.session.results]


async def test_without_a_key_a_recording_is_found_by_its_exact_intent() -> None:
    op = await dotai_nb.operate(f"  {sample.INTENT}\n")
    assert op.replayed
    with pytest.raises(errors.ModelKeyMissing, match="ANTHROPIC_API_KEY"):
        await dotai_nb.operate(f"{sample.INTENT}!")


async def test_an_unknown_recording_lists_what_there_is() -> None:
    with pytest.raises(errors.RecordingNotFound, match="update"):
        await dotai_nb.operate("x", recording="made-up")


async def test_a_replay_is_not_refined_and_not_played_twice() -> None:
    op = await dotai_nb.operate("x", recording="update")
    with pytest.raises(errors.NotExecutable, match="no model is asked"):
        await op.refine("more")
    await op.execute()
    with pytest.raises(errors.NotExecutable):
        await op.execute()


async def test_debug_writes_a_line_an_event_and_none_of_the_words(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEBUG_DOT_AI", "true")
    op = await dotai_nb.operate("x", recording="update")
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("dotai_nb ")]
    assert len(lines) == op.session.count
    assert lines[0].endswith("#1 session_started")
    assert "nginx" not in "".join(lines)


def test_the_blocking_face_does_the_same() -> None:
    op = dotai_nb.sync.operate("x", recording="update")
    assert op.approve().digest == op.digest
    assert op.execute() is op
    assert op.status == fold(sample.executed_session()).status


def test_a_stored_session_shows_and_never_runs(tmp_path: Path) -> None:
    path = keep(tmp_path / "old", sample.SESSION_ID, sample.proposal_session())
    op = dotai_nb.open_session(path)
    assert op.digest
    with pytest.raises(errors.NotExecutable, match="loaded from a file"):
        op.approve(digest=op.digest)
    with pytest.raises(errors.NotExecutable, match="loaded from a file"):
        dotai_nb.sync.open_session(path).execute()


def test_sessions_of_a_folder_are_a_table_with_the_broken_ones(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    keep(folder, sample.SESSION_ID, sample.proposal_session())
    (folder / "opr-1-00000000.json").write_text("{")
    table = dotai_nb.sessions(folder)
    assert list(table["id"]) == [sample.SESSION_ID, "opr-1-00000000"]
    assert table["error"][1]
    assert dotai_nb.sessions(tmp_path / "none").empty


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    from IPython.core.interactiveshell import InteractiveShell

    yield InteractiveShell()
    InteractiveShell.clear_instance()


def test_the_magic_runs_a_cell_and_names_its_operation(shell: InteractiveShell) -> None:
    shell.run_line_magic("load_ext", "dotai_nb")
    shell.run_cell_magic("operate", "mine --recording update -n shop", sample.INTENT)
    assert shell.user_ns["mine"].status == Status.ANALYSIS_COMPLETE


def test_the_magic_says_what_it_takes(shell: InteractiveShell) -> None:
    shell.run_line_magic("load_ext", "dotai_nb")
    with pytest.raises(UsageError, match="--recording"):
        shell.run_cell_magic("operate", "--nonsense", "x")


ASK = """
import sys
from dotai_nb.asking import ask
from dotai_nb.session.fold import fold
from dotai_nb.settings import Settings
from tests.unit import sessions
print("GIVEN", ask(fold(sessions.proposal_session()), Settings()))
"""


def asked(answer: str, *, terminal: bool) -> str:
    """What asking printed when a person at a terminal, or a pipe, answered so."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    keyboard, typed = (theirs, ours) if terminal else (ours, theirs)
    os.write(typed, f"{answer}\n".encode())
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSTARTUP"}
    root = str(pytest.importorskip("tests").__path__[0]).removesuffix("/tests")
    done = subprocess.run(
        [sys.executable, "-c", ASK], stdin=keyboard, capture_output=True, text=True,
        env={**environment, "PYTHONPATH": root}, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_a_person_at_a_terminal_sees_the_review_and_says_yes() -> None:
    said = asked("approve", terminal=True)
    assert "nginx:1.20" in said
    assert f"GIVEN {fold(sample.proposal_session()).digest}" in said


def test_anything_but_yes_is_a_no() -> None:
    said = asked("ok", terminal=True)
    assert "was not approved" in said
    assert "GIVEN" not in said


def test_a_pipe_can_not_say_yes() -> None:
    said = asked("approve", terminal=False)
    assert "ApprovalRequired" in said
    assert "nobody can answer" in said

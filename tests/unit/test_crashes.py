"""Whatever fails at whatever moment: nothing is lost, and what was lost is told."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dotai_nb.errors import (
    SessionCorrupt,
    SessionError,
)
from dotai_nb.session.canonical import canonical
from dotai_nb.session.events import (
    Approved,
    Event,
    Noted,
    Recorded,
    TextSaid,
    TurnStarted,
)
from dotai_nb.session.store import Journal, load, open_at_rest
from dotai_nb.session.values import Outcome, Status
from tests.unit.sessions import (
    SESSION_ID,
    approval,
    executed_events,
    failed_events,
    proposal_events,
    started,
)
from tests.unit.storing import TEMPORARY, in_child, names, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for sessions."""
    folder = tmp_path / "nb.sessions"
    folder.mkdir()
    return folder


CUT_SHORT = [
    started(),
    TurnStarted(turn=1, purpose="investigate"),
    TextSaid(turn=1, text="🚀"),
    Noted(message="x"),
]


class TestCrashes:
    """Whatever the moment, the next one who opens finds a valid session that tells what is lost."""

    @pytest.fixture
    def crashed(self, folder: Path) -> Path:
        """The files of a process that died in its analysis."""
        journal = run(folder, CUT_SHORT)
        journal.close()
        assert names(folder) == [f"{SESSION_ID}.json", f"{SESSION_ID}.jsonl"]
        return journal.path

    def test_a_journal_cut_anywhere_loads_up_to_its_last_whole_line(self, crashed: Path):
        journal = crashed.with_suffix(".jsonl")
        whole = journal.read_bytes()
        events = load(crashed).recorded
        assert [entry.event for entry in events] == CUT_SHORT
        for length in range(len(whole) + 1):
            kept = whole[:length]
            journal.write_bytes(kept)
            loaded = load(crashed)
            lines = kept.split(b"\n")
            torn = lines.pop()
            # A line that only lacks its newline is whole.
            complete = torn + b"\n" in whole and whole[length : length + 1] == b"\n"
            assert loaded.recorded == events[: 1 + len(lines) + complete]
            if torn and not complete:
                cut = f"The last line of its journal was torn ({len(torn)} bytes) and was cut."
                assert loaded.notes == (cut,)
            else:
                assert loaded.notes == ()

    def test_a_journal_changed_anywhere_but_in_its_end_is_refused(self, crashed: Path):
        journal = crashed.with_suffix(".jsonl")
        whole = journal.read_bytes()
        for position in range(0, len(whole) - 1, 7):
            changed = bytes([whole[position] ^ 1])
            journal.write_bytes(whole[:position] + changed + whole[position + 1 :])
            with pytest.raises(SessionCorrupt):
                load(crashed)

    def test_a_journal_that_contradicts_the_file_is_named(self, crashed: Path):
        other = Recorded.after(None, started("another intent"), load(crashed).recorded[0].at)
        crashed.with_suffix(".jsonl").write_bytes(canonical(other.line()) + b"\n")
        with pytest.raises(SessionCorrupt, match="says something else about event 1"):
            load(crashed)

    def test_a_journal_with_a_gap_is_named(self, crashed: Path):
        journal = crashed.with_suffix(".jsonl")
        journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[2:]))
        with pytest.raises(SessionCorrupt, match="event 2 is missing; event 4 is in its place"):
            load(crashed)

    def test_a_journal_that_outlived_its_rest_is_old_news(self, folder: Path, crashed: Path):
        lines = crashed.with_suffix(".jsonl").read_bytes()
        open_at_rest(crashed)
        crashed.with_suffix(".jsonl").write_bytes(lines)
        loaded = load(crashed)
        assert loaded.session.status is Status.FAILED
        assert open_at_rest(crashed).recorded == loaded.recorded
        assert names(folder) == [crashed.name]

    def test_an_analysis_that_nobody_runs_opens_as_failed_and_stays_so(self, crashed: Path):
        opened = open_at_rest(crashed)
        assert (opened.session.status, opened.session.outcome) == (Status.FAILED, Outcome.FAILED)
        assert opened.recorded[-1].event.type == "interrupted"
        assert (opened.notes, opened.live) == ((), False)
        assert names(crashed.parent) == [crashed.name]
        assert load(crashed).recorded == opened.recorded == open_at_rest(crashed).recorded

    def test_what_was_cut_is_told_in_the_session_for_ever(self, crashed: Path):
        with crashed.with_suffix(".jsonl").open("ab") as journal:
            journal.write(b'{"at":"2026')
        opened = open_at_rest(crashed)
        cut = "The last line of its journal was torn (11 bytes) and was cut."
        assert opened.notes == (cut,)
        assert load(crashed).session.notes == opened.session.notes == ("x", cut)

    def test_an_execution_that_nobody_runs_opens_with_what_is_unknown(self, folder: Path):
        events = list(executed_events())
        sent = next(n for n, event in enumerate(events) if event.type == "step_started")
        journal = run(folder, events[: sent + 1])
        journal.close()
        session = open_at_rest(journal.path).session
        assert session.status is Status.EXECUTED_WITH_ERRORS
        assert [str(result.result) for result in session.results] == [
            "unknown",
            "skipped",
            "skipped",
        ]

    def test_a_running_session_opens_as_it_is_and_says_that_it_runs(self, folder: Path):
        journal = run(folder, list(failed_events())[:8])
        opened = open_at_rest(journal.path)
        assert opened.live
        assert "still running" in opened.notes[0]
        assert opened.recorded == journal.recorded
        journal.append(Noted(message="undisturbed"))
        journal.close()

    def test_a_process_killed_at_any_system_call_leaves_a_session_that_opens(self, folder: Path):
        """Kill at the first, second, … file operation of a whole life, until it survives."""
        whole = list(executed_events())
        seen = set()
        for deadly in range(1, 1000):
            told = in_child(lambda f=folder / str(deadly), n=deadly: _killed_at(f, whole, n))
            path = folder / str(deadly) / f"{SESSION_ID}.json"
            if told:
                break
            if path.exists():
                opened = open_at_rest(path)
                lived = [entry.event for entry in opened.recorded]
                if lived[-1].type == "interrupted":
                    lived.pop()
                assert lived == whole[: len(lived)]
                assert set(names(path.parent)) <= {path.name, TEMPORARY}
                seen.add(opened.session.status)
        assert told == "survived"
        assert seen == {
            Status.FAILED,
            Status.ANALYSIS_COMPLETE,
            Status.EXECUTED_WITH_ERRORS,
            Status.EXECUTED_SUCCESSFULLY,
        }

    @pytest.mark.parametrize("survived", [1, 7, 40, 55])
    def test_what_was_recorded_before_a_kill_is_there_after_it(self, survived: int, folder: Path):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            first, *rest = executed_events()
            journal = Journal.create(folder, first)
            for event in rest[:survived]:
                journal.append(event)
            os.write(writer, b"x")
            signal.pause()
        os.close(writer)
        assert os.read(reader, 1) == b"x"
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        opened = open_at_rest(folder / f"{SESSION_ID}.json")
        assert [entry.event for entry in opened.recorded[: survived + 1]] == (
            list(executed_events())[: survived + 1]
        )
        assert opened.session.at_rest


def _killed_at(folder: Path, events: list[Event], deadly: int) -> str:
    """Live through these events; die, as by SIGKILL, before the n-th file operation."""
    operations = iter(range(1, sys.maxsize))

    def die(event: str, arguments: tuple[Any, ...]) -> None:
        ours = event in ("open", "os.rename", "os.remove", "os.truncate", "os.mkdir")
        if ours and str(folder) in str(arguments[0]) and next(operations) == deadly:
            os._exit(9)

    sys.addaudithook(die)
    run(folder, events)
    return "survived"


class TestRefusals:
    """The disk refuses: a typed error with the path and what to do, and nothing is lost."""

    def test_a_full_disk_loses_nothing_and_the_session_goes_on(self, folder: Path):
        def work() -> str:
            journal = run(folder, [started(), TurnStarted(turn=1, purpose="investigate")])
            journal.append(TextSaid(turn=1, text="before"))
            size = journal.path.with_suffix(".jsonl").stat().st_size
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))
            try:
                journal.append(TextSaid(turn=1, text="x" * 1000))
            except SessionError as error:
                said = str(error)
            else:
                return "nothing was refused"
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert load(journal.path).notes == ()
            journal.append(TextSaid(turn=1, text="after"))
            assert load(journal.path).recorded == journal.recorded
            texts = [e.event.text for e in journal.recorded if isinstance(e.event, TextSaid)]
            return f"{said} {texts}"

        said = in_child(work)
        assert f"{SESSION_ID}.jsonl can't be written: File too large. Free some space" in said
        assert said.endswith("['before', 'after']")

    def test_a_file_that_can_not_be_replaced_stays_and_the_journal_keeps_the_rest(
        self, folder: Path
    ):
        def work() -> str:
            journal = run(folder, list(proposal_events())[:-1])
            before = journal.path.read_bytes()
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            room = journal.path.with_suffix(".jsonl").stat().st_size + 4_000
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
            try:
                journal.append(list(proposal_events())[-1])
            except SessionError as error:
                said = str(error)
            else:
                return "nothing was refused"
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert journal.path.read_bytes() == before
            assert journal.session.status is Status.ANALYSIS_COMPLETE
            assert load(journal.path).recorded == journal.recorded
            journal.append(Approved(approval=approval()))
            assert load(journal.path).recorded == journal.recorded
            return f"{said} {names(folder)}"

        said = in_child(work)
        assert f"{SESSION_ID}.json can't be written: File too large." in said
        assert said.endswith(f"['{SESSION_ID}.json']")

    @pytest.fixture
    def foreign(self) -> Iterator[Path]:
        """A folder that the test's other identity may read and not write."""
        folder = Path(tempfile.mkdtemp(dir="/tmp"))
        yield folder
        folder.chmod(0o700)
        shutil.rmtree(folder)

    @staticmethod
    def without_rights(folder: Path, work: Callable[[], str]) -> str:
        """`work` in a process to which `folder` is read-only (root may write everywhere)."""
        if os.geteuid() == 0:
            for path in folder.iterdir():
                os.chown(path, NOBODY, NOBODY)
        folder.chmod(0o555)

        def weaker() -> str:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            return work()

        return in_child(weaker)

    def test_a_folder_that_may_not_be_written_is_told_with_what_to_do(self, foreign: Path):
        def work() -> str:
            with pytest.raises(SessionError) as caught:
                Journal.create(foreign, started())
            return str(caught.value)

        said = self.without_rights(foreign, work)
        assert said == (
            f"{foreign}/.{SESSION_ID}.lock can't be locked: Permission denied. Make it writable, "
            "or set DOT_AI_SESSION_DIR to a folder that is."
        )

    def test_an_interrupted_session_in_a_read_only_folder_is_told_and_left_as_it_is(
        self, foreign: Path
    ):
        journal = run(foreign, list(failed_events())[:8])
        journal.close()
        before = {path.name: path.read_bytes() for path in foreign.iterdir()}

        def work() -> str:
            opened = open_at_rest(journal.path)
            return f"{opened.session.status} {opened.recorded[-1].event.type} {opened.notes[0]}"

        said = self.without_rights(foreign, work)
        assert said.startswith("failed interrupted The file was left as it is: ")
        assert said.endswith("Permission denied.")
        assert {path.name: path.read_bytes() for path in foreign.iterdir()} == before

"""Files of sessions: written whole, verified to the byte, surviving crashes, run once."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import stat
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dotai_nb.errors import (
    IllegalEvent,
    NotExecutable,
    SessionCorrupt,
    SessionError,
    SessionLocked,
    SessionNotFound,
)
from dotai_nb.session.canonical import canonical, readable
from dotai_nb.session.events import (
    Approved,
    Event,
    ExecutionStarted,
    Noted,
    Recorded,
    Refined,
    TextSaid,
    ToolCalled,
    TurnStarted,
)
from dotai_nb.session.session import fold
from dotai_nb.session.snapshot import document
from dotai_nb.session.store import Journal, load, open_at_rest, sessions
from dotai_nb.session.values import Outcome, Status
from tests.unit.sessions import (
    SESSION_ID,
    approval,
    clarification_session,
    executed_events,
    executed_session,
    failed_events,
    proposal_digest,
    proposal_events,
    record,
    started,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

NOBODY = 65534


def run(directory: Path, events: Iterable[Event]) -> Journal:
    """A journal that lived through these events."""
    first, *rest = events
    journal = Journal.create(directory, first)
    for event in rest:
        journal.append(event)
    return journal


def nested(depth: int) -> list[Any]:
    """Lists in each other."""
    lists: list[Any] = []
    for _ in range(depth):
        lists = [lists]
    return lists


def put(directory: Path, recorded: tuple[Recorded, ...]) -> Path:
    """A session's file as it stands at rest."""
    path = directory / f"{recorded[0].event.session_id}.json"
    path.write_bytes(readable(document(fold(recorded), recorded)))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for sessions."""
    folder = tmp_path / "nb.sessions"
    folder.mkdir()
    return folder


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def child(work: Callable[[], str]) -> Callable[[], str]:
    """Do `work` in a forked process.

    Returns:
        A function that waits for what it says; empty if it died before it could.
    """
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reader)
        try:
            os.write(writer, work().encode())
        except BaseException as error:  # noqa: BLE001 - the parent's assertion shows it
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(writer)

    def answer() -> str:
        with os.fdopen(reader) as said:
            words = said.read()
        os.waitpid(process, 0)
        return words

    return answer


def in_child(work: Callable[[], str]) -> str:
    """What `work` says in a forked process; empty if it died before it could."""
    return child(work)()


class TestJournal:
    def test_the_file_is_there_and_locked_before_anything_else_happens(self, folder: Path):
        journal = Journal.create(folder / "deep" / "down", started())
        assert journal.held
        assert names(journal.path.parent) == [f".{SESSION_ID}.lock", f"{SESSION_ID}.json"]
        assert load(journal.path).session == journal.session
        journal.close()

    def test_only_the_owner_may_read_what_is_written(self, folder: Path):
        journal = run(folder / "deep" / "down", [started(), Noted(message="x")])
        folder = journal.path.parent
        assert len(names(folder)) == 3
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for path in (folder, folder.parent):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        journal.close()

    def test_a_folder_that_exists_keeps_its_mode(self, folder: Path):
        folder.chmod(0o755)
        run(folder, failed_events())
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755

    def test_a_session_of_the_same_id_is_not_overwritten(self, folder: Path):
        path = run(folder, failed_events()).path
        before = path.read_bytes()
        with pytest.raises(SessionError, match="exists already"):
            Journal.create(folder, started())
        assert path.read_bytes() == before
        assert names(folder) == [path.name]

    def test_a_session_at_rest_leaves_one_file_and_holds_nothing(self, folder: Path):
        journal = run(folder, executed_events())
        assert not journal.held
        assert names(folder) == [f"{SESSION_ID}.json"]

    def test_what_was_recorded_is_what_is_loaded(self, folder: Path):
        journal = run(folder, executed_events())
        loaded = load(journal.path)
        assert loaded.recorded == journal.recorded
        assert loaded.session == journal.session == fold(loaded.recorded)
        assert [entry.event for entry in loaded.recorded] == list(executed_events())
        assert (loaded.notes, loaded.live) == ((), False)

    def test_at_every_moment_the_files_say_what_the_journal_knows(self, folder: Path):
        first, *rest = executed_events()
        journal = Journal.create(folder, first)
        for event in rest:
            journal.append(event)
            assert load(journal.path).recorded == journal.recorded

    def test_an_illegal_event_writes_nothing(self, folder: Path):
        journal = run(folder, [started(), TurnStarted(turn=1, purpose="investigate")])
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        with pytest.raises(IllegalEvent):
            journal.append(ExecutionStarted(digest=proposal_digest()))
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        assert journal.session.count == 2
        journal.close()

    @pytest.mark.parametrize(
        "arguments",
        [
            {"n": 10**5000},
            nested(5_000),
        ],
        ids=["an integer of 5,001 digits", "5,000 lists in each other"],
    )
    def test_what_json_can_not_hold_is_refused_and_the_session_goes_on(
        self, arguments: Any, folder: Path
    ):
        journal = run(folder, [started(), TurnStarted(turn=1, purpose="investigate")])
        call = ToolCalled(turn=1, call_id="c", name="kubectl_get", arguments=arguments)
        with pytest.raises(IllegalEvent, match="tool_called can't be written as JSON"):
            journal.append(call)
        journal.append(TextSaid(turn=1, text="goes on"))
        assert load(journal.path).recorded == journal.recorded
        journal.close()

    def test_after_closing_nothing_is_recorded(self, folder: Path):
        journal = run(folder, [started()])
        journal.close()
        with pytest.raises(SessionLocked, match="does not hold"):
            journal.append(Noted(message="x"))

    def test_going_on_from_rest_takes_the_lock_and_lets_it_go(self, folder: Path):
        journal = run(folder, proposal_events())
        journal.acquire()
        assert journal.held
        journal.append(Approved(approval=approval()))
        assert not journal.held
        assert names(folder) == [journal.path.name]
        journal.append(Refined(text="keep the canary"))
        assert journal.held
        assert load(journal.path).session.status is Status.ANALYZING
        journal.close()

    def test_a_lock_that_was_taken_for_nothing_is_let_go(self, folder: Path):
        journal = run(folder, proposal_events())
        journal.acquire()
        journal.suspend()
        assert not journal.held
        journal.acquire()
        with pytest.raises(IllegalEvent):
            journal.append(ExecutionStarted(digest=proposal_digest()))
        assert not journal.held
        assert names(folder) == [journal.path.name]

    def test_a_running_session_can_not_be_taken_or_suspended(self, folder: Path):
        journal = run(folder, [started()])
        with pytest.raises(SessionLocked, match="is running"):
            journal.acquire()
        with pytest.raises(SessionError, match="not at rest"):
            journal.suspend()
        journal.close()


class TestDurability:
    @pytest.mark.skipif(
        not Path("/proc/self/fd").exists(), reason="needs /proc to tell which file is synced"
    )
    def test_the_disk_is_waited_for_where_it_matters_and_nowhere_else(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ):
        first, *rest = executed_events()
        journal = Journal.create(folder, first)
        synced: list[str] = []
        real = os.fsync

        def fsync(descriptor: int) -> None:
            synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        line, whole = f"{journal.path}l", str(folder / TEMPORARY)
        for event in rest:
            before = journal.session.status
            synced.clear()
            journal.append(event)
            moved = journal.session.status is not before
            kept = moved or event.type in KEPT
            assert (line in synced) is kept, event.type
            assert (whole in synced) is (moved or journal.session.at_rest), event.type
        assert synced[-2:] == [str(folder), str(folder)]


KEPT = {"approved", "step_checked", "step_started", "step_finished"}


class TestSubscribers:
    def test_they_hear_what_is_on_the_disk_until_they_leave(self, folder: Path):
        journal = run(folder, [started()])
        heard: list[Recorded] = []

        def hear(entry: Recorded) -> None:
            assert load(journal.path).recorded[-1] == entry
            heard.append(entry)

        leave = journal.subscribe(hear)
        first = journal.append(TurnStarted(turn=1, purpose="investigate"))
        second = journal.append(TextSaid(turn=1, text="x"))
        leave()
        leave()
        journal.append(TextSaid(turn=1, text="y"))
        assert heard == [first, second]
        journal.close()

    def test_one_that_fails_is_told_in_the_log_and_stops_neither_run_nor_others(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ):
        journal = run(folder, [started()])
        heard: list[Recorded] = []

        def fail(entry: Recorded) -> None:
            raise RuntimeError("the panel is gone")

        journal.subscribe(fail)
        journal.subscribe(heard.append)
        journal.append(Noted(message="1"))
        journal.append(Noted(message="2"))
        assert len(heard) == 2
        [told] = caplog.records
        assert told.getMessage() == f"A subscriber of {SESSION_ID} failed at event 2."
        assert "the panel is gone" in caplog.text
        journal.close()


class TestTampering:
    """An edit by hand is named, whatever was edited."""

    def test_every_changed_byte_is_noticed(self, folder: Path):
        path = put(folder, record([started("🚀"), Noted(message="x")]))
        whole = path.read_bytes()
        for position, byte in enumerate(whole):
            classes = (byte ^ 0x80, ord(" "), ord("\n"), ord("0"), ord('"'))
            for other in {byte ^ 1, classes[position % len(classes)]} - {byte}:
                path.write_bytes(whole[:position] + bytes([other]) + whole[position + 1 :])
                with pytest.raises(SessionCorrupt):
                    load(path)

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_bytes_put_in_or_taken_out_are_noticed(self, data: st.DataObject, folder: Path):
        path = put(folder, clarification_session())
        whole = path.read_bytes()
        begin = data.draw(st.integers(0, len(whole)))
        end = data.draw(st.integers(begin, min(len(whole), begin + 40)))
        piece = data.draw(st.binary(max_size=8))
        changed = whole[:begin] + piece + whole[end:]
        if changed == whole:
            return
        path.write_bytes(changed)
        with pytest.raises(SessionCorrupt):
            load(path)

    def test_every_beginning_of_the_file_is_refused(self, folder: Path):
        path = put(folder, record([started()]))
        whole = path.read_bytes()
        for length in range(len(whole)):
            path.write_bytes(whole[:length])
            with pytest.raises(SessionCorrupt):
                load(path)

    def edited(self, directory: Path, edit: Callable[[dict[str, Any]], object]) -> str:
        path = put(directory, executed_session())
        content = json.loads(path.read_bytes())
        edit(content)
        path.write_bytes(readable(content))
        with pytest.raises(SessionCorrupt) as caught:
            load(path)
        assert path.name in caught.value.message
        return caught.value.message.removeprefix(f"{path.name}: ")

    def test_a_changed_event_is_named(self, folder: Path):
        def edit(content: dict[str, Any]) -> None:
            content["events"][5]["event"]["name"] = "kubectl_delete_dryrun"

        assert self.edited(folder, edit).startswith("event 6 (tool_called) was changed: its hash")

    def test_a_changed_time_is_named(self, folder: Path):
        def edit(content: dict[str, Any]) -> None:
            content["events"][9]["at"] = "2026-01-01T00:00:02Z"

        assert self.edited(folder, edit).startswith("event 10 (tool_finished) was changed")

    def test_a_missing_event_is_named(self, folder: Path):
        said = self.edited(folder, lambda content: content["events"].pop(4))
        assert said == "event 5 is missing; event 6 is in its place."

    def test_a_repeated_event_is_named(self, folder: Path):
        def edit(content: dict[str, Any]) -> None:
            content["events"].insert(4, content["events"][2])

        assert self.edited(folder, edit) == "event 3 stands where event 5 belongs."

    def test_an_unknown_field_is_named(self, folder: Path):
        def edit(content: dict[str, Any]) -> None:
            content["events"][1]["event"]["approved"] = True

        said = self.edited(folder, edit)
        assert said.startswith("event 2 was changed: event.turn_started.approved: Extra inputs")

    def test_a_changed_snapshot_is_named_with_both_values(self, folder: Path):
        def edit(content: dict[str, Any]) -> None:
            content["data"]["status"] = "analysis_complete"

        assert self.edited(folder, edit) == (
            'data.status says "analysis_complete", the events say "executed_successfully".'
        )

    def test_a_removed_end_is_noticed_by_the_snapshot(self, folder: Path):
        said = self.edited(folder, lambda content: content["events"].pop())
        assert said == ('data.status says "executed_successfully", the events say "executing".')

    @pytest.mark.parametrize(
        ("edit", "says"),
        [
            (lambda c: c["data"].pop("risks"), "data.risks is missing."),
            (lambda c: c["data"].update(note=1), "data.note does not belong there."),
            (lambda c: c.update(events=[]), "it has no events."),
            (lambda c: c.update(schemaVersion=2), "its schemaVersion is 2; this version of "),
            (lambda c: c.pop("schemaVersion"), "it has no schemaVersion, so it was not written by"),
        ],
    )
    def test_other_edits_are_named(
        self, edit: Callable[[dict[str, Any]], object], says: str, folder: Path
    ):
        assert self.edited(folder, edit).startswith(says)

    def test_an_end_that_was_forged_with_its_hash_does_not_fit_the_fold(self, folder: Path):
        recorded = executed_session()
        forged = Recorded.after(recorded[-1], Refined(text="again"), recorded[-1].at)

        def edit(content: dict[str, Any]) -> None:
            content["events"].append(forged.line())

        said = self.edited(folder, edit)
        assert said.startswith("event 62 is not possible: ")
        assert "refined can't happen while the session is executed_successfully" in said

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"", "not JSON at line 1"),
            (b"{\n\n,}", "not JSON at line 3"),
            (b"{}\n\xff", "not UTF-8 at line 2"),
            (b"[]", "not a JSON object"),
            (b'{"n": NaN}', "NaN is not a JSON number"),
            (b'{"n": ' + b"9" * 5000 + b"}", "not JSON that can be read"),
            (b"[" * 100_000, "not JSON that can be read"),
            (b'{"sessionId": "opr-1", "data": {}}', "no schemaVersion"),
        ],
        ids=lambda value: repr(value[:20]),
    )
    def test_a_file_that_is_no_session_is_told_so(self, content: bytes, says: str, folder: Path):
        path = folder / "opr-1-00000000.json"
        path.write_bytes(content)
        with pytest.raises(SessionCorrupt, match=says):
            load(path)

    def test_another_layout_of_the_same_values_is_named_by_its_line(self, folder: Path):
        path = put(folder, executed_session())
        lines = path.read_bytes().split(b"\n")
        lines[4] += b" "
        path.write_bytes(b"\n".join(lines))
        with pytest.raises(SessionCorrupt, match="line 5 is not written the way"):
            load(path)

    def test_no_file_is_told_with_its_path(self, folder: Path):
        with pytest.raises(SessionNotFound, match=str(folder / "none.json")):
            load(folder / "none.json")


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


TEMPORARY = f".{SESSION_ID}.json.tmp"


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


class TestRaces:
    def test_of_a_hundred_processes_one_starts_the_execution(self, folder: Path):
        path = run(folder, [*proposal_events(), Approved(approval=approval())]).path
        recorded = load(path).recorded
        gate, opener = os.pipe()
        answers, answer = os.pipe()
        children = []
        for _ in range(100):
            child = os.fork()
            if child == 0:
                os.close(opener)
                os.read(gate, 1)
                os.write(answer, _try_to_execute(path, recorded))
                os._exit(0)
            children.append(child)
        os.close(opener)
        os.close(answer)
        with os.fdopen(answers, "rb") as said:
            outcome = said.read()
        for child in children:
            os.waitpid(child, 0)
        os.close(gate)
        assert len(outcome) == 100
        assert outcome.count(b"1") == 1
        assert set(outcome) <= set(b"1LN")
        kinds = [entry.event.type for entry in load(path).recorded]
        assert kinds.count("execution_started") == 1

    def test_of_a_hundred_threads_one_starts_the_execution(self, folder: Path):
        journal = run(folder, [*proposal_events(), Approved(approval=approval())])
        gate = threading.Barrier(100)

        def attempt(_: int) -> bool:
            gate.wait()
            try:
                journal.append(ExecutionStarted(digest=proposal_digest()))
            except IllegalEvent:
                return False
            return True

        with ThreadPoolExecutor(100) as pool:
            assert sum(pool.map(attempt, range(100))) == 1
        kinds = [entry.event.type for entry in load(journal.path).recorded]
        assert kinds.count("execution_started") == 1
        journal.close()

    def test_who_comes_second_learns_that_the_session_went_on(self, folder: Path):
        first = run(folder, [*proposal_events(), Approved(approval=approval())])
        second = Journal(first.path, first.recorded)
        first.append(Refined(text="keep the canary"))
        with pytest.raises(SessionLocked, match="running in another process or kernel"):
            second.acquire()
        first.append(list(proposal_events())[-1])
        with pytest.raises(NotExecutable, match=r"went on elsewhere: its file is at event 43"):
            second.append(ExecutionStarted(digest=proposal_digest()))
        assert not second.held
        assert load(first.path).recorded == first.recorded

    def test_an_edit_between_review_and_execution_is_named(self, folder: Path):
        journal = run(folder, [*proposal_events(), Approved(approval=approval())])
        journal.path.write_bytes(journal.path.read_bytes().replace(b"nginx:1.20", b"nginx:6.66"))
        with pytest.raises(SessionCorrupt, match="event 1 "):
            journal.append(ExecutionStarted(digest=proposal_digest()))
        assert journal.session.status is Status.ANALYSIS_COMPLETE

    def test_a_file_that_was_removed_is_missed(self, folder: Path):
        journal = run(folder, [*proposal_events(), Approved(approval=approval())])
        journal.path.unlink()
        with pytest.raises(SessionNotFound):
            journal.append(ExecutionStarted(digest=proposal_digest()))

    def test_a_forked_child_does_not_write_into_its_parents_session(self, folder: Path):
        journal = run(folder, [started()])
        said = in_child(lambda: str(journal.append(Noted(message="from the child"))))
        assert said.startswith("SessionLocked: ")
        journal.append(Noted(message="from the parent"))
        assert load(journal.path).session.notes == ("from the parent",)
        journal.close()

    def test_readers_beside_a_writer_always_see_a_moment_of_it(self, folder: Path):
        first, *rest = executed_events()
        journal = Journal.create(folder, first)

        def watch() -> str:
            moments = [load(journal.path).recorded]
            while moments[-1][-1].event.type != "verdict_reached":
                moments.append(load(journal.path).recorded)
            assert all(seen == moments[-1][: len(seen)] for seen in moments)
            assert [len(seen) for seen in moments] == sorted(map(len, moments))
            return f"{len(moments[-1])} events"

        watchers = [child(watch), child(watch)]
        for event in rest:
            journal.append(event)
            [summary] = sessions(folder)
            assert (summary.status, summary.live) == (journal.session.status, journal.held)
        assert [answer() for answer in watchers] == ["61 events", "61 events"]

    def test_a_writer_that_moves_on_between_two_reads_is_no_corruption(self, folder: Path):
        def work() -> str:
            *before, conclusion = proposal_events()
            journal = run(folder, before)
            opened: list[str] = []

            def move_on(event: str, arguments: tuple[Any, ...]) -> None:
                if event == "open" and str(arguments[0]).startswith(str(folder)) and not moved:
                    opened.append(str(arguments[0]))
                    if len(opened) == 2:
                        moved.append(True)
                        journal.append(conclusion)
                        journal.append(Refined(text="again"))
                        journal.append(Noted(message="x"))

            moved: list[bool] = []
            sys.addaudithook(move_on)
            loaded = load(journal.path)
            assert moved
            return f"{loaded.session.status} {len(journal.recorded) - len(loaded.recorded)}"

        assert in_child(work) == "analyzing 1"

    def test_two_who_open_a_crashed_session_tell_one_interruption(self, folder: Path):
        run(folder, list(failed_events())[:8]).close()
        path = folder / f"{SESSION_ID}.json"
        with ThreadPoolExecutor(8) as pool:
            opened = list(pool.map(open_at_rest, [path] * 8))
        kinds = [entry.event.type for entry in load(path).recorded]
        assert kinds.count("interrupted") == 1
        assert all(one.session.at_rest or one.live for one in opened)
        heads = {one.session.head for one in opened if one.session.at_rest}
        assert heads == {load(path).session.head}


def _try_to_execute(path: Path, recorded: tuple[Recorded, ...]) -> bytes:
    try:
        Journal(path, recorded).append(ExecutionStarted(digest=proposal_digest()))
    except SessionLocked:
        return b"L"
    except NotExecutable:
        return b"N"
    return b"1"


class TestListing:
    def test_the_newest_comes_first_and_nothing_is_dropped(self, folder: Path):
        for moment in (100, 99, 2000):
            session_id = f"opr-{moment}-0a1b2c3d"
            put(folder, record([started(session_id=session_id), *list(failed_events())[1:]]))
        (folder / "opr-500-ffffffff.json").write_text("{}")
        (folder / "opr-600-ffffffff.jsonl").write_text("x\n")
        listed = sessions(folder)
        assert [summary.id for summary in listed] == [
            "opr-2000-0a1b2c3d",
            "opr-600-ffffffff",
            "opr-500-ffffffff",
            "opr-100-0a1b2c3d",
            "opr-99-0a1b2c3d",
        ]
        newest, torn, foreign, *_ = listed
        assert (newest.status, newest.outcome) == (Status.FAILED, Outcome.FAILED)
        assert (newest.intent, newest.error, newest.live) == (started().intent, "", False)
        assert "line 1 of its journal was changed" in torn.error
        assert "no schemaVersion" in foreign.error
        assert foreign.status is None

    def test_a_session_that_nobody_runs_is_listed_as_failed_and_not_touched(self, folder: Path):
        run(folder, list(failed_events())[:8]).close()
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        [summary] = sessions(folder)
        assert (summary.status, summary.live) == (Status.FAILED, False)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    def test_a_running_session_is_listed_as_running(self, folder: Path):
        journal = run(folder, list(failed_events())[:8])
        [summary] = sessions(folder)
        assert (summary.status, summary.live) == (Status.ANALYZING, True)
        journal.close()

    def test_a_folder_that_does_not_exist_has_none(self, folder: Path):
        assert sessions(folder / "none") == ()


texts = st.text(st.characters(), max_size=60)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    intent=st.text(min_size=1, max_size=60),
    said=st.lists(texts, max_size=4),
    number=st.integers(min_value=-(10**4000), max_value=10**4000),
)
def test_any_words_and_any_integer_come_back_to_the_letter(
    intent: str, said: list[str], number: int, folder: Path
):
    folder = Path(tempfile.mkdtemp(dir=folder))
    events = [
        started(intent),
        TurnStarted(turn=1, purpose="investigate"),
        *(TextSaid(turn=1, text=text) for text in said),
        ToolCalled(turn=1, call_id="c", name="kubectl_get", arguments={"n": number, "é🚀": said}),
    ]
    journal = run(folder, events)
    journal.close()
    loaded = load(journal.path)
    assert [entry.event for entry in loaded.recorded] == events
    opened = open_at_rest(journal.path)
    assert journal.path.read_bytes() == readable(document(opened.session, opened.recorded))

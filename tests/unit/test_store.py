"""A session's files while all goes well: what is written, when, and how it reads back."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dotai_nb.errors import (
    IllegalEvent,
    SessionError,
    SessionLocked,
)
from dotai_nb.session.canonical import readable
from dotai_nb.session.events import (
    Approved,
    ExecutionStarted,
    Noted,
    Recorded,
    Refined,
    TextSaid,
    ToolCalled,
    TurnStarted,
)
from dotai_nb.session.fold import fold
from dotai_nb.session.snapshot import document
from dotai_nb.session.store import Journal, load, open_at_rest, sessions
from dotai_nb.session.values import Outcome, Status
from tests.unit.sessions import (
    SESSION_ID,
    approval,
    executed_events,
    failed_events,
    proposal_digest,
    proposal_events,
    record,
    started,
)
from tests.unit.storing import TEMPORARY, names, put, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for sessions."""
    folder = tmp_path / "nb.sessions"
    folder.mkdir()
    return folder


def nested(depth: int) -> list[Any]:
    """Lists in each other."""
    lists: list[Any] = []
    for _ in range(depth):
        lists = [lists]
    return lists


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

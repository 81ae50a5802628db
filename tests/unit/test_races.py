"""Many at once: one runs, the others learn why they don't."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from dotai_nb.errors import (
    IllegalEvent,
    NotExecutable,
    SessionCorrupt,
    SessionLocked,
    SessionNotFound,
)
from dotai_nb.session.events import (
    Approved,
    ExecutionStarted,
    Noted,
    Recorded,
    Refined,
)
from dotai_nb.session.store import Journal, load, open_at_rest, sessions
from dotai_nb.session.values import Status
from tests.unit.sessions import (
    SESSION_ID,
    approval,
    executed_events,
    failed_events,
    proposal_digest,
    proposal_events,
    started,
)
from tests.unit.storing import child, in_child, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for sessions."""
    folder = tmp_path / "nb.sessions"
    folder.mkdir()
    return folder


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

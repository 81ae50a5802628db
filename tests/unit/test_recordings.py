from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dotai_nb.errors import RecordingNotFound, SessionCorrupt
from dotai_nb.session.canonical import readable
from dotai_nb.session.fold import fold
from dotai_nb.session.recordings import find, names
from dotai_nb.session.snapshot import document
from tests.unit.sessions import (
    INTENT,
    clarification_session,
    executed_events,
    executed_session,
    failed_session,
    record,
    started,
)

if TYPE_CHECKING:
    from pathlib import Path

    from dotai_nb.session.events import Recorded


def put(directory: Path, name: str, recorded: tuple[Recorded, ...]) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}.json"
    path.write_bytes(readable(document(fold(recorded), recorded)))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "nb.recordings"
    put(folder, "update", executed_session())
    put(folder, "faster", clarification_session())
    return folder


def test_a_recording_is_found_by_its_name(folder: Path):
    found = find([folder], name="update")
    assert (found.name, found.path, found.intent) == ("update", folder / "update.json", INTENT)
    assert found.loaded.recorded == executed_session()
    assert not found.scripted


def test_a_recording_is_found_by_its_exact_intent(folder: Path):
    assert find([folder], intent="  Make it faster\n").name == "faster"


@pytest.mark.parametrize("intent", ["make it faster", "Make it  faster", "Make it", ""])
def test_another_intent_finds_none_and_is_told_which_there_are(folder: Path, intent: str):
    with pytest.raises(RecordingNotFound) as caught:
        find([folder], intent=intent)
    assert f"There are: faster ('Make it faster'); update ({INTENT!r})." in str(caught.value)


def test_a_name_wins_over_an_intent(folder: Path):
    assert find([folder], name="faster", intent=INTENT).name == "faster"


def test_an_unknown_name_is_told_which_there_are(folder: Path):
    with pytest.raises(RecordingNotFound, match=r"named 'updat'.*faster .*; update "):
        find([folder], name="updat")


@pytest.mark.parametrize("name", ["../update", "update.json", "*", "UPDATE"])
def test_a_name_is_a_name_and_no_path(folder: Path, name: str):
    (folder / "inner").mkdir()
    with pytest.raises(RecordingNotFound):
        find([folder / "inner", folder], name=name)


def test_folders_are_searched_in_their_order_and_may_be_missing(folder: Path, tmp_path: Path):
    mine = tmp_path / "mine.recordings"
    put(mine, "update", failed_session()[:1])
    put(mine, "again", executed_session())
    assert names([tmp_path / "none", mine, folder]) == ("again", "update", "faster")
    assert find([tmp_path / "none", mine, folder], intent=INTENT).path == mine / "again.json"


def test_without_any_folder_the_message_says_where_it_looked(tmp_path: Path):
    with pytest.raises(RecordingNotFound, match=f"no recordings in {tmp_path / 'none'}"):
        find([tmp_path / "none"], intent=INTENT)
    with pytest.raises(RecordingNotFound, match=r"no recordings in any \*\.recordings folder"):
        find([], name="update")


def test_turns_that_no_model_made_are_marked(tmp_path: Path):
    events = list(executed_events())
    put(tmp_path, "made-up", record([started(scripted=True), *events[1:]]))
    assert find([tmp_path], name="made-up").scripted


def test_an_edited_recording_is_refused_by_name_and_named_when_searched(folder: Path):
    path = folder / "update.json"
    path.write_bytes(path.read_bytes().replace(b"nginx:1.20", b"nginx:6.66"))
    with pytest.raises(SessionCorrupt, match=r"event 1 \(session_started\) was changed"):
        find([folder], name="update")
    with pytest.raises(RecordingNotFound, match=r"update \(can't be read: .*event 1"):
        find([folder], intent=INTENT)
    assert find([folder], intent="Make it faster").name == "faster"


def test_a_turn_that_is_not_whole_is_no_recording(tmp_path: Path):
    put(tmp_path, "cut", failed_session())
    with pytest.raises(SessionCorrupt, match="turn 2 is not whole"):
        find([tmp_path], name="cut")


def test_a_session_that_did_not_come_to_rest_is_no_recording(tmp_path: Path):
    put(tmp_path, "running", executed_session()[:1])
    with pytest.raises(SessionCorrupt, match="it is still analyzing"):
        find([tmp_path], name="running")

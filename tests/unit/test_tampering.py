"""An edit by hand is named, whatever was edited."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dotai_nb.errors import (
    SessionCorrupt,
    SessionNotFound,
)
from dotai_nb.session.canonical import readable
from dotai_nb.session.events import (
    Noted,
    Recorded,
    Refined,
)
from dotai_nb.session.store import load
from tests.unit.sessions import (
    clarification_session,
    executed_session,
    record,
    started,
)
from tests.unit.storing import put

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for sessions."""
    folder = tmp_path / "nb.sessions"
    folder.mkdir()
    return folder


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

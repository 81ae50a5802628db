"""The DataFrames: the same columns and dtypes for every session, and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from dotai_nb.session.events import ToolCalled, ToolStarted, TurnStarted
from dotai_nb.session.fold import fold
from dotai_nb.views import preview, tables
from tests.unit.hostile import HIDDEN, Elements, hostile_failure, hostile_session
from tests.unit.sessions import (
    clarification_session,
    executed_session,
    failed_session,
    proposal_session,
    record,
    started,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from dotai_nb.session.session import Session

    Table = Callable[[Session], pd.DataFrame]

ALL: dict[str, tuple[Table, dict[str, str]]] = {
    "tools": (tables.tools, tables.TOOLS),
    "steps": (tables.steps, tables.STEPS),
    "diffs": (tables.diffs, tables.DIFFS),
    "results": (tables.results, tables.RESULTS),
    "changes": (tables.changes, tables.CHANGES),
    "current_state": (tables.current_state, tables.CURRENT_STATE),
    "observations": (tables.observations, tables.OBSERVATIONS),
}
SESSIONS = {
    "just started": fold(record([started()])),
    "proposal": fold(proposal_session()),
    "executed": fold(executed_session()),
    "clarification": fold(clarification_session()),
    "failed": fold(failed_session()),
    "hostile": fold(hostile_session()),
    "hostile failure": fold(hostile_failure()),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("state", SESSIONS)
def test_columns_and_dtypes_are_the_same_for_every_session(name: str, state: str) -> None:
    table, columns = ALL[name]
    found = table(SESSIONS[state]).dtypes.astype(str).to_dict()
    assert found == columns


@pytest.mark.parametrize("name", ALL)
def test_the_documentation_of_a_table_names_each_of_its_columns(name: str) -> None:
    table, columns = ALL[name]
    assert [column for column in columns if column not in (table.__doc__ or "")] == []


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("state", ["hostile", "hostile failure"])
def test_a_table_shows_what_would_be_invisible(name: str, state: str) -> None:
    frame = ALL[name][0](SESSIONS[state])
    cells = [str(cell) for column in frame.columns for cell in frame[column].dropna()]
    assert [cell for cell in cells if HIDDEN.search(cell.replace("\n", ""))] == []


def test_steps_are_those_of_the_proposal_in_its_order() -> None:
    frame = tables.steps(SESSIONS["proposal"])
    assert frame["step"].tolist() == [2, 3, 4]
    assert frame["action"].tolist() == ["update", "create", "delete"]
    assert frame["evidence"].tolist() == ["accepted", "accepted", "accepted"]


def test_without_a_proposal_steps_are_all_dry_runs_with_the_servers_words() -> None:
    entries = [e for e in proposal_session() if e.event.type != "analysis_finished"]
    frame = tables.steps(fold(entries))
    assert frame["step"].tolist() == [1, 2, 3, 4]
    assert "unknown field" in frame["message"][0]


def test_a_diff_is_a_row_an_operation_with_json_before_and_after() -> None:
    frame = tables.diffs(SESSIONS["proposal"])
    image = frame[frame["path"].str.endswith("/image")].iloc[0]
    assert (image["before"], image["after"]) == ('"nginx:1.19"', '"nginx:1.20"')
    created = frame[frame["step"] == 3].iloc[0]
    assert created["before"] is pd.NA
    assert created["path"] == ""
    deleted = frame[frame["step"] == 4].iloc[0]
    assert deleted["after"] is pd.NA


def test_results_join_each_step_with_its_answer() -> None:
    frame = tables.results(SESSIONS["executed"])
    assert frame["step"].tolist() == [2, 3, 4]
    assert set(frame["result"]) == {"succeeded"}
    assert frame["audit_id"].tolist() == ["audit-step-2", "audit-step-3", "audit-step-4"]
    assert frame["duration_ms"].tolist() == [18, 18, 18]


def test_current_state_tells_what_exists_and_what_hangs_on_it() -> None:
    frame = tables.current_state(SESSIONS["proposal"])
    assert frame["kind"].tolist() == [
        "Deployment",
        "PodDisruptionBudget",
        "Deployment",
        "ReplicaSet",
    ]
    assert frame["exists"].tolist() == [True, False, True, True]
    assert frame["images"][0] == "nginx:1.19"
    assert frame["replicas"][1] is pd.NA


def test_a_running_tool_call_has_no_duration_and_no_output() -> None:
    called = ToolCalled(turn=1, call_id="c", name="kubectl_get", arguments={})
    events = [started(), TurnStarted(turn=1, purpose="investigate"), called]
    row = tables.tools(fold(record([*events, ToolStarted(call_id="c")]))).iloc[0]
    assert row["state"] == "running"
    assert row["duration_ms"] is pd.NA
    assert row["output"] is pd.NA


@pytest.mark.parametrize("name", ALL)
def test_a_preview_holds_all_rows_and_nothing_from_elsewhere(name: str) -> None:
    frame = pd.concat([ALL[name][0](SESSIONS["hostile"])] * 30)
    page = Elements(preview.table(frame))
    assert page.tags.count("tr") == len(frame) + 1
    assert set(page.tags) <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert {key for key, _ in page.attributes} == {"style"}


def test_a_preview_leaves_out_what_is_not_known() -> None:
    page = Elements(preview.table(tables.current_state(SESSIONS["proposal"])))
    assert "NA" not in page.text
    assert "yes" in page.text

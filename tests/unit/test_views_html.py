"""The HTML of panel and notebook: escaped, complete, and stable piece by piece."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dotai_nb.session.events import (
    AnalysisFinished,
    ExecutionStarted,
    ModelRetried,
    StepStarted,
    TextSaid,
    ToolCalled,
    ToolStarted,
    TurnStarted,
)
from dotai_nb.session.fold import fold
from dotai_nb.views import activity, execution, html, proposal
from tests.unit.hostile import HIDDEN, Elements, hostile_failure, hostile_session
from tests.unit.sessions import (
    SESSION_ID,
    clarification_session,
    executed_session,
    failed_session,
    proposal_session,
    record,
    started,
)

if TYPE_CHECKING:
    from dotai_nb.session.session import Session

OURS = {
    "style", "div", "span", "p", "b", "br", "code", "pre", "ul", "li", "a", "details", "summary",
    "table", "thead", "tbody", "tr", "th", "td", "progress", "dl", "dt", "dd",
}  # fmt: skip
ATTRIBUTES = {
    "class", "title", "id", "href", "role", "aria-level", "open", "tabindex", "style", "value",
    "max", "data-lm-suppress-shortcuts", "hidden",
}  # fmt: skip


def _analysing(*events: object) -> Session:
    return fold(record([started(), TurnStarted(turn=1, purpose="investigate"), *events]))  # type: ignore[list-item]


@pytest.mark.parametrize("entries", [hostile_session(), hostile_failure()])
@pytest.mark.parametrize("view", [html.static_bundle, html.record])
def test_hostile_words_make_no_element_link_or_handler(entries: object, view: object) -> None:
    assert callable(view)
    bundle = view(fold(entries))  # type: ignore[arg-type]
    page = Elements(bundle["text/html"])
    assert set(page.tags) <= OURS
    assert {key for key, _ in page.attributes} <= ATTRIBUTES
    links = [value for key, value in page.attributes if key == "href"]
    assert [link for link in links if not (link or "").startswith(f"#{SESSION_ID}-call-")] == []
    assert not HIDDEN.search(bundle["text/html"].replace("\n", ""))
    assert "<U+202E>" in page.text


def test_the_static_bundle_needs_no_script_and_no_network() -> None:
    bundle = html.static_bundle(fold(executed_session()))
    assert list(bundle) == ["text/html", "text/markdown", "text/plain"]
    assert "<script" not in bundle["text/html"]
    assert "onclick" not in bundle["text/html"]
    assert "src=" not in bundle["text/html"]
    assert "@import" not in bundle["text/html"]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (executed_session(), ["Executed successfully", "passed", "2 of 2 ready", "high risk"]),
        (proposal_session(), ["Proposal ready for review", "image: nginx:1.20", "15,480"[:0]]),
        (clarification_session(), ["Needs clarification", "Which of the four Deployments"]),
        (failed_session(), ["Analysis failed", "Wait a minute and start again."]),
    ],
)
def test_the_page_says_how_it_ended(entries: object, expected: list[str]) -> None:
    page = Elements(html.static_bundle(fold(entries))["text/html"])  # type: ignore[arg-type]
    assert [words for words in expected if words not in page.text] == []


def test_every_observation_links_to_the_row_of_its_tool_call() -> None:
    page = Elements(html.page(fold(proposal_session())))
    targets = {value for key, value in page.attributes if key == "id"}
    links = {(value or "")[1:] for key, value in page.attributes if key == "href"}
    assert links
    assert links <= targets


def test_a_difference_is_added_and_removed_lines_with_their_signs() -> None:
    fragments = dict(proposal.differences(fold(proposal_session())))
    assert '<span class="dn-removed">-        image: nginx:1.19</span>' in fragments["diff-1"]
    assert '<span class="dn-added">+        image: nginx:1.20</span>' in fragments["diff-1"]


def test_words_that_still_stream_take_the_place_their_block_will_have() -> None:
    said = _analysing(TextSaid(turn=1, text="whole"))
    streaming = list(activity.log(_analysing(), "investigate", "who"))
    assert [piece.key for piece in streaming] == [p.key for p in activity.log(said, "investigate")]


def test_a_tool_call_keeps_its_piece_from_waiting_to_answered() -> None:
    called = ToolCalled(turn=1, call_id="c", name="kubectl_get", arguments={"resource": "pods"})
    waiting = list(activity.log(_analysing(called), "investigate"))
    running = list(activity.log(_analysing(called, ToolStarted(call_id="c")), "investigate"))
    assert [piece.key for piece in waiting] == [piece.key for piece in running]
    assert "waiting" in waiting[0].html
    assert "running" in running[0].html


def test_pieces_of_what_is_done_never_change_again() -> None:
    entries = proposal_session()
    before = dict(activity.log(fold(entries[:-1]), "investigate"))
    after = dict(activity.log(fold(entries), "investigate"))
    assert before == after


def test_keys_are_unique() -> None:
    session = fold(executed_session())
    pieces = [
        *activity.log(session, "investigate"),
        *proposal.conclusion(session),
        *proposal.overview(session),
        *proposal.differences(session),
        *proposal.consequences(session, copy_button=True),
    ]
    keys = [piece.key for piece in pieces]
    assert len(keys) == len(set(keys))


def test_a_running_step_and_those_that_wait_are_told_apart() -> None:
    entries = [e for e in executed_session() if e.seq <= _first(ExecutionStarted)]
    session = fold(record([*(e.event for e in entries), StepStarted(step=2, audit_id="a")]))
    rows = dict(execution.results(session))
    assert "waiting for the answer" in rows["result-2"]
    assert ">waiting<" in rows["result-3"]


def _first(kind: type) -> int:
    return next(e.seq for e in executed_session() if isinstance(e.event, kind))


def test_a_retry_is_told_until_the_model_speaks_again() -> None:
    retried = ModelRetried(turn=1, attempt=2, wait=4, error="529 overloaded")
    assert "retry 2 in 4 s: 529 overloaded" in activity.status_line(_analysing(retried))
    spoken = _analysing(retried, TextSaid(turn=1, text="Now."))
    assert "retry" not in activity.status_line(spoken)


def test_the_copy_button_copies_what_stands_there_and_holds_no_text_of_its_own() -> None:
    session = fold(hostile_session())
    commands = dict(proposal.consequences(session, copy_button=True))["commands"]
    handlers = [v for k, v in Elements(commands).attributes if k == "onclick"]
    assert handlers == [proposal._COPY]


def test_commands_are_offered_as_one_block() -> None:
    commands = dict(proposal.consequences(fold(proposal_session()), copy_button=False))["commands"]
    text = Elements(commands[commands.index("<pre") :]).text
    assert text.startswith("kubectl patch deployment my-api")
    assert text.endswith("kubectl delete deployment my-api-canary -n shop")


def test_a_replay_is_marked_on_the_page() -> None:
    session = fold(proposal_session())
    assert "Nothing is sent anywhere" in html.page(session, replayed=True)
    assert "Nothing is sent anywhere" not in html.page(session)


def test_a_session_without_a_proposal_has_no_empty_sections() -> None:
    entries = list(clarification_session())
    assert isinstance(entries[-1].event, AnalysisFinished)
    text = Elements(html.page(fold(entries))).text
    assert "Differences" not in text
    assert "Execution" not in text


def test_read_only_access_is_told() -> None:
    session = fold(proposal_session())
    read = replace(session, started=session.started.model_copy(update={"access": "read"}))
    assert "read only" in html.facts(read)


def test_the_execution_alone_leaves_the_analysis_to_the_cell_before() -> None:
    shown = html.execution_bundle(fold(executed_session()))["text/html"]
    assert "passed" in shown
    assert "What hangs on it" not in shown
    assert "Observations" not in shown
    assert "REPLAY" in html.execution_bundle(fold(executed_session()), replayed=True)["text/html"]

"""The operate notebook in JupyterLab, by hand: type the intent, press buttons, read the page."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from dotai_nb.session.loading import load
from dotai_nb.session.values import Outcome, Status
from tests.cluster.record import SCRIPTS, Script
from tests.wire.aimock import fixtures_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from dotai_nb.session.session import Session
    from tests.browser.conftest import OpenNotebook
    from tests.browser.page import Notebook
    from tests.cluster.controlplane.audit import AuditRecord
    from tests.cluster.fixtures import Agent
    from tests.wire.aimock import Server
    from tests.wire.fixtures import Aimock

SCRIPT = Script.load(SCRIPTS / "zero-downtime.yaml")
REPLAY = "REPLAY: everything here comes from a file. Nothing is sent anywhere."
SCRIPTED = re.compile(r"no model made (these turns|them)\.")
READABLE = 4.5
"""The contrast that WCAG 2.2 asks of text, level AA."""
PANEL = "dotai_nb.panel("


def test_recorded_turns_change_the_practice_cluster_once_a_person_has_approved(
    notebook: OpenNotebook,
    agent: Agent,
    image: Callable[[], str],
    audit: Callable[[], list[AuditRecord]],
) -> None:
    book = notebook({"KUBECONFIG": str(agent.kubeconfig)})
    _from_intent_to_verdict(book, agent, image, audit, "practice")

    expect(book.panel.get_by_text(SCRIPTED)).to_be_visible()
    expect(book.panel.get_by_text(REPLAY)).to_have_count(0)
    session = _only_session(book)
    assert session.started.scripted
    assert session.started.recording == "zero-downtime"


def test_a_model_over_http_changes_the_cluster_once_a_person_has_approved(
    notebook: OpenNotebook,
    agent: Agent,
    aimock: Aimock,
    image: Callable[[], str],
    audit: Callable[[], list[AuditRecord]],
) -> None:
    server = aimock(fixtures_for(SCRIPT.answers))
    book = notebook({"KUBECONFIG": str(agent.kubeconfig), **_model(server)})
    _from_intent_to_verdict(book, agent, image, audit, "model")

    expect(book.panel.get_by_text(SCRIPTED)).to_have_count(0)
    expect(book.panel.get_by_text(REPLAY)).to_have_count(0)
    session = _only_session(book)
    assert session.started.endpoint == server.url
    assert len(server.journal()) == len(SCRIPT.answers) == len(session.turns)


def test_a_recording_is_replayed_without_a_cluster_and_stays_readable_without_a_kernel(
    notebook: OpenNotebook,
) -> None:
    book = notebook()
    book.run(PANEL)
    book.ask(SCRIPT.intent)
    expect(book.panel.get_by_text(REPLAY)).to_be_visible()
    expect(book.panel.get_by_text(SCRIPTED)).to_be_visible()
    _expect_analysis(book)
    book.press("Approve")
    book.press("Execute")
    _expect_passed(book)
    book.screenshot("replay", book.panel)
    _expect_readable(book)
    assert book.sessions == []

    book.save()
    book.lab.end_kernels()
    book.lab.remove_kernel(book.kernel)
    book.load()
    book.without_kernel()
    kept = book.cell(PANEL).locator(".dn-record")
    expect(kept.get_by_text(REPLAY)).to_be_visible()
    expect(kept.get_by_text("image: nginx:1.20").first).to_be_visible()
    expect(kept.get_by_text("All 3 checks hold.")).to_be_visible()
    _expect_drawn(book.cell(PANEL))
    book.screenshot("reopened-without-kernel", book.cell(PANEL))


def test_cancel_and_running_the_cell_again_end_an_analysis_that_streams(
    notebook: OpenNotebook, agent: Agent, aimock: Aimock
) -> None:
    server = aimock(_slow())
    book = notebook({"KUBECONFIG": str(agent.kubeconfig), **_model(server)})
    book.run(PANEL)
    book.ask(SCRIPT.intent)
    _expect_streaming(book)
    book.press("Cancel")
    expect(book.button("Start")).to_be_enabled()
    expect(book.button("Cancel")).to_be_disabled()
    book.screenshot("cancelled", book.panel)
    _expect_nothing_live(book, server, sessions=1)

    book.ask(SCRIPT.intent)
    expect(book.button("Cancel")).to_be_enabled()
    expect(book.panel.get_by_text("Analyzing")).to_be_visible()
    book.run(PANEL)
    expect(book.page.locator(".dotai-panel")).to_have_count(1)
    expect(book.button("Start")).to_be_enabled()
    _expect_nothing_live(book, server, sessions=2)


def test_the_panel_can_be_read_on_a_dark_theme(notebook: OpenNotebook) -> None:
    book = notebook(theme="Dark")
    book.run(PANEL)
    book.ask("make it faster")
    expect(book.panel.get_by_text("Question. Which of the two is meant")).to_be_visible()
    expect(book.button("Approve")).to_be_hidden()
    book.screenshot("question-dark", book.panel)

    book.ask(SCRIPT.intent)
    _expect_analysis(book)
    book.screenshot("analysis-dark", book.panel)
    _expect_readable(book)


def test_every_code_cell_runs_in_its_order(notebook: OpenNotebook) -> None:
    book = notebook()
    cells = json.loads(book.path.read_text())["cells"]
    # JupyterLab draws a notebook bit by bit.
    expect(book.code).to_have_count(sum(cell["cell_type"] == "code" for cell in cells))
    for number, cell in enumerate(book.code.all(), start=1):
        book.run_cell(cell)
        expect(cell.locator(".jp-RenderedText[data-mime-type*=stderr]")).to_have_count(0)
        book.screenshot(f"code-{number:02}", cell)
    for source in ("await dotai_nb.operate(", "await op.execute()", "%%operate"):
        expect(book.cell(source).get_by_text(REPLAY)).to_have_count(1)


def _from_intent_to_verdict(
    book: Notebook,
    agent: Agent,
    image: Callable[[], str],
    audit: Callable[[], list[AuditRecord]],
    name: str,
) -> None:
    """The whole way, as a person goes it; the cluster's own log says what was really sent."""

    def writes() -> list[AuditRecord]:
        return [r for r in audit() if r.user == agent.username and r.is_write]

    book.run(PANEL)
    book.ask(SCRIPT.intent)
    _expect_analysis(book)
    book.screenshot(f"{name}-1-analysis", book.panel)
    assert image() == "nginx:1.19"
    assert writes()
    assert all(record.dry_run for record in writes())

    expect(book.button("Execute")).to_be_disabled()
    book.press("Approve")
    expect(book.panel.get_by_text("approved by")).to_be_visible()
    assert all(record.dry_run for record in writes())
    book.press("Execute")
    expect(book.panel.get_by_text("2 of 2 ready")).to_be_visible()
    _expect_passed(book)
    book.screenshot(f"{name}-2-verdict", book.panel)

    assert image() == "nginx:1.20"
    session = _only_session(book)
    assert session.status is Status.EXECUTED_SUCCESSFULLY
    sent = [record.audit_id for record in writes() if not record.dry_run]
    assert sent == [result.audit_id for result in session.results]
    assert len(sent) == len(session.planned) == 1


def _expect_analysis(book: Notebook) -> None:
    """Every tool call as a row, the server's diff, the drawn diagram, the kubectl command."""
    panel = book.panel
    rows = panel.locator(".dn-call")
    expect(rows).to_have_count(8)
    expect(rows.nth(1)).to_contain_text("kubectl_describe")
    expect(panel.get_by_text("image: nginx:1.20").first).to_be_visible()
    command = re.compile(r"^kubectl patch deployments\.apps/my-api .*nginx:1\.20")
    expect(panel.locator("pre", has_text=command)).to_be_visible()
    _expect_drawn(panel)


def _expect_drawn(where: Locator) -> None:
    """Mermaid's diagram is a picture that has a size."""
    picture = where.locator(".jp-RenderedMermaid img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 100


def _expect_passed(book: Notebook) -> None:
    expect(book.panel.locator(".dn-banner", has_text="passed.")).to_be_visible()


def _expect_streaming(book: Notebook) -> None:
    """The model's words are on the page before it has said them all."""
    whole = SCRIPT.answers[0].text
    said = book.panel.locator(".dn-said").first
    expect(said).to_contain_text(whole[:4])
    so_far = said.inner_text()
    assert whole.startswith(so_far)
    assert so_far != whole


def _expect_readable(book: Notebook) -> None:
    ratio, text = book.lowest_contrast()
    assert ratio >= READABLE, text


def _expect_nothing_live(book: Notebook, server: Server, *, sessions: int) -> None:
    """Every session's file says that it was cancelled, and the model is asked nothing more."""
    asked = len(server.journal())
    found = [load(path).session for path in book.sessions]
    assert [(s.status, s.outcome) for s in found] == [(Status.FAILED, Outcome.CANCELLED)] * sessions
    assert not list(book.path.with_suffix(".sessions").glob("*.jsonl"))
    book.page.wait_for_timeout(1_000)
    assert len(server.journal()) == asked


def _only_session(book: Notebook) -> Session:
    """The one session that the notebook has left beside itself, checked as it is loaded."""
    (path,) = book.sessions
    return load(path).session


def _model(server: Server) -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": server.url,
        "ANTHROPIC_API_KEY": "any",
        "DOT_AI_MODEL_RETRIES": "0",
    }


def _slow() -> list[dict[str, object]]:
    """The same turns, a tenth of a second between any two pieces."""
    return [fixture | {"latency": 100} for fixture in fixtures_for(SCRIPT.answers)]

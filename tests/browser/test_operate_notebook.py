"""The operate notebook in JupyterLab, by hand: type the intent, press the buttons, read the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser.conftest import OpenNotebook

INTENT = "update my-api to nginx:1.20 with zero downtime"


def test_a_recording_is_replayed_without_a_cluster_and_without_a_key(
    notebook: OpenNotebook,
) -> None:
    lab = notebook()
    lab.run("dotai_nb.panel(")
    lab.screenshot("replay-0-form", lab.panel)
    lab.ask(INTENT)
    lab.page.wait_for_timeout(3000)
    lab.screenshot("replay-1-analysis", lab.panel)
    lab.press("Approve")
    lab.page.wait_for_timeout(1000)
    lab.press("Execute")
    lab.page.wait_for_timeout(2000)
    lab.screenshot("replay-2-verdict", lab.panel)
    lab.screenshot("replay-3-page")

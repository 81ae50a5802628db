"""A notebook in JupyterLab, as a person handles it: cells, and the panel's fields and buttons."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from tests.browser.lab import Lab

SCREENSHOTS: Final = "artifacts/browser"


@dataclass
class Notebook:
    """An open notebook.

    Attributes:
        folder: where its file is; `path` is the file.
        console: what the page wrote to the browser's console.
    """

    page: Page
    lab: Lab
    path: Path
    artifacts: Path
    console: list[str] = field(default_factory=list)

    @property
    def sessions(self) -> list[Path]:
        """The session files that this notebook has left, oldest first."""
        return sorted(self.path.with_suffix(".sessions").glob("opr-*.json"))

    @property
    def panel(self) -> Locator:
        """The live panel: the one of the latest run of its cell."""
        return self.page.locator(".dotai-panel").last

    def open(self) -> None:
        """Load JupyterLab with this notebook and wait until its kernel is there."""
        self.load()
        while not self._kernel_is_idle():
            self.page.wait_for_timeout(100)
        # Before the page knows that, it drops a run without a word.
        idle = self.page.locator("#jp-main-statusbar").get_by_text("| Idle")
        expect(idle).to_be_visible(timeout=30_000)

    def load(self) -> None:
        """Load JupyterLab with this notebook; nothing is said of a kernel."""
        where = self.path.relative_to(self.lab.root).as_posix()
        self.page.goto(f"{self.lab.url}lab/tree/{where}?token={self.lab.token}&reset")
        expect(self.cells.first).to_be_visible(timeout=30_000)

    @property
    def cells(self) -> Locator:
        """All cells, in order."""
        return self.page.locator(".jp-Notebook .jp-Cell")

    def cell(self, source: str) -> Locator:
        """The code cell that contains this text."""
        code = self.page.locator(".jp-Notebook .jp-CodeCell")
        return code.filter(has=self.page.locator(".jp-InputArea-editor", has_text=source))

    def run(self, source: str) -> Locator:
        """Run the code cell that contains this text, until it is done; returns it."""
        cell = self.cell(source)
        before = self._prompt(cell).inner_text()
        cell.locator(".jp-InputArea-editor").click()
        self.page.keyboard.press("Control+Enter")
        done = re.compile(rf"^(?!{re.escape(before)}$)\[\d+\]:$")
        expect(self._prompt(cell)).to_have_text(done, timeout=60_000)
        return cell

    def field(self, label: str) -> Locator:
        """A field of the panel."""
        return self.panel.get_by_label(label, exact=True)

    def button(self, name: str) -> Locator:
        """A button of the panel."""
        return self.panel.get_by_role("button", name=name, exact=True)

    def ask(self, intent: str) -> None:
        """Type an intent in the place of what stands there, and press Start."""
        expect(self.button("Start")).to_be_enabled(timeout=30_000)
        self.field("Intent").fill("")
        self.field("Intent").press_sequentially(intent)
        self.button("Start").click()

    def press(self, name: str) -> None:
        """Press a button of the panel, once it can be pressed."""
        expect(self.button(name)).to_be_enabled(timeout=60_000)
        self.button(name).click()

    def save(self) -> None:
        """Save, and wait until the file is written."""
        written = self.path.stat().st_mtime_ns
        self.page.keyboard.press("Control+s")
        while self.path.stat().st_mtime_ns == written:
            self.page.wait_for_timeout(50)

    def screenshot(self, name: str, of: Locator | None = None) -> None:
        """Keep a picture of the page, or of one part of it in its whole length."""
        self.artifacts.mkdir(parents=True, exist_ok=True)
        (of or self.page).screenshot(path=self.artifacts / f"{name}.png")

    def _kernel_is_idle(self) -> bool:
        where = self.path.relative_to(self.lab.root).as_posix()
        return any(
            session["path"] == where
            and session["kernel"]["execution_state"] == "idle"
            and session["kernel"]["connections"]
            for session in self.lab.request("GET", "api/sessions")
        )

    @staticmethod
    def _prompt(cell: Locator) -> Locator:
        return cell.locator(".jp-InputPrompt")

"""A notebook in JupyterLab, as a person handles it: cells, and the panel's fields and buttons."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from tests.browser.lab import Lab

CONTRAST: Final = Path(__file__).with_name("contrast.js")
MARGIN: Final = 200
"""Pixels around a notebook: menus, tabs, the status bar."""

SECONDS: Final = 60
"""How long anything may take; a slow machine is no reason to fail."""

expect.set_options(timeout=SECONDS * 1_000)


@dataclass
class Notebook:
    """An open notebook.

    Attributes:
        path: its file.
        kernel: the name of its kernel, which is its own.
        console: what the page wrote to the browser's console.
    """

    page: Page
    lab: Lab
    path: Path
    kernel: str
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
        self._wait_for("the notebook's kernel", self._kernel_is_idle)
        # Before the page knows that, it drops a run without a word.
        idle = self.page.locator("#jp-main-statusbar").get_by_text("| Idle")
        expect(idle).to_be_visible()

    def load(self) -> None:
        """Load JupyterLab with this notebook; nothing is said of a kernel."""
        where = self.path.relative_to(self.lab.root).as_posix()
        self.page.goto(f"{self.lab.url}lab/tree/{where}?token={self.lab.token}&reset")
        expect(self.cells.first).to_be_visible()

    @property
    def cells(self) -> Locator:
        """All cells, in order."""
        return self.page.locator(".jp-Notebook .jp-Cell")

    @property
    def code(self) -> Locator:
        """The code cells, in order."""
        return self.page.locator(".jp-Notebook .jp-CodeCell")

    def cell(self, source: str) -> Locator:
        """The code cell that contains this text."""
        return self.code.filter(has=self.page.locator(".jp-InputArea-editor", has_text=source))

    def run(self, source: str) -> None:
        """Run the code cell that contains this text, until it is done."""
        self.run_cell(self.cell(source))

    def run_cell(self, cell: Locator) -> None:
        """Run a code cell, until it is done."""
        before = self._prompt(cell).inner_text()
        cell.locator(".jp-InputArea-editor").click()
        self.page.keyboard.press("Control+Enter")
        done = re.compile(rf"^(?!{re.escape(before)}$)\[\d+\]:$")
        expect(self._prompt(cell)).to_have_text(done)

    def field(self, label: str) -> Locator:
        """A field of the panel."""
        return self.panel.get_by_label(label, exact=True)

    def button(self, name: str) -> Locator:
        """A button of the panel."""
        return self.panel.get_by_role("button", name=name, exact=True)

    def ask(self, intent: str) -> None:
        """Type an intent in the place of what stands there, and press Start."""
        expect(self.button("Start")).to_be_enabled()
        self.field("Intent").fill("")
        self.field("Intent").press_sequentially(intent)
        self.button("Start").click()

    def press(self, name: str) -> None:
        """Press a button of the panel, once it can be pressed."""
        expect(self.button(name)).to_be_enabled()
        self.button(name).click()

    def save(self) -> None:
        """Save, and wait until the file is written."""
        written = self.path.stat().st_mtime_ns
        self.page.keyboard.press("Control+s")
        self._wait_for("the saved file", lambda: self.path.stat().st_mtime_ns != written)

    def without_kernel(self) -> None:
        """Answer JupyterLab's question for a kernel with none."""
        dialog = self.page.locator(".jp-Dialog")
        dialog.get_by_role("combobox").select_option(label="No Kernel")
        dialog.get_by_role("button", name="Select", exact=False).last.click()
        expect(dialog).to_have_count(0)

    def screenshot(self, name: str, of: Locator | None = None) -> None:
        """Keep a picture of the page, or of one part of it in its whole length."""
        self.artifacts.mkdir(parents=True, exist_ok=True)
        shown = self.page.viewport_size
        box = of.bounding_box() if of else None
        if box and shown:
            # A notebook scrolls inside the page: what is taller than the page would be cut off.
            whole = {"width": shown["width"], "height": int(box["height"]) + MARGIN}
            self.page.set_viewport_size(whole)
        (of or self.page).screenshot(path=self.artifacts / f"{name}.png")
        if shown:
            self.page.set_viewport_size(shown)

    def lowest_contrast(self) -> tuple[float, str]:
        """Of all text in the panel: the lowest ratio of its brightness to what is behind it."""
        ratio, text = self.panel.evaluate(CONTRAST.read_text(encoding="utf-8"))
        return ratio, text

    def _wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for something that is not on the page, while the page lives on."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"Not within {SECONDS} s: {what}")
            self.page.wait_for_timeout(50)

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

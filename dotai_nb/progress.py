"""Progress of an awaited operation, shown in the cell or at the terminal that waits for it."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from dotai_nb.cell import Cell

if TYPE_CHECKING:
    from collections.abc import Callable

    from dotai_nb.session.session import Session


class Progress:
    """One display that is rewritten while the session moves.

    Shown from the waiting cell's own task: output from another thread would get lost.

    Args:
        session: gives the session as it stands now.
        replayed: everything comes from a file, which is marked.
        executing: only the execution is shown; the analysis stands in an earlier cell.

    Attributes:
        every: seconds between looks.
    """

    every = 0.2

    def __init__(self, session: Callable[[], Session], *, replayed: bool, executing: bool) -> None:
        self._session = session
        self._executing = executing
        self._replayed = replayed
        self._cell = Cell.now()
        self._count = 0
        self._shown = 0
        self._display: Any = None
        self._shell = _shell()
        # The panel waits on the package's loop, and shows by itself.
        self._watched = threading.current_thread() is threading.main_thread()

    def update(self) -> None:
        """Show the session as it stands now, if it has moved."""
        session = self._session()
        if session.count == self._count or not self._watched:
            return
        self._count = session.count
        if self._shell is not None:
            self._in_cell()
        elif sys.stderr.isatty():
            self._at_terminal()

    def finish(self) -> None:
        """The last state; in a notebook it is static and stays when the kernel is gone."""
        self.update()

    def shows(self, session: Session) -> bool:
        """Whether the cell that runs now has this very state of the session above its result."""
        shown = self._display is not None and self._count == session.count
        return shown and self._cell == Cell.now()

    def _in_cell(self) -> None:
        from IPython.display import display

        from dotai_nb.views import html

        show = html.execution_bundle if self._executing else html.static_bundle
        bundle = show(self._session(), replayed=self._replayed)
        if self._display is None:
            self._display = display(bundle, raw=True, display_id=True)
        else:
            self._display.update(bundle, raw=True)

    def _at_terminal(self) -> None:
        from dotai_nb.views import markdown

        lines = markdown.plain(self._session()).splitlines()
        for line in lines[self._shown :]:
            sys.stderr.write(line + "\n")
        self._shown = max(self._shown, len(lines))


def _shell() -> Any:
    """The kernel's shell; None in plain Python, where nothing can be displayed."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module else None
    return shell if hasattr(shell, "kernel") else None

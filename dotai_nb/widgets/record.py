"""What stays in the notebook: static output under the panel, rewritten when a session rests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dotai_nb.session.session import Session

_EMPTY = {"text/plain": ""}


class Record:
    """Two outputs of the cell that shows the panel: the page, and the diagram.

    They are displayed by the cell itself, so that later updates, which come from another thread,
    find their place by display id. A diagram has to be an output of its own: JupyterLab draws
    and stores it only when nothing else is in its bundle.
    """

    def __init__(self) -> None:
        self._handles: list[list[Any]] = []
        self._shown: tuple[dict[str, str], ...] = (_EMPTY, _EMPTY)

    def place(self) -> None:
        """Display here what is known so far; called while the cell runs."""
        from IPython.display import display

        self._handles.append([display(part, raw=True, display_id=True) for part in self._shown])

    def show(self, session: Session, *, replayed: bool) -> None:
        """Rewrite it to this session."""
        from dotai_nb.views import html, mermaid

        source = mermaid.diagram(session.topology) if session.topology else ""
        self._update(
            html.record(session, replayed=replayed), mermaid.bundle(source) if source else _EMPTY
        )

    def clear(self) -> None:
        """Nothing rests: take away what stood there."""
        self._update(_EMPTY, _EMPTY)

    def _update(self, *parts: dict[str, str]) -> None:
        """Rewrite the outputs whose content is another; the same again would lose a stored SVG."""
        before, self._shown = self._shown, parts
        for handles in self._handles:
            for handle, old, new in zip(handles, before, parts, strict=True):
                if old != new:
                    handle.update(new, raw=True)

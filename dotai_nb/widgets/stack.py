"""A column of HTML pieces that are replaced one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dotai_nb.views.activity import Fragment


class Stack:
    """Shows fragments; a piece whose HTML is the same is left alone, and what was unfolded stays.

    Attributes:
        box: the widget.
    """

    def __init__(self, *classes: str) -> None:
        self.box = widgets.VBox()
        for name in ("dn-stack", *classes):
            self.box.add_class(name)
        self._pieces: dict[str, widgets.HTML] = {}
        # Shared: each layout and style of its own would be two more messages a piece.
        self._layout = widgets.Layout()
        self._style = widgets.HTML().style

    def show(self, fragments: Iterable[Fragment]) -> None:
        """Show exactly these, in this order."""
        pieces = {key: self._piece(key, html) for key, html in fragments}
        if list(pieces) != list(self._pieces):
            gone = [piece for key, piece in self._pieces.items() if key not in pieces]
            self.box.children = tuple(pieces.values())
            for piece in gone:
                piece.close()
        self._pieces = pieces

    def _piece(self, key: str, html: str) -> widgets.HTML:
        piece = self._pieces.get(key)
        if piece is None:
            return widgets.HTML(html, layout=self._layout, style=self._style)
        piece.value = html
        return piece

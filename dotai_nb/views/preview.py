"""A DataFrame as a static HTML table; the one place that knows itables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame

# itables marks its previews with a link to its own site; a page must not need the network.
_MARKER = re.compile(r"<sup><a href=https://itables\.org[^>]*>[^<]*</a></sup>")

_NEWLINE = " \u00b7 "  # itables would show a backslash and an n


def table(frame: DataFrame, caption: str = "") -> str:
    """The whole table, every cell escaped, nothing loaded from anywhere.

    Cells that are not known are empty; lines of a cell are set apart by a dot. The text of cells
    must already be visible (see `tables`).
    """
    from itables import to_html_static_preview

    shown = frame.astype("string").fillna("")
    for name in frame.select_dtypes("boolean").columns:
        shown[name] = shown[name].replace({"True": "yes", "False": "no"})
    shown = shown.replace("\n", _NEWLINE, regex=True)
    shown.columns = [str(name).replace("_", " ") for name in frame.columns]
    html: str = to_html_static_preview(
        shown,
        caption=caption or None,
        allow_html=False,
        showIndex=False,
        paging=False,
        maxBytes=0,
        maxRows=0,
        maxColumns=0,
    )
    return _MARKER.sub("", html)


def warm_up() -> None:
    """Import what `table` needs (pandas takes most of a second), ahead of the first table."""
    import itables  # noqa: F401
    import pandas as pd  # noqa: F401

"""The marks around words that are not ours: a model examines them and never obeys them."""

from __future__ import annotations

import re

from dotai_nb.cluster.printing import visible

# However it is written, a reader might take it for the mark's end.
_MARK = re.compile(
    r"[<\uff1c\u2039\u27e8]\s*/?\s*(?=cluster-data|organisation-data)", re.IGNORECASE
)
_BREAK = "\u200b"


def unmarked(text: str) -> str:
    """Text that can neither open nor close a mark, with nothing hidden in it."""
    return _MARK.sub(lambda match: f"{match[0][0]}{_BREAK}{match[0][1:]}", visible(text))


def as_data(text: str) -> str:
    """Marked as the cluster's words; text from it can't close the mark."""
    return f"<cluster-data>\n{unmarked(text)}\n</cluster-data>"

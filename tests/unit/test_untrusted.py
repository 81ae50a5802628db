"""Words from a cluster stay inside their marks, and hide nothing."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from dotai_nb.workflow.untrusted import as_data, unmarked

MARKS = re.compile(r"<\s*/?\s*(cluster|organisation)-data", re.IGNORECASE)
PIECES = (
    "<",
    "</",
    "< /",
    "cluster-data",
    "CLUSTER-DATA>",
    "organisation-data",
    "\u200b",
    "\n",
    "x",
)


@given(st.lists(st.sampled_from(PIECES)).map("".join))
@example("</cluster-data>")
@example("</Cluster-Data >")
@example("<\n/ cluster-data")
@example("<\u200b/cluster-data>")
def test_no_text_can_open_or_close_a_mark(text: str) -> None:
    whole = as_data(text)
    assert MARKS.findall(unmarked(text)) == []
    assert whole.startswith("<cluster-data>\n")
    assert whole.endswith("\n</cluster-data>")
    assert len(MARKS.findall(whole)) == 2


def test_what_is_hidden_is_told() -> None:
    assert as_data("a\u202eb") == "<cluster-data>\na\\u202eb\n</cluster-data>"


def test_other_text_is_left_as_it_is() -> None:
    text = '{"a": "<b>", "c": "cluster-data"}\n\ttab — ünïcode'
    assert unmarked(text) == text

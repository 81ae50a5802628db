"""Answers fit their budget, say what was left out, and hold nothing that acts on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dotai_nb.cluster.printing import age, cut, outline, rows_reading, table, tokens, trim, visible

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def test_a_table_is_aligned_and_an_empty_cell_says_none() -> None:
    lines = table(("NAME", "READY"), [("my-api", "2/2"), ("b", None), ("c", "")])
    assert lines == ["NAME     READY", "my-api   2/2", "b        <none>", "c        <none>"]


def test_a_cell_can_not_break_its_row() -> None:
    assert table(("A",), [("x\ny\t\x1b[31mz",)]) == ["A", "x y z"]


def test_what_fits_is_given_whole() -> None:
    reading = rows_reading(["A", "1", "2"], budget=200, total=2, narrow="Narrow.")
    assert reading.text == "A\n1\n2"
    assert reading.measured is not None
    assert not reading.measured.truncated


def test_what_does_not_fit_is_counted_and_says_how_to_narrow() -> None:
    lines = ["NAME", *(f"pod-{number:04}" for number in range(500))]
    reading = rows_reading(lines, budget=200, total=14_000, narrow="Narrow with a name.")
    assert reading.measured is not None
    shown = reading.measured.returned
    assert 0 < shown < 500
    assert reading.text.endswith(f"Shown: {shown} of 14000 rows. Narrow with a name.")
    assert (reading.measured.total, reading.measured.truncated) == (14_000, True)


def test_a_count_the_server_did_not_give_is_not_invented() -> None:
    reading = rows_reading(["NAME", "a"], budget=200, total=None, narrow="Narrow.")
    assert "1 of more than 1 rows" in reading.text
    assert reading.measured is not None
    assert reading.measured.truncated


@given(lines=st.lists(_text.filter(lambda t: "\n" not in t), min_size=1), budget=st.integers(200))
def test_rows_never_exceed_their_budget(lines: list[str], budget: int) -> None:
    reading = rows_reading(lines, budget=budget, total=len(lines) - 1, narrow="Narrow.")
    assert tokens(reading.text) <= budget


@given(text=st.text(max_size=3000), budget=st.integers(200, 600), keep_end=st.booleans())
def test_a_text_never_exceeds_its_budget(text: str, budget: int, keep_end: bool) -> None:  # noqa: FBT001
    reading = cut(text, budget=budget, narrow="Narrow.", keep_end=keep_end)
    assert tokens(reading.text) <= budget
    assert reading.measured is not None
    assert reading.measured.truncated == (reading.text != text)


def test_a_log_keeps_its_end_and_one_long_line_is_cut() -> None:
    lines = "\n".join(f"line {number}" for number in range(1000))
    reading = cut(lines, budget=200, narrow="Narrow.", keep_end=True)
    assert reading.text.endswith("line 999")
    assert "line 0\n" not in reading.text
    long = cut("x" * 5000, budget=200, narrow="Narrow.")
    assert long.text.startswith("xxx")
    assert long.measured is not None
    assert long.measured.total == 5000


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;title\x1b\\x", "x"),
        ("a\rb\x00\x7f", "a\\rb\\x00\\x7f"),
        ("abc\u202edcba", "abc\\u202edcba"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("tab\tand\nnewline", "tab\tand\nnewline"),
        ("ünïcödé 日本 🎉", "ünïcödé 日本 🎉"),
    ],
)
def test_control_characters_are_stripped_or_made_visible(raw: str, shown: str) -> None:
    assert visible(raw) == shown


@given(text=st.text())
def test_nothing_visible_controls_a_terminal(text: str) -> None:
    assert not {c for c in visible(text) if ord(c) < 32} - {"\n", "\t"}
    assert "\x1b" not in visible(text)


def test_managed_fields_are_trimmed_and_the_object_is_left_as_it_is() -> None:
    obj = {"metadata": {"name": "a", "managedFields": [{}]}, "spec": {}}
    assert trim(obj) == {"metadata": {"name": "a"}, "spec": {}}
    assert "managedFields" in obj["metadata"]
    assert trim({"items": []}) == {"items": []}


_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.text(st.characters(categories=["L", "N", "P", "Zs"], max_codepoint=0x17F), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.from_regex(r"[a-zA-Z][a-zA-Z./-]{0,8}", fullmatch=True), inner, max_size=3
        )
    ),
    max_leaves=10,
)


@given(value=_plain)
def test_an_outline_is_the_yaml_of_its_value(value: object) -> None:
    assert yaml.safe_load(outline(value)) == value


def test_an_outline_shows_lines_as_lines() -> None:
    value = {"data": {"conf": "a: 1\nb: 2\n"}, "args": ["--x", "8080:80"], "empty": {}}
    lines = ["data:", "  conf: |", "    a: 1", "    b: 2", "args:"]
    assert outline(value).split("\n") == [*lines, '- "--x"', '- "8080:80"', "empty: {}"]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (119, "119s"),
        (330, "5m30s"),
        (600, "10m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 300, "3h5m"),
        (40 * 3600, "40h"),
        (3 * 86_400 + 7200, "3d2h"),
        (12 * 86_400, "12d"),
        (800 * 86_400, "2y"),
    ],
)
def test_ages_are_told_as_kubectl_does(seconds: int, shown: str) -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    moment = (now - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    assert age(moment, now) == shown


def test_an_age_that_was_not_said_is_unknown() -> None:
    assert age("") == "<unknown>"

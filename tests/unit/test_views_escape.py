"""Untrusted text in HTML, Markdown and plain text."""

from __future__ import annotations

import mistune
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dotai_nb.views import escape
from tests.unit.hostile import HIDDEN, NASTY, Elements

MARKDOWN = mistune.create_markdown(
    escape=False, plugins=["table", "url", "strikethrough", "task_lists", "math", "footnotes"]
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a\u241b[31mb"),
        ("\x7f", "\u2421"),
        ("\u202eexe.txt", "<U+202E>exe.txt"),
        ("a\u200bb", "a<U+200B>b"),
        ("\U000e0041", "<U+E0041>"),
        ("tab\tand\nnewline\r\nstay", "tab\tand\nnewline\nstay"),
        ("naïve café 🚀 日本語", "naïve café 🚀 日本語"),
    ],
)
def test_what_would_be_invisible_is_shown(text: str, shown: str) -> None:
    assert escape.visible(text) == shown


@settings(deadline=None)
@given(st.text())
def test_nothing_hidden_is_left(text: str) -> None:
    assert not HIDDEN.search(escape.visible(text))


@settings(deadline=None)
@given(st.text() | st.just(NASTY))
def test_html_holds_the_text_and_no_element(text: str) -> None:
    page = Elements(f'<p title="{escape.html(text)}">{escape.html(text)}</p>')
    assert page.tags == ["p"]
    assert page.attributes == [("title", escape.visible(text))]
    assert page.text == escape.visible(text)


@settings(deadline=None)
@given(st.text() | st.text(alphabet="<>[]()!*_`~$|#-+=.1: /wa\\@{}&;\n") | st.just(NASTY))
def test_markdown_holds_the_text_and_no_markup(text: str) -> None:
    page = Elements(str(MARKDOWN(f"Before {escape.markdown(text)}")))
    assert page.tags == ["p"]
    assert " ".join(page.text.split()) == f"Before {escape.line(text)}".strip()


@pytest.mark.parametrize(
    "text", ["# a", "- a", "+ a", "1. a", "2) a", "> a", "---", "===", "    a", "| a |", "[^1]: a"]
)
def test_markdown_at_the_start_of_a_line_is_only_text(text: str) -> None:
    page = Elements(str(MARKDOWN(f"{escape.markdown(text)}")))
    assert page.tags == ["p"]
    assert page.text.strip() == text.strip()


@settings(deadline=None)
@given(st.text(alphabet="`~a \n$<") | st.just(NASTY))
def test_a_code_block_ends_only_where_it_should(text: str) -> None:
    page = Elements(str(MARKDOWN(escape.fenced(text, "sh") + "\n\nafter")))
    assert page.tags == ["pre", "code", "p"]


@settings(deadline=None)
@given(st.text(alphabet="`a <|", min_size=1) | st.just(NASTY))
def test_a_code_span_holds_the_text(text: str) -> None:
    page = Elements(str(MARKDOWN(f"x {escape.code(text)} y")))
    expected = ["p", "code"] if escape.line(text) else ["p"]
    assert page.tags == expected
    assert " ".join(page.text.split()) == f"x {escape.line(text)} y".replace("  ", " ")

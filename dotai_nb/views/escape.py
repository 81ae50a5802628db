"""Untrusted text, made harmless for the place it stands in.

What a terminal, a browser or an eye would obey or overlook (ANSI escapes, bidirectional overrides,
zero-width characters) is made visible rather than dropped: a reviewer must see that it is there.
The set follows Unicode TR36 (Security Considerations) and UTS #55 (bidirectional source code).
"""

from __future__ import annotations

import html as stdlib_html
import re

_INVISIBLE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1 without tab and newline
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e0fff"  # tags and further variation selectors
    "]"
)

_MARKDOWN = re.compile(
    r"^[-+=]|^\d{1,9}[.)]"  # a list, or a heading's underline
    r"|[\\`*_{}\[\]<>#|~$&@]"
    r"|(?<=\w):(?=//)|(?<=www)\."  # links that Markdown makes by itself
)


def visible(text: str) -> str:
    """Plain text in which nothing is hidden; tab and newline stay."""
    return _INVISIBLE.sub(_shown, text.replace("\r\n", "\n"))


def _shown(match: re.Match[str]) -> str:
    point = ord(match[0])
    if point < 0x20:  # noqa: PLR2004 - the C0 block has its own pictures in Unicode
        return chr(0x2400 + point)
    return "\u2421" if point == 0x7F else f"<U+{point:04X}>"  # noqa: PLR2004


def line(text: str) -> str:
    """The same on one line."""
    return " ".join(visible(text).split())


def html(text: str) -> str:
    """For an HTML text node or a quoted attribute."""
    return stdlib_html.escape(visible(text), quote=True)


def markdown(text: str) -> str:
    r"""For running Markdown text: one line, no markup, link, math or HTML of its own.

    Numeric entities rather than backslashes: Jupyter takes out mathematics (`$`, `\\(`) before
    it reads Markdown, and an entity is neither.
    """
    return _MARKDOWN.sub(lambda match: f"{match[0][:-1]}&#{ord(match[0][-1])};", line(text))


def code(text: str) -> str:
    """An inline code span, one line; its backticks outnumber those inside."""
    flat = line(text)
    if not flat:
        return ""
    ticks = "`" * (_longest_run(flat) + 1)
    pad = " " if flat[0] in "` " or flat[-1] in "` " else ""
    return f"{ticks}{pad}{flat}{pad}{ticks}"


def fenced(text: str, language: str = "") -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    shown = visible(text).rstrip("\n")
    ticks = "`" * max(3, _longest_run(shown) + 1)
    return f"{ticks}{language}\n{shown}\n{ticks}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)

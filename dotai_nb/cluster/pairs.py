"""Values in a text that have their name in front: `password=…`, `"token": "…"`, `--secret …`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dotai_nb.cluster.naming import is_no_secret, names_a_secret, words
from dotai_nb.cluster.placeholder import PATTERN, placeholder

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUOTE = r"""(?:\\*["'`])?"""
_SEPARATOR = (
    _QUOTE + r"\]?[ \t]*+(?P<sign>:=|={1,2}>?|:(?!//))[ \t]*+"
    r"(?:(?:Invalid|Unsupported|Duplicate) value:[ \t]*+)?[\[(]?"
)
_NAME = re.compile(
    r"(?<![\w.\-])(?!(?<=\\)[nrt])(?P<a>[\w.\-]++)" + _SEPARATOR.replace("sign", "sign_a")
    + r"|(?<=\\[nrt])(?P<b>[\w.\-]++)" + _SEPARATOR.replace("sign", "sign_b")
    + r"""|(?<![\w.\-])(?P<flag>--?[A-Za-z][\w.\-]*+)(?:[ \t]++|\\*["'][ \t]*+,[ \t]*+)(?!-)"""
)  # fmt: skip
# `{"name": "DB_PASSWORD", "value": "…"}`, in JSON, YAML, or as Go prints it.
_ENTRY = re.compile(
    rf"\bname{_QUOTE}[ \t]*+[:=][ \t]*+{_QUOTE}(?P<name>[\w.\-]++){_QUOTE}(?:[,\s]|\\[nr])++"
    rf"{_QUOTE}value{_QUOTE}[ \t]*+[:=][ \t]*+",
    re.IGNORECASE,
)
_OPENED = re.compile(r"""(?P<escapes>\\*)(?P<quote>["'`])""")
_UNQUOTED = re.compile(
    rf"""(?:{PATTERN}|[^\s"'`,;&\\]|\\(?![nrt"'])|["'`](?![\s,;&)\]}}]|$)"""
    r"""|[,;&](?!\s|$|["']|[\w.\-]++[=:]))++"""
)
_TEMPLATE = re.compile(r"""\{\{[^{}]*+\}\}(?=[\s"'`,;&)\]}]|$)""")
_AUTH_SCHEME = re.compile(
    r"(?:basic|bearer|digest|negotiate|token|apikey|aws4-hmac-sha256)[ \t]++", re.IGNORECASE
)
_HEADER_LINE = re.compile(r"""[^\r\n"'\\]++""")

# What an error message goes on with: `invalid token: unexpected end of input`.
_PROSE = words(
    """
    a an and any are as at authentication bad cannot could couldn't does doesn't empty error
    expected expired failed field flag for found from got has have if in incorrect invalid is it
    its key malformed mismatch missing must no not of or parsing permission rejected required
    rpc secret secrets should signature string that the this to too unable unauthorized
    unexpected unknown unsupported value was were when which with wrong x509
    """
)


def redact_named(text: str) -> str:
    """The text without the values whose name says that they are secret."""
    text = _replaced(text, _entries(text))
    return _replaced(text, _pairs(text))


def _replaced(text: str, spans: Iterator[tuple[int, int]]) -> str:
    parts: list[str] = []
    position = 0
    for start, end in spans:
        parts += [text[position:start], placeholder(text[start:end])]
        position = end
    return "".join((*parts, text[position:])) if parts else text


def _entries(text: str) -> Iterator[tuple[int, int]]:
    """Where the values of entries with a name of their own are."""
    position = 0
    while match := _ENTRY.search(text, position):
        position = match.end()
        if names_a_secret(match["name"]):
            span = _value(text, position)
            if span and not is_no_secret(text[slice(*span)]):
                yield span
                position = span[1]


def _pairs(text: str) -> Iterator[tuple[int, int]]:
    """Where the values of `name=value`, `name: value` and `--name value` are."""
    position = 0
    while match := _NAME.search(text, position):
        position = match.end()
        name = match["a"] or match["b"] or match["flag"]
        if not _named(text, name, match):
            continue
        if _TEMPLATE.match(text, position):
            continue
        span = _header(text, position) if _is_header(name) else _value(text, position)
        if span is None:
            continue
        value = text[slice(*span)]
        sign = match["sign_a"] or match["sign_b"]
        if not is_no_secret(value) and not _is_fact(name, value, sign):
            yield span
            position = span[1]


def _named(text: str, name: str, match: re.Match[str]) -> bool:
    before = text[max(match.start() - 12, 0) : match.start()]
    sign = match["sign_a"] or match["sign_b"]
    if before.endswith("/") and sign == ":" and text[match.end() - 1] == ":":
        return False  # an image and its tag
    if name.lower() in {"key", "string"} and before.endswith(" "):
        name = f"{before.rpartition(' ')[0].rpartition(' ')[2]} {name}"
    return names_a_secret(name)


def _is_fact(name: str, value: str, sign: str | None) -> bool:
    """Whether the words behind a name tell about it: a count, or how an error goes on."""
    if name.lower().endswith("tokens") and value.isdigit():
        return True
    return sign in {":", None} and value.lower().rstrip(".:") in _PROSE


def _is_header(name: str) -> bool:
    return name.lower().endswith(("authorization", "cookie"))


def _header(text: str, start: int) -> tuple[int, int] | None:
    """The credentials of an Authorization header behind their scheme, or a cookie's whole line."""
    quoted = _OPENED.match(text, start)
    inner = quoted.end() if quoted else start
    scheme = _AUTH_SCHEME.match(text, inner)
    if scheme:
        return _value(text, scheme.end())
    if quoted:
        return _value(text, start)
    line = _HEADER_LINE.match(text, start)
    return line.span() if line else None


def _value(text: str, start: int) -> tuple[int, int] | None:
    """The span of a value, without its quotes; one that isn't closed goes on to its line's end."""
    opened = _OPENED.match(text, start)
    if opened is None:
        return _unquoted(text, start)
    first = opened.end()
    line_end = text.find("\n", first)
    line_end = len(text) if line_end < 0 else line_end
    close = opened["escapes"] + opened["quote"]
    end = text.find(close, first, line_end)
    while end > first and _is_escaped(text, end, len(opened["escapes"])):
        end = text.find(close, end + 1, line_end)
    return first, (line_end if end < 0 else end)


def _is_escaped(text: str, position: int, depth: int) -> bool:
    """Whether more backslashes stand before a closing quote than before the opening one."""
    before = text[max(position - 64, 0) : position]
    count = len(before) - len(before.rstrip("\\"))
    return count % 2 == 1 if depth == 0 else count > 0


def _unquoted(text: str, start: int) -> tuple[int, int] | None:
    match = _UNQUOTED.match(text, start)
    if match is None:
        return None
    value = match[0]
    # A bracket that was opened before the value is closed behind it.
    own = not {"(", "[", "{"}.isdisjoint(value)
    end = match.start() + len(value if own else value.rstrip(")]}"))
    return (match.start(), end) if end > match.start() else None

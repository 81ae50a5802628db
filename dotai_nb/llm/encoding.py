"""Text that can always be written as UTF-8.

JSON may carry one half of a surrogate pair, and a provider that cuts its text into
deltas may cut a pair in two. Python keeps such halves in a `str`, which no file and no request
can then encode.
"""

from __future__ import annotations

from typing import Any

_HIGH = range(0xD800, 0xDC00)


def encodable(value: Any) -> Any:
    """The same JSON value with surrogate pairs joined and lone halves replaced by U+FFFD."""
    match value:
        case str():
            return _text(value)
        case dict():
            return {encodable(key): encodable(item) for key, item in value.items()}
        case list() | tuple():
            return [encodable(item) for item in value]
        case _:
            return value


def _text(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Deltas:
    """Pieces of one text: each can be encoded, and together they are the whole text."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be shown now; half a pair at the end waits for the other half."""
        text = self._held + piece
        cut = len(text) - 1 if text and ord(text[-1]) in _HIGH else len(text)
        self._held = text[cut:]
        return _text(text[:cut])

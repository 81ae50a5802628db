"""One way to write JSON as bytes, so that equal values have equal hashes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

JsonObject = dict[str, Any]


def canonical(value: Any) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8, integers exact.

    Raises:
        ValueError: for NaN and infinities, which JSON does not have.
    """
    text = json.dumps(
        value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    return _utf8(text)


def readable(value: Any) -> bytes:
    """The same, indented for people and for `git diff`; ends with a newline."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    return _utf8(text) + b"\n"


def digest(value: Any) -> str:
    """SHA-256 of the canonical bytes, 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair, from a provider's split delta or a log that is not UTF-8. Halves
        # that meet become their character; a lone one stays, as the JSON escape \udXXX.
        whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return whole.encode("utf-8", "backslashreplace")

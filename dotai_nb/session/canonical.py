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
    return text.encode()


def readable(value: Any) -> bytes:
    """The same, indented for people and for `git diff`; ends with a newline."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    return text.encode() + b"\n"


def digest(value: Any) -> str:
    """SHA-256 of the canonical bytes, 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()

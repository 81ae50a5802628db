"""What stands where a value was hidden, and how it is known again."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Any

LEFT_OUT = "«left out»"
"""Stands where a copy was that says nothing new, such as kubectl's last-applied manifest."""

PATTERN = r"«redacted [0-9a-f]{12}»"
"""What a placeholder looks like."""

# Of this process, never kept: a session's file gives nobody the means to try values out.
_KEY = secrets.token_bytes(32)
_WHOLE = re.compile(PATTERN)
_MARK = re.compile(r"«(redacted|left out|cut)\b")


def placeholder(value: str) -> str:
    """`«redacted 3f9a1c52b07e»`: equal for equal values within a process, and only there."""
    if _WHOLE.fullmatch(value):
        return value
    mac = hmac.new(_KEY, value.encode(errors="surrogatepass"), hashlib.sha256)
    return f"«redacted {mac.hexdigest()[:12]}»"


def holds_placeholder(value: Any) -> bool:
    """Whether a placeholder stands anywhere in it; such a value must never be written back."""
    if isinstance(value, str):
        return _MARK.search(value) is not None
    if isinstance(value, dict):
        return any(holds_placeholder(k) or holds_placeholder(v) for k, v in value.items())
    return isinstance(value, list | tuple) and any(map(holds_placeholder, value))

"""How deep JSON may go: what is nested deeper is not something that a person reviews."""

from __future__ import annotations

from typing import Any

DEEPEST = 100
"""Levels. Python's own limit is reached at a few hundred, pydantic's at 255."""


def too_deep(value: Any, levels: int = DEEPEST) -> bool:
    """Whether a JSON value is nested deeper than so many levels."""
    if not isinstance(value, dict | list | tuple):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(too_deep(item, levels - 1) for item in inner)

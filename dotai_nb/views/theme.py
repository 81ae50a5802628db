"""The one style sheet of panel and static pages."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=1)
def style() -> str:
    """The style sheet as an element; every rule is under a class of ours."""
    return f"<style>{files('dotai_nb.views').joinpath('theme.css').read_text('utf-8')}</style>"

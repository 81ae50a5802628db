"""Run Kubernetes with AI from a notebook: dry-run, reviewed, approved, and only then sent.

    op = await dotai_nb.operate("update my-api to v2.0 with zero downtime", namespace="shop")
    op.approve()
    await op.execute()

Names are imported when they are first used, so that `import dotai_nb` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dotai_nb import steps, sync
    from dotai_nb.errors import DotAiError
    from dotai_nb.magics import load_ipython_extension
    from dotai_nb.operation import (
        Operation,
        about,
        open_session,
        operate,
        sessions,
        start,
    )
    from dotai_nb.planning import plan
    from dotai_nb.settings import Settings
    from dotai_nb.widgets.panel import panel

__version__ = "0.1.0"

_HOMES = {
    "DotAiError": "dotai_nb.errors",
    "Operation": "dotai_nb.operation",
    "Settings": "dotai_nb.settings",
    "about": "dotai_nb.operation",
    "load_ipython_extension": "dotai_nb.magics",
    "open_session": "dotai_nb.operation",
    "operate": "dotai_nb.operation",
    "panel": "dotai_nb.widgets.panel",
    "plan": "dotai_nb.planning",
    "sessions": "dotai_nb.operation",
    "start": "dotai_nb.operation",
    "steps": "",
    "sync": "",
}

__all__ = [
    "DotAiError",
    "Operation",
    "Settings",
    "__version__",
    "about",
    "load_ipython_extension",
    "open_session",
    "operate",
    "panel",
    "plan",
    "sessions",
    "start",
    "steps",
    "sync",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not _HOMES[name]:
        return import_module(f"{__name__}.{name}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

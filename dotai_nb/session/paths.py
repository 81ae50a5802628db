"""Where session files and recordings live.

Jupyter Server tells a kernel its notebook in `JPY_SESSION_NAME`; nbmake, papermill and consoles
don't, and plain Python has none.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dotai_nb.settings import DEFAULT_SESSION_DIR

if TYPE_CHECKING:
    from dotai_nb.settings import Settings

NOTEBOOK_VARIABLE = "JPY_SESSION_NAME"
FOLDER = "opr-sessions"
"""Below the session directory; the DevOps AI Toolkit uses the same name."""

FOLDER_OF_UNNAMED_NOTEBOOK = "dotai-sessions"


def new_id() -> str:
    """A new session's id: `opr-{epoch ms}-{8 hex}`."""
    return f"opr-{time.time_ns() // 1_000_000}-{secrets.token_hex(4)}"


def session_directory(settings: Settings, *, interactive_kernel: bool | None = None) -> Path:
    """The folder for new sessions; it need not exist yet.

    Args:
        settings: `session_dir` (`DOT_AI_SESSION_DIR`) wins over everything else.
        interactive_kernel: whether this is a Jupyter kernel; None finds out.

    Returns:
        An absolute path: `<DOT_AI_SESSION_DIR>/opr-sessions`; in a notebook `<stem>.sessions`
        beside it; in a kernel that isn't told its notebook `dotai-sessions` in the working
        directory; in plain Python `~/.dot-ai/sessions/opr-sessions`.
    """
    if settings.session_dir:
        return Path(settings.session_dir).expanduser().absolute() / FOLDER
    if not _is_kernel(interactive_kernel):
        return DEFAULT_SESSION_DIR.expanduser() / FOLDER
    notebook = notebook_path()
    if notebook is None:
        return Path.cwd() / FOLDER_OF_UNNAMED_NOTEBOOK
    return notebook.with_name(f"{notebook.stem}.sessions")


def recordings_directories(*, interactive_kernel: bool | None = None) -> tuple[Path, ...]:
    """The folders where recordings are looked for, in this order; they may not exist.

    Returns:
        `<stem>.recordings` beside the notebook; every `*.recordings` folder in the working
        directory where the notebook is not known.
    """
    notebook = notebook_path() if _is_kernel(interactive_kernel) else None
    if notebook is not None:
        return (notebook.with_name(f"{notebook.stem}.recordings"),)
    return tuple(sorted(path for path in Path.cwd().glob("*.recordings") if path.is_dir()))


def notebook_path() -> Path | None:
    """The notebook of this kernel; None where the kernel isn't told, or belongs to a console."""
    told = os.environ.get(NOTEBOOK_VARIABLE, "")
    if not told:
        return None
    notebook = Path(told)
    if not notebook.is_absolute() or not notebook.parent.is_dir():
        # A kernel starts in its notebook's folder; the server may see that folder under another
        # root than the kernel does (a container, a remote host), or say it relative to its own.
        beside = Path.cwd() / notebook.name
        below = Path.cwd() / notebook
        notebook = beside if beside.is_file() or not below.parent.is_dir() else below
    # A console is named `Console 1`; a notebook may be a Markdown or Python file (Jupytext).
    return notebook if notebook.suffix == ".ipynb" or notebook.is_file() else None


def _is_kernel(told: bool | None) -> bool:  # noqa: FBT001 - three states, passed on
    if told is not None:
        return told
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None

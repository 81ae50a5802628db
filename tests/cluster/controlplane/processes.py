"""Finds and ends the processes of a control plane by the folder that holds its state."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

NAME: Final = "controlplane"
STARTER: Final = "starter.pid"
_PROGRAMS: Final = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok-controller",
)
_STOP_SECONDS: Final = 10


class ControlPlaneError(Exception):
    """A control plane could not be started or ended; the message says which program said what."""


def workdir(home: Path) -> Path:
    """Where kwokctl keeps the state of the cluster in `home`: certificates, logs, process ids."""
    return home / "clusters" / NAME


def is_running(home: Path) -> bool:
    """Whether all five programs of the cluster in `home` run."""
    return len(_processes(home)) == len(_PROGRAMS)


def stop_cluster(home: Path) -> None:
    """Ends the cluster whose state is in `home` and removes `home`; again is allowed.

    Raises:
        ControlPlaneError: a process doesn't end.
    """
    deadline = time.monotonic() + _STOP_SECONDS
    while pids := _processes(home):
        if time.monotonic() > deadline:
            raise ControlPlaneError(f"Processes of the control plane don't end: {sorted(pids)}")
        for pid in pids:
            # Its state goes with it, so there is nothing to shut down in order.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    shutil.rmtree(home, ignore_errors=True)


def _processes(home: Path) -> set[int]:
    """The ids of the processes that run with `home` as their state."""
    files = [home / STARTER, *(workdir(home) / "pids" / f"{name}.pid" for name in _PROGRAMS)]
    pids = {int(text) for file in files if (text := _read(file)).isdigit()}
    # After a restart of the machine an id may belong to someone else's process.
    return {pid for pid in pids if str(home) in _command_line(pid)}


def _command_line(pid: int) -> str:
    """The command of a process; empty if there is none or it has ended."""
    if Path("/proc/self/cmdline").exists():
        return _read(Path(f"/proc/{pid}/cmdline"))
    ps = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(ps, capture_output=True, text=True, check=False).stdout


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

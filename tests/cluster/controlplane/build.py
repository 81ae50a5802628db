"""Builds the control plane's programs from their Go modules, once, into a cache folder."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Final

from tests.cluster.controlplane.binaries import (
    KUBERNETES_VERSION,
    PROGRAMS,
    Binaries,
    Program,
    build_folder,
    find_built,
    version_of,
)
from tests.cluster.controlplane.locks import exclusive
from tests.cluster.controlplane.toolchain import ToolchainError, find_go

if TYPE_CHECKING:
    from pathlib import Path

_HEARTBEAT_SECONDS: Final = 30


class BuildError(Exception):
    """The programs could not be built; the message ends with what Go said."""


def build() -> Binaries:
    """The programs, built now unless an earlier build is in the cache; prints its progress.

    Raises:
        BuildError: there is no Go, or a program doesn't compile.
    """
    built = find_built()
    if built is not None:
        return built
    folder = build_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    waiting = "Another process builds the control plane: waiting for it."
    with exclusive(folder.parent / "build.lock", waiting=waiting):
        built = find_built()  # another process may have built while we waited
        return built or _build_into(folder)


def _build_into(folder: Path) -> Binaries:
    try:
        go = find_go()
    except ToolchainError as error:
        raise BuildError(str(error)) from error
    _say(f"Building Kubernetes {KUBERNETES_VERSION} once, with {go}, into {folder}.")
    _say("About 10 minutes on two cores; Go's own caches take 7 GB (`go clean -cache -modcache`).")
    # Survives an interruption: the next build goes on after the last finished program.
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(exist_ok=True)
    start = time.monotonic()
    for number, program in enumerate(PROGRAMS, start=1):
        label = f"[{number}/{len(PROGRAMS)}] {program.name}"
        if not (partial / program.name).exists():
            _compile(go, program, partial, label)
        _say(f"{label}: done, {_elapsed(start)} in all")
    version = version_of(partial / "kube-apiserver")
    if KUBERNETES_VERSION not in version:
        raise BuildError(
            f"The API server built calls itself {version!r}, not {KUBERNETES_VERSION}."
        )
    partial.rename(folder)
    return Binaries.in_folder(folder)


def _compile(go: Path, program: Program, folder: Path, label: str) -> None:
    unfinished = folder / f"{program.name}.unfinished"
    command: list[str | Path] = [
        go,
        "build",
        "-ldflags",
        program.ldflags,
        "-o",
        unfinished,
        program.package,
    ]
    start = time.monotonic()
    _say(f"{label}: building")
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, cwd=program.module, env=_environment(), stdout=output, stderr=output
        )
        try:
            while _is_running(process):
                _say(f"{label}: still building, {_elapsed(start)}")
        finally:
            process.terminate()
            process.wait()
        if process.returncode != 0:
            output.seek(0)
            raise BuildError(f"{program.name} could not be built.\n{output.read().strip()}")
    unfinished.rename(folder / program.name)


def _is_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=_HEARTBEAT_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _environment() -> dict[str, str]:
    return os.environ | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def _elapsed(start: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - start), 60)
    return f"{minutes}:{seconds:02} min"


def _say(line: str) -> None:
    print(line, flush=True)

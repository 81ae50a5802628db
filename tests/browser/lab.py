"""JupyterLab as a process of its own: a free loopback port, a token, nobody's own settings."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_START_SECONDS: Final = 60
_THEMES: Final = "@jupyterlab/apputils-extension:themes"
_QUIET: Final = {
    # No question about news, and no look at the package index for updates.
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}
}


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab.

    Attributes:
        url: with a slash at its end.
        root: the folder that it serves.
        log: what the server and its kernels write.
    """

    url: str
    token: str
    root: Path
    home: Path
    log: Path

    def add_kernel(self, name: str, environment: Mapping[str, str]) -> None:
        """A kernel of this interpreter with more in its environment; it can be used at once."""
        folder = self._kernel(name)
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {
            "argv": command,
            "display_name": name,
            "language": "python",
            "env": dict(environment),
        }
        (folder / "kernel.json").write_text(json.dumps(spec))

    def remove_kernel(self, name: str) -> None:
        """Notebooks that name it find no kernel from now on."""
        shutil.rmtree(self._kernel(name))

    def end_kernels(self) -> None:
        """Shut all kernels down, as closing their notebooks would."""
        for session in self.request("GET", "api/sessions"):
            self.request("DELETE", f"api/sessions/{session['id']}")

    def choose_theme(self, theme: str) -> None:
        """`JupyterLab Light` or `JupyterLab Dark`; pages loaded from now on have it."""
        body = {"raw": json.dumps({"theme": theme})}
        self.request("PUT", f"lab/api/settings/{_THEMES}", body)

    def _kernel(self, name: str) -> Path:
        return self.home / "data" / "kernels" / name

    def request(self, method: str, path: str, body: object = None) -> Any:
        """A call of the server's REST API; None where it answers nothing."""
        request = urllib.request.Request(  # noqa: S310 - http, ours
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - http, ours
            content = answer.read()
        return json.loads(content) if content else None


@contextmanager
def serve(home: Path) -> Iterator[Lab]:
    """Run JupyterLab with everything it keeps below `home`; it ends with the block.

    Raises:
        RuntimeError: it ended before it answered; with the end of its log.
    """
    root, runtime, log = home / "root", home / "runtime", home / "jupyter.log"
    root.mkdir(parents=True)
    token = secrets.token_hex(16)
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        "--ServerApp.port=0", f"--ServerApp.token={token}", f"--ServerApp.root_dir={root}",
        "--ServerApp.terminals_enabled=False", "--LabApp.extension_manager=readonly",
    ]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=_environment(home), cwd=root, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        lab = Lab(_url(process, runtime, log), token, root, home, log)
        for name, setting in _QUIET.items():
            lab.request("PUT", f"lab/api/settings/{name}", {"raw": json.dumps(setting)})
        yield lab
        lab.end_kernels()
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(home: Path) -> dict[str, str]:
    """The system's alone: no key, cluster or Jupyter setting of the person who runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    folders = {
        "HOME": "home",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    for variable, name in folders.items():
        folder = home / name
        folder.mkdir(parents=True, exist_ok=True)
        kept[variable] = str(folder)
    return kept


def _url(process: subprocess.Popen[bytes], runtime: Path, log: Path) -> str:
    """Where it listens, from the file that the server writes once it does."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for written in runtime.glob("jpserver-*.json"):
            try:
                url: str = json.loads(written.read_text())["url"]
            except ValueError:  # it is being written just now
                continue
            return url
        time.sleep(0.05)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")

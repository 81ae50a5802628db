"""Starts a control plane: every process on loopback, nothing ever downloaded."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from tests.cluster.controlplane.configuration import kwokctl_configuration
from tests.cluster.controlplane.kubeconfig import Endpoint, encoded, write_kubeconfig
from tests.cluster.controlplane.locks import exclusive
from tests.cluster.controlplane.processes import (
    NAME,
    STARTER,
    ControlPlaneError,
    stop_cluster,
    workdir,
)

if TYPE_CHECKING:
    from types import TracebackType

    from tests.cluster.controlplane.binaries import Binaries

_FILES: Final = Path(__file__).parent
_REPOSITORY: Final = _FILES.parents[2]
_READY_SECONDS: Final = 120
_ALL_READY: Final = "True True True"
_POD_LOG: Final = ("listening on port 80", "GET /healthz 200", "GET / 200")


@dataclass(frozen=True)
class Cluster:
    """How to reach a running cluster as its admin.

    `ca_file`, `kubectl` and `audit_log` are None where a cluster that isn't ours doesn't have
    or show them.
    """

    kubeconfig: Path
    context: str
    server: str
    ca_file: Path | None
    kubectl: Path | None
    audit_log: Path | None


class ControlPlane:
    """A control plane for as long as a `with` block, or until `close()`, or this process's end.

    A guard process ends it also when this process is killed.
    """

    def __init__(self, binaries: Binaries, *, context: str = "control-plane") -> None:
        self._binaries = binaries
        self._context = context
        self._home = Path(tempfile.mkdtemp(prefix="dotai-controlplane-")).resolve()
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self) -> Cluster:
        """Starts it and waits until its nodes are Ready.

        Raises:
            ControlPlaneError: it doesn't become ready; nothing of it is left running.
        """
        command = [sys.executable, "-m", f"{__package__}.guard", str(self._home)]
        self._guard = subprocess.Popen(
            command, cwd=_REPOSITORY, stdin=subprocess.PIPE, start_new_session=True
        )
        atexit.register(self.close)
        try:
            return start_cluster(self._binaries, self._home, self._context)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends every process and removes all files of it; again is allowed."""
        stop_cluster(self._home)
        atexit.unregister(self.close)
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.wait(timeout=30)

    def __enter__(self) -> Cluster:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def start_cluster(binaries: Binaries, home: Path, context: str) -> Cluster:
    """Starts a cluster that outlives this process; its state is in `home`, an absolute path.

    Raises:
        ControlPlaneError: it doesn't become ready. What did start is for `stop_cluster` to end.
    """
    missing = [path for path in asdict(binaries).values() if not os.access(path, os.X_OK)]
    if missing:
        # kwokctl would try to download what it doesn't find
        raise ControlPlaneError(f"These programs are missing: {', '.join(map(str, missing))}")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    configuration = home / "cluster.yaml"
    log = _write_pod_log(home)
    configuration.write_text(kwokctl_configuration(binaries, log), encoding="utf-8")
    kwokctl = [str(binaries.kwokctl), "--config", str(configuration), "--name", NAME]
    # An empty --kubeconfig keeps kwokctl from adding a context to the person's own file.
    create = ["create", "cluster", "--kubeconfig=", f"--wait={_READY_SECONDS}s"]
    # kwokctl picks free ports before the programs listen on them: two at once pick the same.
    with exclusive(Path(tempfile.gettempdir()) / f"dotai-controlplane-{os.getuid()}.lock"):
        _run([*kwokctl, *create], binaries, home)
        cluster = _describe(binaries, home, context)
        _add_nodes(cluster, binaries, home)
    return cluster


def _write_pod_log(home: Path) -> Path:
    """What every pod has logged, in the container runtime's format."""
    log = home / "pod.log"
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    lines = [f"{stamp}.{i:09}Z stdout F {line}\n" for i, line in enumerate(_POD_LOG)]
    log.write_text("".join(lines), encoding="utf-8")
    return log


def _describe(binaries: Binaries, home: Path, context: str) -> Cluster:
    state = workdir(home)
    written = yaml.safe_load((state / "kubeconfig.yaml").read_text(encoding="utf-8"))
    pki = state / "pki"
    cluster = Cluster(
        kubeconfig=home / "kubeconfig.yaml",
        context=context,
        server=written["clusters"][0]["cluster"]["server"],
        ca_file=pki / "ca.crt",
        kubectl=binaries.kubectl,
        audit_log=state / "logs" / "audit.log",
    )
    user = {
        "client-certificate-data": encoded((pki / "admin.crt").read_bytes()),
        "client-key-data": encoded((pki / "admin.key").read_bytes()),
    }
    endpoint = Endpoint(cluster.server, (pki / "ca.crt").read_bytes())
    write_kubeconfig(cluster.kubeconfig, context, endpoint, user)
    return cluster


def _add_nodes(cluster: Cluster, binaries: Binaries, home: Path) -> None:
    kubectl = [str(binaries.kubectl), "--kubeconfig", str(cluster.kubeconfig)]
    _run([*kubectl, "create", f"--filename={_FILES / 'nodes.yaml'}"], binaries, home)
    # Ready is not enough: until the controllers take the first taints away, nothing is scheduled.
    state = (
        "jsonpath={.items[*].spec.taints}{.items[*].status.conditions[?(@.type=='Ready')].status}"
    )
    deadline = time.monotonic() + _READY_SECONDS
    while _run([*kubectl, "get", "nodes", "--output", state], binaries, home) != _ALL_READY:
        if time.monotonic() > deadline:
            raise ControlPlaneError(f"The fake nodes aren't Ready within {_READY_SECONDS} s.")
        time.sleep(0.1)


def _run(command: list[str], binaries: Binaries, home: Path) -> str:
    environment = {
        # kwokctl takes kubectl from PATH before the one it is told
        "PATH": os.pathsep.join([str(binaries.kubectl.parent), os.environ.get("PATH", "")]),
        "HOME": str(home),
        "KWOK_WORKDIR": str(home),
    }
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    starter = home / STARTER
    starter.write_text(str(process.pid), encoding="ascii")
    try:
        output, errors = process.communicate(timeout=2 * _READY_SECONDS)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        starter.unlink(missing_ok=True)
    if process.returncode != 0:
        program = Path(command[0]).name
        raise ControlPlaneError(
            f"{program} failed ({process.returncode}):\n{(errors or output).strip()}"
        )
    return output

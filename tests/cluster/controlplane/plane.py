"""Starts and stops a control plane: every process on loopback, nothing ever downloaded."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import yaml

from tests.cluster.controlplane.kubeconfig import Endpoint, encoded, write_kubeconfig

if TYPE_CHECKING:
    from types import TracebackType

    from tests.cluster.controlplane.binaries import Binaries

_FILES: Final = Path(__file__).parent
_REPOSITORY: Final = _FILES.parents[2]
_NAME: Final = "controlplane"
_COMPONENTS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
_STARTER: Final = "starter.pid"
_READY_SECONDS: Final = 120
_STOP_SECONDS: Final = 10
_CRDS: Final = ("ClusterLogs", "Logs", "Metric", "ResourceUsage", "ClusterResourceUsage")
_POD_LOG: Final = (
    "listening on port 80",
    "GET /healthz 200",
    "GET / 200",
)


class ControlPlaneError(Exception):
    """A control plane could not be started; the message says which program said what."""


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
        """Starts it and waits until its nodes are Ready, about 5 s.

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
    configuration.write_text(_configuration(binaries), encoding="utf-8")
    create = [binaries.kwokctl, "--config", configuration, "--name", _NAME, "create", "cluster"]
    # An empty --kubeconfig keeps kwokctl from adding a context to the person's own file.
    _run([*create, "--kubeconfig=", f"--wait={_READY_SECONDS}s"], binaries, home)
    cluster = _describe(binaries, home, context)
    _add_nodes_and_logs(cluster, binaries, home)
    return cluster


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


def is_running(home: Path) -> bool:
    """Whether all five programs of the cluster in `home` run."""
    return len(_processes(home)) == len(_COMPONENTS)


def describe(home: Path, context: str, kubectl: Path) -> Cluster:
    """The running cluster whose state is in `home`."""
    workdir = _workdir(home)
    written = yaml.safe_load((workdir / "kubeconfig.yaml").read_text(encoding="utf-8"))
    return Cluster(
        kubeconfig=home / "kubeconfig.yaml",
        context=context,
        server=written["clusters"][0]["cluster"]["server"],
        ca_file=workdir / "pki" / "ca.crt",
        kubectl=kubectl,
        audit_log=workdir / "logs" / "audit.log",
    )


def _configuration(binaries: Binaries) -> str:
    options = {
        "runtime": "binary",
        "bindAddress": "127.0.0.1",
        "securePort": True,
        "kubeAuthorization": True,
        "kubeAdmission": True,
        "kubeAuditPolicy": str(_FILES / "audit-policy.yaml"),
        "enableCRDs": list(_CRDS),
        # kube-controller-manager's 20 requests a second would make hundreds of pods slow
        "disableQPSLimits": True,
        "etcdBinary": str(binaries.etcd),
        "kubeApiserverBinary": str(binaries.kube_apiserver),
        "kubeControllerManagerBinary": str(binaries.kube_controller_manager),
        "kubeSchedulerBinary": str(binaries.kube_scheduler),
        "kwokControllerBinary": str(binaries.kwok),
        "kubectlBinary": str(binaries.kubectl),
    }
    document = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": options,
        "componentsPatches": [
            _extra_arguments("etcd", {"unsafe-no-fsync": "true"}),
            _extra_arguments(
                "kube-apiserver",
                {
                    # A machine without a network has no address that the server could pick, and
                    # loopback isn't accepted: an address set aside for documentation (RFC 5737).
                    "advertise-address": "192.0.2.1",
                    # megabytes: a test's records must not be rotated away while it runs
                    "audit-log-maxsize": "10000",
                },
            ),
        ],
    }
    stages = (_FILES / "stages.yaml").read_text(encoding="utf-8")
    return f"{yaml.safe_dump(document, sort_keys=False)}---\n{stages}"


def _extra_arguments(component: str, arguments: dict[str, str]) -> dict[str, Any]:
    extra = [{"key": key, "value": value} for key, value in arguments.items()]
    return {"name": component, "extraArgs": extra}


def _describe(binaries: Binaries, home: Path, context: str) -> Cluster:
    cluster = describe(home, context, binaries.kubectl)
    pki = _workdir(home) / "pki"
    user = {
        "client-certificate-data": encoded((pki / "admin.crt").read_bytes()),
        "client-key-data": encoded((pki / "admin.key").read_bytes()),
    }
    endpoint = Endpoint(cluster.server, (pki / "ca.crt").read_bytes())
    write_kubeconfig(cluster.kubeconfig, context, endpoint, user)
    return cluster


def _add_nodes_and_logs(cluster: Cluster, binaries: Binaries, home: Path) -> None:
    log = home / "pod.log"
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    # the container runtime's format, which `kubectl logs` is answered from
    lines = [f"{stamp}.{i:09}Z stdout F {line}\n" for i, line in enumerate(_POD_LOG)]
    log.write_text("".join(lines), encoding="utf-8")
    every_pod = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "every-pod"},
        "spec": {"logs": [{"logsFile": str(log)}]},
    }
    manifest = home / "cluster-logs.yaml"
    manifest.write_text(yaml.safe_dump(every_pod), encoding="utf-8")
    kubectl = [binaries.kubectl, "--kubeconfig", cluster.kubeconfig]
    _run([*kubectl, "create", "-f", _FILES / "nodes.yaml", "-f", manifest], binaries, home)
    ready = ["wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={_READY_SECONDS}s"]
    _run([*kubectl, *ready], binaries, home)


def _run(command: list[str | Path], binaries: Binaries, home: Path) -> None:
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
        stderr=subprocess.STDOUT,
        text=True,
    )
    starter = home / _STARTER
    starter.write_text(str(process.pid), encoding="ascii")
    try:
        output, _ = process.communicate(timeout=2 * _READY_SECONDS)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        starter.unlink(missing_ok=True)
    if process.returncode != 0:
        raise ControlPlaneError(
            f"{Path(command[0]).name} failed ({process.returncode}):\n{output.strip()}"
        )


def _workdir(home: Path) -> Path:
    return home / "clusters" / _NAME


def _processes(home: Path) -> set[int]:
    """The ids of the processes that run with `home` as their state."""
    files = [home / _STARTER, *(_workdir(home) / "pids" / f"{name}.pid" for name in _COMPONENTS)]
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

"""A cluster to practise on: `python -m tests.cluster.practice start | stop | status`.

The tests' control plane with a small sample application, left running until `stop`. Its state,
`kubeconfig.yaml` among it, is in `$XDG_CACHE_HOME/dotai-nb/practice` (`~/.cache/...` by default).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.cluster.controlplane.binaries import Binaries, cache_home, find_built, find_installed
from tests.cluster.controlplane.build import BuildError, build
from tests.cluster.controlplane.locks import exclusive
from tests.cluster.controlplane.plane import Cluster, start_cluster
from tests.cluster.controlplane.processes import ControlPlaneError, is_running, stop_cluster

CONTEXT: Final = "dotai-practice"
_APPLICATION: Final = Path(__file__).with_name("practice.yaml")
# Written when the sample application stands: a start that was interrupted lacks it.
_COMPLETE: Final = "complete"


def main() -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.practice")
    parser.add_argument("command", choices=["start", "stop", "status"])
    command = parser.parse_args().command
    home = cache_home().resolve() / "practice"
    home.parent.mkdir(parents=True, exist_ok=True)
    try:
        waiting = "Another process starts or stops the practice cluster: waiting for it."
        with exclusive(home.parent / "practice.lock", waiting=waiting):
            return {"start": start, "stop": stop, "status": status}[command](home)
    except (BuildError, ControlPlaneError) as error:
        print(error, file=sys.stderr)
        return 1


def start(home: Path) -> int:
    """Starts the practice cluster unless it runs; returns the exit status."""
    if _is_complete(home):
        _say("The practice cluster is already running.")
    else:
        binaries = _binaries()
        _start(binaries, home)
    _say_how_to_use(home)
    return 0


def stop(home: Path) -> int:
    """Ends the practice cluster and removes its state; returns the exit status."""
    running = is_running(home)
    stop_cluster(home)
    _say("The practice cluster is stopped." if running else "No practice cluster was running.")
    return 0


def status(home: Path) -> int:
    """Says whether the practice cluster runs; returns 0 if it does, else 3."""
    if not _is_complete(home):
        _say("No practice cluster is running. Start one: make practice")
        return 3
    _say("The practice cluster is running.")
    _say_how_to_use(home)
    return 0


def create_application(cluster: Cluster) -> None:
    """Creates the sample application in the namespace shop and waits for its pods.

    Raises:
        ControlPlaneError: kubectl can't; with its words.
    """
    kubectl = [str(cluster.kubectl or "kubectl"), "--kubeconfig", str(cluster.kubeconfig)]
    _run([*kubectl, "apply", f"--filename={_APPLICATION}"])
    for name in ("my-api", "web"):
        rollout = ["rollout", "status", f"deployment/{name}", "--timeout=60s"]
        _run([*kubectl, "--namespace=shop", *rollout])


def remove_application(cluster: Cluster) -> None:
    """Has the sample application and the mark of a practice cluster deleted; waits for nothing.

    Raises:
        ControlPlaneError: kubectl can't; with its words.
    """
    kubectl = [str(cluster.kubectl or "kubectl"), "--kubeconfig", str(cluster.kubeconfig)]
    _run([*kubectl, "delete", f"--filename={_APPLICATION}", "--ignore-not-found", "--wait=false"])


def _start(binaries: Binaries, home: Path) -> None:
    began = time.monotonic()
    stop_cluster(home)  # what an interrupted start or a restart of the machine left behind
    try:
        _say("Starting etcd, kube-apiserver, controllers, scheduler and three fake nodes.")
        cluster = start_cluster(binaries, home, CONTEXT)
        _say("Creating the sample application: namespace shop, Deployments my-api and web.")
        create_application(cluster)
    except BaseException:
        stop_cluster(home)
        raise
    (home / _COMPLETE).touch()
    _say(f"Ready after {time.monotonic() - began:.1f} s: {cluster.server}")


def _binaries() -> Binaries:
    found = find_built() or find_installed()
    if found is None:
        _say("The control plane isn't built yet: building it now, this once.")
    return found or build()


def _is_complete(home: Path) -> bool:
    return (home / _COMPLETE).exists() and is_running(home)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ControlPlaneError(f"kubectl failed ({done.returncode}): {done.stderr.strip()}")


def _say_how_to_use(home: Path) -> None:
    _say(f"\nexport KUBECONFIG={home / 'kubeconfig.yaml'}\n")
    _say(f"Next: run that line, then make lab. The context is {CONTEXT}, the namespace shop.")
    _say("To end it: make practice-stop")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

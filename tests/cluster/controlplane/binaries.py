"""Which programs make up the control plane, in which versions, and where they are found."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MODULES: Final = Path(__file__).parent
KUBERNETES_VERSION: Final = "v1.37.2"
KWOK_VERSION: Final = "v0.8.0"

_MAJOR, _MINOR = KUBERNETES_VERSION.removeprefix("v").split(".")[:2]
# Without these the server and kubectl call themselves v0.0.0. The first package is what
# `kubectl version` shows, the second what a client's User-Agent says.
_KUBERNETES_LDFLAGS: Final = "-s -w" + "".join(
    f" -X {package}.gitVersion={KUBERNETES_VERSION}"
    f" -X {package}.gitMajor={_MAJOR} -X {package}.gitMinor={_MINOR}"
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
)
_KWOK_LDFLAGS: Final = f"-s -w -X sigs.k8s.io/kwok/pkg/consts.Version={KWOK_VERSION}"


@dataclass(frozen=True)
class Program:
    """One program and how Go builds it."""

    name: str
    package: str
    module: Path
    ldflags: str


PROGRAMS: Final = (
    Program("kubectl", "k8s.io/kubernetes/cmd/kubectl", MODULES, _KUBERNETES_LDFLAGS),
    Program("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", MODULES, _KUBERNETES_LDFLAGS),
    Program(
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        MODULES,
        _KUBERNETES_LDFLAGS,
    ),
    Program("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", MODULES, _KUBERNETES_LDFLAGS),
    Program("etcd", "go.etcd.io/etcd/server/v3", MODULES, "-s -w"),
    Program("kwok", "sigs.k8s.io/kwok/cmd/kwok", MODULES / "kwok", _KWOK_LDFLAGS),
    Program("kwokctl", "sigs.k8s.io/kwok/cmd/kwokctl", MODULES / "kwok", _KWOK_LDFLAGS),
)


@dataclass(frozen=True)
class Binaries:
    """The seven programs, each an absolute path."""

    kubectl: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    etcd: Path
    kwok: Path
    kwokctl: Path

    @classmethod
    def in_folder(cls, folder: Path) -> Binaries:
        """The programs under their own names in `folder`; whether they exist isn't checked."""
        return cls(**{_field(program.name): folder / program.name for program in PROGRAMS})


def cache_home() -> Path:
    """`$XDG_CACHE_HOME/dotai-nb`, by default `~/.cache/dotai-nb`; may not exist yet."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dotai-nb"


def build_folder() -> Path:
    """Where this state of the modules, versions and flags is built to; may not exist yet."""
    digest = hashlib.sha256()
    for module in (MODULES, MODULES / "kwok"):
        digest.update((module / "go.mod").read_bytes())
        digest.update((module / "go.sum").read_bytes())
    digest.update(repr([(p.name, p.package, p.ldflags) for p in PROGRAMS]).encode())
    digest.update(f"{platform.system()}/{platform.machine()}".encode())
    return cache_home() / "controlplane" / digest.hexdigest()[:16]


def find_built() -> Binaries | None:
    """The programs of an earlier build of exactly these modules, or None."""
    # The folder is renamed into place as a whole, so its presence means that it is complete.
    folder = build_folder()
    return Binaries.in_folder(folder) if folder.is_dir() else None


def find_installed() -> Binaries | None:
    """The programs on PATH, or None unless all are there and Kubernetes is of our minor version."""
    found = {program.name: shutil.which(program.name) for program in PROGRAMS}
    paths = {_field(name): Path(path).absolute() for name, path in found.items() if path}
    if len(paths) < len(PROGRAMS):
        return None
    binaries = Binaries(**paths)
    wanted = KUBERNETES_VERSION.rpartition(".")[0]
    return binaries if f" {wanted}." in version_of(binaries.kube_apiserver) else None


def version_of(kubernetes_program: Path) -> str:
    """What a Kubernetes server program answers to `--version`, for example `Kubernetes v1.37.2`."""
    answer = subprocess.run(
        [kubernetes_program, "--version"], capture_output=True, text=True, check=False, timeout=60
    )
    return answer.stdout.strip()


def _field(name: str) -> str:
    return name.replace("-", "_")

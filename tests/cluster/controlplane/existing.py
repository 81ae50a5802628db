"""A cluster that someone named for the tests, read from its kubeconfig."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.controlplane.plane import Cluster


def existing_cluster(kubeconfig: Path, folder: Path) -> Cluster:
    """The cluster of a kubeconfig's current context; its CA is copied into `folder`.

    Raises:
        OSError: the file can't be read.
        KeyError: it names no current context, or one that it doesn't hold.
    """
    document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    context = document["current-context"]
    cluster = _named(
        document["clusters"], _named(document["contexts"], context, "context")["cluster"], "cluster"
    )
    kubectl = shutil.which("kubectl")
    return Cluster(
        kubeconfig=kubeconfig.absolute(),
        context=context,
        server=cluster["server"],
        ca_file=_ca_file(cluster, kubeconfig.parent, folder),
        kubectl=Path(kubectl) if kubectl else None,
        audit_log=None,
    )


def _ca_file(cluster: dict[str, Any], beside: Path, folder: Path) -> Path | None:
    if "certificate-authority" in cluster:
        named: str = cluster["certificate-authority"]
        return (beside / named).absolute()
    if "certificate-authority-data" not in cluster:
        return None
    file = folder / "ca.crt"
    file.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    return file


def _named(entries: list[dict[str, Any]], name: str, field: str) -> dict[str, Any]:
    """What a kubeconfig's list holds under a name."""
    found: dict[str, Any] = {entry["name"]: entry for entry in entries}[name][field]
    return found

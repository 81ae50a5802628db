"""Logs for pods that the fake kubelet runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.cluster.admin import Admin


def write_log(admin: Admin, namespace: str, pod: str, folder: Path, lines: Sequence[str]) -> None:
    """A log of a pod's own, in the container runtime's format, once the fake kubelet serves it."""
    kwok = "kwok.x-k8s.io"
    if not admin.find("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"logs.{kwok}"):
        pytest.skip("Logs can be written by a test only where kwok plays the kubelet.")
    path = folder / "pod.log"
    stamped = (f"2026-11-23T04:00:00.000000000Z stdout F {line}\n" for line in lines)
    path.write_text("".join(stamped), encoding="utf-8")
    admin.create(
        {
            "apiVersion": f"{kwok}/v1alpha1",
            "kind": "Logs",
            "metadata": {"name": pod},
            "spec": {"logs": [{"logsFile": str(path)}]},
        },
        namespace,
    )
    containers = admin.get("v1", "Pod", pod, namespace)["spec"]["containers"]
    url = f"{admin.path('v1', 'Pod', namespace, pod)}/log"
    query = {"container": containers[0]["name"]}
    admin.wait_for(f"the log of {pod}", lambda: lines[0] in admin.text("GET", url, query=query))

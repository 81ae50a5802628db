"""What kwokctl is told: which programs to start, with which options, and how pods behave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from tests.cluster.controlplane.binaries import Binaries

_FILES: Final = Path(__file__).parent
# ClusterLogs isn't among them: ours is in the file, so that it holds from the first pod on.
_CRDS: Final = ("Logs", "Metric", "ResourceUsage", "ClusterResourceUsage")


def kwokctl_configuration(binaries: Binaries, pod_log: Path) -> str:
    """The file for `kwokctl --config`: options, every Stage, and the log that every pod has."""
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
    logs = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "every-pod"},
        "spec": {"logs": [{"logsFile": str(pod_log)}]},
    }
    stages = (_FILES / "stages.yaml").read_text(encoding="utf-8")
    return f"{yaml.safe_dump_all([document, logs], sort_keys=False)}---\n{stages}"


def _extra_arguments(component: str, arguments: dict[str, str]) -> dict[str, Any]:
    extra = [{"key": key, "value": value} for key, value in arguments.items()]
    return {"name": component, "extraArgs": extra}

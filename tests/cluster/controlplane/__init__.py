"""A real Kubernetes control plane without containers, for the tests and for practice.

kube-apiserver, kube-controller-manager, kube-scheduler and etcd are built from their Go modules
(`build`), started on loopback by kwokctl with fake nodes whose pods become Ready (`plane`), and
what clients sent is read back from the API server's audit log (`audit`).
"""

from tests.cluster.controlplane.audit import AuditRecord, read_audit_log
from tests.cluster.controlplane.binaries import Binaries, find_built, find_installed
from tests.cluster.controlplane.build import BuildError, build
from tests.cluster.controlplane.plane import Cluster, ControlPlane
from tests.cluster.controlplane.processes import ControlPlaneError

__all__ = [
    "AuditRecord",
    "Binaries",
    "BuildError",
    "Cluster",
    "ControlPlane",
    "ControlPlaneError",
    "build",
    "find_built",
    "find_installed",
    "read_audit_log",
]

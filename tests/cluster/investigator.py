"""The shipped manifests of the investigating identity, applied as an administrator would."""

from __future__ import annotations

import subprocess
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kubernetes.client.exceptions import ApiException

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.admin import Admin
    from tests.cluster.controlplane.plane import Cluster
    from tests.cluster.fixtures import Agent

MANIFESTS = Path(__file__).parents[2] / "manifests" / "investigator"
NAMESPACE = "dotai"
INVESTIGATOR = f"system:serviceaccount:{NAMESPACE}:investigator"
RBAC = "rbac.authorization.k8s.io"


@contextmanager
def applied(cluster: Cluster, admin: Admin) -> Iterator[None]:
    """The manifests, until the block ends; the guard is in force when it begins."""
    _kubectl(cluster, "apply", "-f", str(MANIFESTS))
    try:
        admin.wait_for("the guard is in force", lambda: _refused(admin))
        yield
    finally:
        _kubectl(cluster, "delete", "--wait=false", "-f", str(MANIFESTS))


def may_investigate(admin: Admin, agent: Agent) -> None:
    """Lets an agent investigate as the investigator: the shipped Role, bound to it too."""
    name = f"investigate-{agent.namespace}"
    account = {"kind": "ServiceAccount", "name": agent.context, "namespace": agent.namespace}
    role = {"apiGroup": RBAC, "kind": "Role", "name": "investigate"}
    _bind(admin, name, role, account, NAMESPACE)


def may_everything(admin: Admin, namespace: str) -> None:
    """Takes RBAC out of the investigator's way in a namespace: only the guard is left."""
    account = {"kind": "ServiceAccount", "name": "investigator", "namespace": NAMESPACE}
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
    _bind(admin, "everything", role, account, namespace)


def _bind(
    admin: Admin, name: str, role: dict[str, str], subject: dict[str, str], namespace: str
) -> None:
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": role,
        "subjects": [subject],
    }
    admin.create(binding, namespace)


def _refused(admin: Admin) -> bool:
    """Whether a real write of the investigator is refused by now, and by the guard."""
    manifest = {"apiVersion": "v1", "kind": "ConfigMap"}
    try:
        admin.request(
            "POST",
            f"/api/v1/namespaces/{NAMESPACE}/configmaps",
            body={**manifest, "metadata": {"name": f"probe-{uuid.uuid4().hex[:8]}"}},
            headers={"Impersonate-User": INVESTIGATOR},
        )
    except ApiException as error:
        return "never writes" in str(error.body)
    return False


def _kubectl(cluster: Cluster, *arguments: str) -> None:
    program = str(cluster.kubectl or "kubectl")
    subprocess.run([program, f"--kubeconfig={cluster.kubeconfig}", *arguments], check=True)

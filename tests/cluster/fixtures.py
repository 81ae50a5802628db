"""Fixtures that build real things on a real API server; a pytest plugin."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

import pytest

from tests.cluster.admin import Admin, Json
from tests.cluster.controlplane.audit import AuditRecord, read_audit_log
from tests.cluster.controlplane.binaries import Binaries, find_built, find_installed
from tests.cluster.controlplane.build import BuildError, build
from tests.cluster.controlplane.existing import existing_cluster
from tests.cluster.controlplane.kubeconfig import Endpoint, write_kubeconfig
from tests.cluster.controlplane.plane import Cluster, ControlPlane
from tests.cluster.controlplane.processes import ControlPlaneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_READ: Final = ("get", "list", "watch")
_WRITE: Final = ("create", "update", "patch", "delete")
_IN_NAMESPACE: Final[list[tuple[str, tuple[str, ...]]]] = [
    ("", ("pods", "pods/log", "services", "configmaps", "events", "persistentvolumeclaims",
          "serviceaccounts", "endpoints", "resourcequotas", "limitranges")),
    ("apps", ("deployments", "deployments/scale", "statefulsets", "statefulsets/scale",
              "daemonsets", "replicasets", "controllerrevisions")),
    ("batch", ("jobs", "cronjobs")),
    ("autoscaling", ("horizontalpodautoscalers",)),
    ("policy", ("poddisruptionbudgets",)),
    ("networking.k8s.io", ("ingresses", "networkpolicies")),
    ("discovery.k8s.io", ("endpointslices",)),
    ("events.k8s.io", ("events",)),
]  # fmt: skip
_WRITABLE: Final[list[tuple[str, tuple[str, ...]]]] = [
    ("", ("services", "configmaps")),
    ("apps", ("deployments", "deployments/scale", "statefulsets", "statefulsets/scale")),
    ("autoscaling", ("horizontalpodautoscalers",)),
    ("policy", ("poddisruptionbudgets",)),
    ("networking.k8s.io", ("ingresses", "networkpolicies")),
]


@dataclass(frozen=True)
class Agent:
    """A least-privilege identity: a ServiceAccount's token in a kubeconfig of its own."""

    kubeconfig: Path
    context: str
    namespace: str
    username: str
    token: str


class DeploymentFactory(Protocol):
    """Creates a Deployment; see the fixture `deployment`."""

    def __call__(
        self,
        name: str = ...,
        *,
        replicas: int = ...,
        image: str = ...,
        wait: bool = ...,
        annotations: dict[str, str] | None = ...,
        spec: Json | None = ...,
    ) -> Json: ...


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real API server for the whole run.

    The one of `DOTAI_TEST_KUBECONFIG`, else our own, from programs built or installed, else from
    a build. Where none can be had the test is skipped, with `CI=true` it fails.
    """
    named = os.environ.get("DOTAI_TEST_KUBECONFIG")
    if named:
        yield existing_cluster(Path(named), tmp_path_factory.mktemp("cluster"))
        return
    try:
        plane = ControlPlane(_binaries())
        cluster = plane.start()
    except (BuildError, ControlPlaneError) as error:
        _no_cluster(str(error).partition("\n")[0])
    try:
        yield cluster
    finally:
        plane.close()


@pytest.fixture(scope="session")
def admin(control_plane: Cluster) -> Iterator[Admin]:
    """The checker, with the admin's rights."""
    checker = Admin(control_plane.kubeconfig, control_plane.context)
    yield checker
    checker.close()


@pytest.fixture
def namespace(admin: Admin) -> Iterator[str]:
    """The name of a namespace of the test's own; its deletion isn't waited for."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    # Until its default ServiceAccount exists, pods are refused and retried ever more slowly.
    admin.wait_for(
        f"the default ServiceAccount of {name}",
        lambda: admin.find("v1", "ServiceAccount", "default", name) is not None,
    )
    yield name
    admin.delete("v1", "Namespace", name)


@pytest.fixture
def agent(control_plane: Cluster, admin: Admin, namespace: str, tmp_path: Path) -> Agent:
    """May read the namespace and write its workloads; nothing else, no Secrets."""
    return create_agent(control_plane, admin, namespace, tmp_path)


@pytest.fixture
def reader(control_plane: Cluster, admin: Admin, namespace: str, tmp_path: Path) -> Agent:
    """May read the same as `agent`, and write nothing."""
    rules = _rules(_IN_NAMESPACE, _READ)
    return _identity("reader", rules, control_plane, admin, namespace, tmp_path)


@pytest.fixture
def deployment(admin: Admin, namespace: str) -> DeploymentFactory:
    """Creates a Deployment and waits until it is ready; returns it as it is then.

    `annotations` go on its pods; `spec` is merged over the Deployment's spec, top level only.
    """

    def create(
        name: str = "my-api",
        *,
        replicas: int = 2,
        image: str = "nginx:1.19",
        wait: bool = True,
        annotations: dict[str, str] | None = None,
        spec: Json | None = None,
    ) -> Json:
        labels = {"app": name}
        container = {"name": name, "image": image, "ports": [{"containerPort": 80}]}
        template = {
            "metadata": {"labels": labels, "annotations": annotations or {}},
            "spec": {"containers": [container]},
        }
        manifest = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": template,
                **(spec or {}),
            },
        }
        created = admin.create(manifest, namespace)
        if not wait:
            return created
        admin.wait_for(f"Deployment {name} is ready", lambda: is_ready(admin, name, namespace))
        return admin.get("apps/v1", "Deployment", name, namespace)

    return create


@pytest.fixture
def audit(control_plane: Cluster) -> Callable[[], list[AuditRecord]]:
    """Returns what the API server was asked since the test began, by anyone."""
    log = control_plane.audit_log
    if log is None:
        pytest.skip("The cluster of DOTAI_TEST_KUBECONFIG doesn't show its audit log.")
    offset = log.stat().st_size
    return lambda: read_audit_log(log, offset=offset)


def is_ready(admin: Admin, deployment: str, namespace: str) -> bool:
    """Whether a Deployment's rollout is complete, as `kubectl rollout status` judges it."""
    found = admin.get("apps/v1", "Deployment", deployment, namespace)
    status = found.get("status", {})
    wanted = found["spec"]["replicas"]
    counts = [status.get(k, 0) for k in ("replicas", "updatedReplicas", "availableReplicas")]
    observed = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
    return observed and counts == [wanted, wanted, wanted]


def _binaries() -> Binaries:
    return find_built() or find_installed() or build()


def _no_cluster(reason: str) -> NoReturn:
    message = (
        f"No Kubernetes control plane for the live tests: {reason}"
        " (python -m tests.cluster.controlplane build)"
    )
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def _rules(resources: list[tuple[str, tuple[str, ...]]], verbs: tuple[str, ...]) -> list[Json]:
    return [
        {"apiGroups": [group], "resources": list(names), "verbs": list(verbs)}
        for group, names in resources
    ]


def create_agent(cluster: Cluster, admin: Admin, namespace: str, folder: Path) -> Agent:
    """The identity of the fixture `agent`, once a namespace; its kubeconfig is in `folder`."""
    rules = _rules(_IN_NAMESPACE, _READ) + _rules(_WRITABLE, _WRITE)
    return _identity("agent", rules, cluster, admin, namespace, folder)


def _identity(
    name: str, rules: list[Json], cluster: Cluster, admin: Admin, namespace: str, folder: Path
) -> Agent:
    """A ServiceAccount with these rules in its namespace, and a token."""
    rbac = "rbac.authorization.k8s.io"
    account = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    meta = {"metadata": {"name": name}}
    admin.create({"apiVersion": "v1", "kind": "ServiceAccount", **meta}, namespace)
    admin.create({"apiVersion": f"{rbac}/v1", "kind": "Role", **meta, "rules": rules}, namespace)
    role = {"apiGroup": rbac, "kind": "Role", "name": name}
    binding = {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", **meta}
    admin.create({**binding, "roleRef": role, "subjects": [account]}, namespace)
    _allow_own_namespace_and_crds(name, admin, namespace)
    token = _token(name, admin, namespace)
    ca = cluster.ca_file.read_bytes() if cluster.ca_file else None
    kubeconfig = folder / f"{name}.kubeconfig.yaml"
    endpoint = Endpoint(cluster.server, ca)
    write_kubeconfig(kubeconfig, name, endpoint, {"token": token}, namespace=namespace)
    username = f"system:serviceaccount:{namespace}:{name}"
    return Agent(kubeconfig, name, namespace, username, token)


def _allow_own_namespace_and_crds(name: str, admin: Admin, namespace: str) -> None:
    """Reads of cluster scope: its own Namespace object, and which custom resources there are.

    The ClusterRole belongs to the Namespace, so that it goes with it.
    """
    rbac = "rbac.authorization.k8s.io"
    owner = admin.get("v1", "Namespace", namespace)
    reference = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "name": namespace,
        "uid": owner["metadata"]["uid"],
    }
    full_name = f"dotai-test-{namespace}-{name}"
    meta = {"metadata": {"name": full_name, "ownerReferences": [reference]}}
    crds = {
        "apiGroups": ["apiextensions.k8s.io"],
        "resources": ["customresourcedefinitions"],
        "verbs": list(_READ),
    }
    own = {
        "apiGroups": [""],
        "resources": ["namespaces"],
        "resourceNames": [namespace],
        "verbs": ["get"],
    }
    role = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", **meta, "rules": [own, crds]}
    admin.create(role)
    binding = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRoleBinding", **meta}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    reference_to_role = {"apiGroup": rbac, "kind": "ClusterRole", "name": full_name}
    admin.create({**binding, "roleRef": reference_to_role, "subjects": [subject]})


def _token(name: str, admin: Admin, namespace: str) -> str:
    """A token of a ServiceAccount, valid for an hour."""
    path = f"{admin.path('v1', 'ServiceAccount', namespace, name)}/token"
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token: str = admin.request("POST", path, body=review)["status"]["token"]
    return token

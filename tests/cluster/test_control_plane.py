"""The control plane of the tests is a real one: what the other live tests rely on holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kubernetes.client.exceptions import ForbiddenException

from tests.cluster.admin import Admin, Json
from tests.cluster.controlplane.binaries import Binaries
from tests.cluster.fixtures import is_ready

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.controlplane import AuditRecord, Cluster
    from tests.cluster.fixtures import Agent, DeploymentFactory

REPOSITORY = Path(__file__).parents[2]
PATCH_IMAGE = {
    "spec": {"template": {"spec": {"containers": [{"name": "my-api", "image": "nginx:1.20"}]}}}
}


@pytest.fixture
def kubectl(control_plane: Cluster) -> Callable[..., str]:
    """Runs kubectl as the admin; returns what it prints."""
    program = control_plane.kubectl
    if program is None:
        pytest.skip("There is no kubectl on PATH.")

    def run(*arguments: str) -> str:
        command = [str(program), "--kubeconfig", str(control_plane.kubeconfig), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return run


@pytest.fixture
def own_binaries(control_plane: Cluster) -> Binaries:
    """The programs the control plane was started from."""
    if control_plane.kubectl is None or control_plane.audit_log is None:
        pytest.skip("The cluster of DOTAI_TEST_KUBECONFIG isn't started by us.")
    return Binaries.in_folder(control_plane.kubectl.parent)


def pods(admin: Admin, namespace: str) -> list[Json]:
    return admin.list("v1", "Pod", namespace, label_selector="app=my-api")


def test_server_is_the_version_that_the_client_speaks(admin: Admin) -> None:
    assert admin.request("GET", "/version")["gitVersion"] == "v1.37.2"


def test_deployment_rolls_out_in_seconds(
    admin: Admin, namespace: str, deployment: DeploymentFactory
) -> None:
    began = time.monotonic()
    created = deployment(replicas=3)
    assert time.monotonic() - began < 10
    assert created["status"]["availableReplicas"] == 3
    assert {pod["status"]["phase"] for pod in pods(admin, namespace)} == {"Running"}


def test_new_image_replaces_the_pods_and_keeps_the_old_replica_set(
    admin: Admin, namespace: str, deployment: DeploymentFactory
) -> None:
    deployment()
    admin.patch("apps/v1", "Deployment", "my-api", namespace, PATCH_IMAGE)
    admin.wait_for("the rollout is complete", lambda: is_ready(admin, "my-api", namespace))
    assert len(admin.list("apps/v1", "ReplicaSet", namespace)) == 2
    admin.wait_for(
        "only pods of the new image are left",
        lambda: (
            {pod["spec"]["containers"][0]["image"] for pod in pods(admin, namespace)}
            == {"nginx:1.20"}
        ),
    )


def test_hundreds_of_pods_become_ready(deployment: DeploymentFactory) -> None:
    assert deployment(replicas=300)["status"]["availableReplicas"] == 300


def test_server_dry_run_persists_nothing(
    admin: Admin, namespace: str, deployment: DeploymentFactory
) -> None:
    before = deployment()
    path = admin.path("apps/v1", "Deployment", namespace, "my-api")
    answer = admin.request(
        "PATCH",
        path,
        query={"dryRun": "All"},
        body=PATCH_IMAGE,
        headers={"Content-Type": "application/strategic-merge-patch+json"},
    )
    assert answer["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.20"
    after = admin.get("apps/v1", "Deployment", "my-api", namespace)
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


def test_agent_may_write_its_workloads_and_read_no_secret(
    agent: Agent, deployment: DeploymentFactory
) -> None:
    deployment()
    it = Admin(agent.kubeconfig, agent.context)
    changed = it.patch("apps/v1", "Deployment", "my-api", agent.namespace, PATCH_IMAGE)
    assert changed["metadata"]["generation"] == 2
    assert it.get("v1", "Namespace", agent.namespace)["metadata"]["name"] == agent.namespace
    assert it.list("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    for refused in (
        lambda: it.list("v1", "Secret", agent.namespace),
        lambda: it.list("v1", "Pod", "kube-system"),
        lambda: it.get("v1", "Namespace", "kube-system"),
    ):
        with pytest.raises(ForbiddenException):
            refused()


def test_reader_may_read_but_neither_write_nor_dry_run(
    reader: Agent, deployment: DeploymentFactory
) -> None:
    deployment()
    it = Admin(reader.kubeconfig, reader.context)
    assert it.get("apps/v1", "Deployment", "my-api", reader.namespace)["kind"] == "Deployment"
    path = it.path("apps/v1", "Deployment", reader.namespace, "my-api")
    patch = {"Content-Type": "application/merge-patch+json"}
    for query in ({}, {"dryRun": "All"}):
        with pytest.raises(ForbiddenException, match='cannot patch resource \\\\"deployments'):
            it.request("PATCH", path, query=query, body=PATCH_IMAGE, headers=patch)


def test_audit_log_keeps_the_clients_audit_id_and_tells_who_asked(
    agent: Agent, audit: Callable[[], list[AuditRecord]]
) -> None:
    it = Admin(agent.kubeconfig, agent.context)
    path = it.path("v1", "ConfigMap", agent.namespace)
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings"},
        "data": {"colour": "blue"},
    }
    ids = [str(uuid.uuid4()) for _ in range(3)]
    it.request("POST", path, body=body, query={"dryRun": "All"}, headers={"Audit-ID": ids[0]})
    it.request("POST", path, body=body, headers={"Audit-ID": ids[1]})
    it.request("GET", path, headers={"Audit-ID": ids[2]})

    records = {record.audit_id: record for record in audit() if record.user == agent.username}
    rehearsed, created, listed = (records[audit_id] for audit_id in ids)
    assert [r.dry_run for r in (rehearsed, created, listed)] == [True, False, False]
    assert [r.is_write for r in (rehearsed, created, listed)] == [True, True, False]
    assert (created.verb, created.resource, created.namespace, created.name, created.code) == (
        "create",
        "configmaps",
        agent.namespace,
        "settings",
        201,
    )
    assert created.request_object is not None
    assert created.request_object["data"] == {"colour": "blue"}
    assert listed.request_object is None


@pytest.mark.parametrize(
    ("query", "body", "deletes"),
    [
        ({"dryRun": "All"}, None, False),
        ({}, {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}, False),
        # the server looks at the query only where there is no body
        ({"dryRun": "All"}, {"kind": "DeleteOptions", "apiVersion": "v1"}, True),
    ],
)
def test_audit_log_tells_a_deletion_from_its_dry_run(
    agent: Agent,
    audit: Callable[[], list[AuditRecord]],
    query: dict[str, str],
    body: Json | None,
    deletes: bool,  # noqa: FBT001 - the expectation
) -> None:
    it = Admin(agent.kubeconfig, agent.context)
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    it.create(manifest, agent.namespace)
    path = it.path("v1", "ConfigMap", agent.namespace, "settings")
    it.request("DELETE", path, query=query, body=body)
    [record] = [r for r in audit() if r.user == agent.username and r.verb == "delete"]
    assert record.dry_run is not deletes
    assert (it.find("v1", "ConfigMap", "settings", agent.namespace) is None) is deletes


def test_kubectl_speaks_to_it(
    kubectl: Callable[..., str], namespace: str, deployment: DeploymentFactory
) -> None:
    deployment()
    assert "2/2" in kubectl("get", "deployment", "my-api", "--namespace", namespace)
    status = kubectl("rollout", "status", "deployment/my-api", "--namespace", namespace)
    assert "successfully rolled out" in status


def test_pods_have_logs(admin: Admin, namespace: str, deployment: DeploymentFactory) -> None:
    deployment(replicas=1)
    [pod] = pods(admin, namespace)
    path = admin.path("v1", "Pod", namespace, pod["metadata"]["name"])
    log = admin.text("GET", f"{path}/log", query={"tailLines": "2"})
    assert log.splitlines() == ["GET /healthz 200", "GET / 200"]


def test_image_that_does_not_exist_never_becomes_ready_until_it_is_fixed(
    admin: Admin, namespace: str, deployment: DeploymentFactory
) -> None:
    deployment(replicas=1, image="nginx:does-not-exist", wait=False)

    def waiting() -> list[Json]:
        statuses = [
            s for p in pods(admin, namespace) for s in p["status"].get("containerStatuses", [])
        ]
        return [status["state"].get("waiting", {}) for status in statuses]

    admin.wait_for(
        "the pod waits", lambda: [w.get("reason") for w in waiting()] == ["ImagePullBackOff"]
    )
    time.sleep(1.5)
    assert not is_ready(admin, "my-api", namespace)
    reasons = {event["reason"] for event in admin.list("v1", "Event", namespace)}
    assert {"Failed", "BackOff"} <= reasons

    admin.patch("apps/v1", "Deployment", "my-api", namespace, PATCH_IMAGE)
    admin.wait_for("the fix heals it", lambda: is_ready(admin, "my-api", namespace))


def test_slow_start_delays_readiness(
    admin: Admin, namespace: str, deployment: DeploymentFactory
) -> None:
    began = time.monotonic()
    deployment(replicas=1, annotations={"dotai.test/slow-start": "3s"}, wait=False)
    admin.wait_for(
        "the pod runs",
        lambda: [p["status"]["phase"] for p in pods(admin, namespace)] == ["Running"],
    )
    assert not is_ready(admin, "my-api", namespace)
    admin.wait_for("it becomes ready", lambda: is_ready(admin, "my-api", namespace))
    assert 3 <= time.monotonic() - began < 10


def test_nothing_is_left_when_the_process_that_started_it_is_killed(own_binaries: Binaries) -> None:
    script = f"""
import pathlib, signal
from tests.cluster.controlplane import Binaries, ControlPlane
folder = pathlib.Path({str(own_binaries.kubectl.parent)!r})
print(ControlPlane(Binaries.in_folder(folder)).start().kubeconfig, flush=True)
signal.pause()
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        home = Path(process.stdout.readline().strip()).parent
        files = home.glob("clusters/*/pids/*.pid")
        pids = [int(file.read_text(encoding="ascii")) for file in files]
        assert len(pids) == 5
        process.send_signal(signal.SIGKILL)
    Admin.wait_for("its folder is gone", lambda: not home.exists())
    assert [pid for pid in pids if _runs(pid)] == []


def _runs(pid: int) -> bool:
    state = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self").exists():
        return state.exists() and state.read_bytes() != b""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_practice_cluster_starts_once_and_stops(own_binaries: Binaries, tmp_path: Path) -> None:
    environment = os.environ | {
        "XDG_CACHE_HOME": str(tmp_path),
        "PATH": os.pathsep.join([str(own_binaries.kubectl.parent), os.environ["PATH"]]),
    }

    def practice(command: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "tests.cluster.practice", command]
        return subprocess.run(
            line, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
        )

    kubeconfig = tmp_path / "dotai-nb" / "practice" / "kubeconfig.yaml"
    try:
        started = practice("start")
        assert started.returncode == 0, started.stderr
        assert f"export KUBECONFIG={kubeconfig}" in started.stdout
        assert kubeconfig.stat().st_mode & 0o777 == 0o600
        assert "already running" in practice("start").stdout
        admin = Admin(kubeconfig, "dotai-practice")
        assert admin.get("v1", "ConfigMap", "dotai-practice", "kube-public")["data"]
        assert is_ready(admin, "my-api", "shop")
        assert practice("status").returncode == 0
    finally:
        stopped = practice("stop")
    assert "is stopped" in stopped.stdout
    assert not kubeconfig.exists()
    assert practice("status").returncode == 3

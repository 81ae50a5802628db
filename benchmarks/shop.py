"""The cluster to measure on: one Deployment, and an identity that may change it."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dotai_nb.settings import Settings
from tests.cluster.admin import Admin
from tests.cluster.controlplane import Cluster, ControlPlane, build, find_built, find_installed
from tests.cluster.fixtures import Agent, create_agent, is_ready

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "my-api"

_LABELS = {"app": NAME}
_DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": NAME, "labels": _LABELS},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": _LABELS},
        "template": {
            "metadata": {"labels": _LABELS},
            "spec": {"containers": [{"name": NAME, "image": "nginx:1.19"}]},
        },
    },
}


@dataclass(frozen=True, slots=True)
class Shop:
    """A running cluster with a namespace that holds the Deployment `my-api`, three pods ready."""

    cluster: Cluster
    agent: Agent
    folder: Path

    @property
    def settings(self) -> Settings:
        """Of the agent; sessions go to `folder`."""
        given = {"KUBECONFIG": str(self.agent.kubeconfig), "DOT_AI_SESSION_DIR": str(self.folder)}
        return Settings.model_validate(given)


@contextmanager
def open_shop(folder: Path) -> Iterator[Shop]:
    """Start a cluster for this run, from programs built or installed, else from a build."""
    with ControlPlane(find_built() or find_installed() or build()) as cluster:
        admin = Admin(cluster.kubeconfig, cluster.context)
        try:
            namespace = f"bench-{uuid.uuid4().hex[:8]}"
            admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            admin.wait_for(
                "the default ServiceAccount",
                lambda: admin.find("v1", "ServiceAccount", "default", namespace) is not None,
            )
            agent = create_agent(cluster, admin, namespace, folder)
            admin.create(_DEPLOYMENT, namespace)
            admin.wait_for("the Deployment is ready", lambda: is_ready(admin, NAME, namespace))
            yield Shop(cluster, agent, folder)
        finally:
            admin.close()

"""Reads on a real API server: kubectl's names and tables, honest answers, nothing secret."""

from __future__ import annotations

import base64
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from dotai_nb.cluster import reading
from dotai_nb.cluster.connection import Connection
from dotai_nb.errors import ApiError
from dotai_nb.session.values import ObjectRef
from dotai_nb.settings import Settings
from tests.cluster.pod_logs import write_log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.cluster.admin import Admin
    from tests.cluster.controlplane.plane import Cluster
    from tests.cluster.fixtures import Agent, DeploymentFactory

LINES = (*(f"line {number}" for number in range(10)), "\x1b[31mred\x1b[0m \x07 end")
BUDGET = 4000
CANARY = "canary-4711-never-shown"


@pytest.fixture
async def cluster(reader: Agent) -> AsyncIterator[Connection]:
    """A connection with the reader's rights."""
    connection = await Connection.open(Settings(kubeconfig=str(reader.kubeconfig)))
    yield connection
    await connection.close()


@pytest.fixture
async def as_admin(control_plane: Cluster, namespace: str) -> AsyncIterator[Connection]:
    """A connection with every right, in the test's namespace."""
    settings = Settings(kubeconfig=str(control_plane.kubeconfig))
    connection = await Connection.open(settings, context=control_plane.context)
    connection.namespace = namespace
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    "name", ["deploy", "deployments", "Deployment", "deployments.apps", "deployments.v1.apps"]
)
async def test_kubectls_names_are_understood(cluster: Connection, name: str) -> None:
    kind = await cluster.discovery.resolve(name)
    assert (kind.group, kind.version, kind.plural, kind.kind) == (
        "apps", "v1", "deployments", "Deployment",
    )  # fmt: skip
    assert kind.namespaced
    assert "scale" in kind.subresources


async def test_types_are_listed_with_their_short_names(cluster: Connection) -> None:
    everything = await reading.api_resources(cluster, budget=8000)
    rows = [line.split() for line in everything.text.split("\n")]
    assert ["horizontalpodautoscalers", "hpa", "autoscaling/v2"] in [row[:3] for row in rows]
    core = await reading.api_resources(cluster, group="core", budget=BUDGET)
    assert "apps/v1" not in core.text
    with pytest.raises(ApiError, match=r"no API group 'nowhere\.io'"):
        await reading.api_resources(cluster, group="nowhere.io", budget=BUDGET)


async def test_a_list_is_the_servers_own_table(
    cluster: Connection, deployment: DeploymentFactory
) -> None:
    deployment("web")
    plain = await reading.get(cluster, resource="deploy", budget=BUDGET)
    header, row = plain.text.split("\n")
    assert header.split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row.split()[:2] == ["web", "2/2"]
    assert plain.measured is not None
    assert (plain.measured.returned, plain.measured.total) == (1, 1)
    wide = await reading.get(cluster, resource="deploy/web", wide=True, budget=BUDGET)
    assert "nginx:1.19" in wide.text


async def test_lists_of_several_types_tell_what_could_not_be_read(
    cluster: Connection, deployment: DeploymentFactory
) -> None:
    deployment("web", replicas=1)
    both = await reading.get(cluster, resource="deploy,pods", budget=BUDGET)
    assert both.text.startswith("deployments.apps:\nNAME")
    assert "\n\npods:\nNAME" in both.text
    everything = await reading.get(cluster, resource="all", budget=BUDGET)
    assert "replicasets.apps:" in everything.text
    assert "replicationcontrollers: could not be read: " in everything.text
    assert everything.measured is not None
    assert everything.measured.truncated


async def test_a_long_list_says_how_much_is_missing(as_admin: Connection, admin: Admin) -> None:
    for number in range(40):
        meta = {"name": f"conf-{number:02}", "labels": {"many": "yes"}}
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
        admin.create(manifest, as_admin.namespace)
    few = await reading.get(as_admin, resource="cm", label_selector="many=yes", budget=200)
    assert few.measured is not None
    assert few.measured.truncated
    assert few.measured.total == 40
    assert f"Shown: {few.measured.returned} of 40 rows. Narrow" in few.text
    everywhere = await reading.get(
        as_admin, resource="cm", all_namespaces=True, name="conf-07", budget=BUDGET
    )
    assert everywhere.text.split("\n")[1].split()[:2] == [as_admin.namespace, "conf-07"]


async def test_nothing_found_says_where_and_with_what(cluster: Connection) -> None:
    empty = await reading.get(cluster, resource="jobs", label_selector="a=b", budget=BUDGET)
    assert empty.text == (
        f"No resources found in {cluster.namespace} namespace with label selector 'a=b'."
    )


async def test_a_namespace_that_is_not_there_is_told(
    as_admin: Connection, cluster: Connection
) -> None:
    missing = await reading.get(as_admin, resource="pods", namespace="nowhere", budget=BUDGET)
    assert missing.text == "Namespace 'nowhere' does not exist."
    with pytest.raises(ApiError) as caught:
        await reading.get(as_admin, resource="cm", name="x", namespace="nowhere", budget=BUDGET)
    assert caught.value.hint == "Namespace 'nowhere' does not exist."
    with pytest.raises(ApiError, match="forbidden"):
        await reading.get(cluster, resource="pods", namespace="nowhere", budget=BUDGET)


async def test_what_is_forbidden_never_looks_empty(cluster: Connection) -> None:
    for read in (
        reading.get(cluster, resource="secrets", budget=BUDGET),
        reading.get(cluster, resource="pods", all_namespaces=True, budget=BUDGET),
        reading.describe(cluster, resource="secret", name="x", budget=BUDGET),
        reading.events(cluster, namespace="kube-system", budget=BUDGET),
        reading.logs(cluster, pod="x", namespace="kube-system", budget=BUDGET),
    ):
        with pytest.raises(ApiError, match="forbidden") as caught:
            await read
        assert caught.value.code == 403


async def test_an_unknown_type_asks_did_you_mean(cluster: Connection) -> None:
    with pytest.raises(ApiError, match="resource type 'deploymet'") as caught:
        await reading.get(cluster, resource="deploymet", budget=BUDGET)
    assert "deployment" in caught.value.hint


async def test_describe_tells_conditions_owners_and_events(
    cluster: Connection, deployment: DeploymentFactory, admin: Admin
) -> None:
    deployment("web", replicas=1)
    (pod,) = admin.list("v1", "Pod", cluster.namespace)
    name = pod["metadata"]["name"]
    told = await reading.describe(cluster, resource="pod", name=name, budget=BUDGET)
    assert f"Name:          {name}" in told.text
    assert "Controlled by: ReplicaSet/web-" in told.text
    assert "image: nginx:1.19" in told.text
    assert "Ready " in told.text
    assert "Scheduled" in told.text
    assert "managedFields" not in told.text
    short = await reading.describe(cluster, resource="pod", name=name, budget=300)
    assert short.measured is not None
    assert short.measured.truncated
    assert "kubectl_get_resource_json" in short.text


async def test_events_are_of_the_object_asked_for(
    cluster: Connection, deployment: DeploymentFactory
) -> None:
    deployment("web", replicas=1)
    deployment("other", replicas=1)
    told = await reading.events(cluster, resource="deploy", name="web", budget=BUDGET)
    assert "deployment/web" in told.text
    assert "other" not in told.text
    none = await reading.events(cluster, resource="deploy", name="nothing", budget=BUDGET)
    assert none.text.startswith("No events found about deploy/nothing")


async def test_a_field_of_an_object_is_given_as_json(
    cluster: Connection, deployment: DeploymentFactory
) -> None:
    deployment("web", annotations={"example.com/key": "value"})
    place = {"resource": "deploy", "name": "web", "budget": BUDGET}
    image = await reading.resource_json(
        cluster, **place, field="spec.template.spec.containers[0].image"
    )
    assert json.loads(image.text) == "nginx:1.19"
    field = "spec.template.metadata.annotations['example.com/key']"
    assert json.loads((await reading.resource_json(cluster, **place, field=field)).text) == "value"
    whole = json.loads((await reading.resource_json(cluster, **place)).text)
    assert "managedFields" not in whole["metadata"]
    with pytest.raises(ApiError, match=r"spec\.nothing") as caught:
        await reading.resource_json(cluster, **place, field="spec.nothing")
    assert "replicas" in caught.value.hint
    folded = await reading.resource_json(cluster, **(place | {"budget": 250}))
    assert "«cut: an object with" in folded.text
    assert folded.measured is not None
    assert folded.measured.truncated


async def test_logs_are_found_by_pod_searched_and_cleaned(
    as_admin: Connection, admin: Admin, deployment: DeploymentFactory, tmp_path: Path
) -> None:
    deployment("web", replicas=1)
    (pod,) = admin.list("v1", "Pod", as_admin.namespace)
    name = pod["metadata"]["name"]
    write_log(admin, as_admin.namespace, name, tmp_path, LINES)
    told = await reading.logs(as_admin, pod=f"pod/{name}", tail=2, budget=BUDGET)
    assert told.text.split("\n") == ["line 9", "red \\x07 end"]
    found = await reading.logs(as_admin, pod=name, grep="LINE 3|line 4", budget=BUDGET)
    assert found.text.split("\n") == ["line 3", "line 4"]
    none = await reading.logs(as_admin, pod=name, grep="panic", budget=BUDGET)
    assert none.text == f"None of the last 11 lines of the log of pod {name} has 'panic'."
    with pytest.raises(ApiError, match="not found"):
        await reading.logs(as_admin, pod="nothing", budget=BUDGET)


async def test_a_pod_of_two_containers_gets_a_default_as_in_kubectl(
    as_admin: Connection, admin: Admin, deployment: DeploymentFactory, tmp_path: Path
) -> None:
    containers = [{"name": name, "image": "nginx:1.19"} for name in ("app", "side")]
    labels = {"app": "two"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    deployment("two", replicas=1, spec={"template": template})
    (pod,) = admin.list("v1", "Pod", as_admin.namespace)
    name = pod["metadata"]["name"]
    write_log(admin, as_admin.namespace, name, tmp_path, LINES)
    told = await reading.logs(as_admin, pod=name, tail=1, budget=BUDGET)
    assert told.text.startswith("Defaulted container 'app' out of: app, side.\n")


async def test_the_schema_of_a_built_in_type_names_fields_and_what_is_required(
    cluster: Connection,
) -> None:
    whole = await reading.crd_schema(cluster, resource="deploy", budget=BUDGET)
    assert whole.text.startswith("Deployment (apps/v1): ")
    assert "Fields deeper than" in whole.text
    field = await reading.crd_schema(
        cluster, resource="deploy", field="spec.template.spec.containers", budget=BUDGET
    )
    assert "  name <string, required> Name of the container" in field.text
    with pytest.raises(ApiError, match="'nothing' is not known"):
        await reading.crd_schema(cluster, resource="deploy", field="spec.nothing", budget=BUDGET)


async def test_a_type_that_was_created_a_moment_ago_is_found_with_its_schema(
    cluster: Connection, admin: Admin
) -> None:
    with pytest.raises(ApiError):
        await cluster.discovery.resolve("widgets")
    name = f"w{uuid.uuid4().hex[:8]}"
    crd = _crd(name)
    admin.create(crd)
    try:
        admin.wait_for(f"the schema of {name}", lambda: _published(admin, name))
        told = await reading.crd_schema(cluster, resource=name, budget=BUDGET)
        assert "size <string: small | large, required> How big it is" in told.text
        assert await cluster.discovery.supports_dry_run(
            f"{name}.example.com", "v1", f"{name}s", "patch"
        )
    finally:
        admin.delete(crd["apiVersion"], crd["kind"], crd["metadata"]["name"])


async def test_no_secret_value_is_shown_by_any_read(as_admin: Connection, admin: Admin) -> None:
    encoded = base64.b64encode(CANARY.encode()).decode()
    last = json.dumps({"kind": "Secret", "data": {"password": encoded}})
    admin.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "db",
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": last},
            },
            "stringData": {"password": CANARY},
        },
        as_admin.namespace,
    )
    place = {"resource": "secret", "name": "db", "budget": BUDGET}
    texts = [
        (await reading.get(as_admin, **place, wide=True)).text,
        (await reading.get(as_admin, resource="secrets", all_namespaces=True, budget=BUDGET)).text,
        (await reading.describe(as_admin, **place)).text,
        (await reading.resource_json(as_admin, **place)).text,
        (await reading.resource_json(as_admin, **place, field="data.password")).text,
        (await reading.resource_json(as_admin, **place, field="metadata.annotations")).text,
    ]
    for text in texts:
        assert CANARY not in text
        assert encoded not in text
    assert "password" in texts[2]
    # Evidence is computed on the raw object, and redacted where it is kept.
    ref = ObjectRef(
        version="v1", kind="Secret", resource="secrets", namespace=as_admin.namespace, name="db"
    )
    raw = await reading.fetch(as_admin, ref)
    assert raw is not None
    assert raw["data"] == {"password": encoded}


async def test_fetch_tells_nothing_there_from_not_allowed(
    as_admin: Connection, cluster: Connection
) -> None:
    ref = ObjectRef(
        version="v1", kind="Secret", resource="secrets", namespace=cluster.namespace, name="none"
    )
    assert await reading.fetch(as_admin, ref) is None
    with pytest.raises(ApiError, match="forbidden"):
        await reading.fetch(cluster, ref)


def _crd(name: str) -> dict[str, Any]:
    group = f"{name}.example.com"
    size = {"type": "string", "enum": ["small", "large"], "description": "How big it is."}
    spec = {"type": "object", "required": ["size"], "properties": {"size": size}}
    schema = {"type": "object", "properties": {"spec": spec}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{name}s.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": f"{name}s", "singular": name, "kind": name.capitalize()},
            "versions": [version],
        },
    }


def _published(admin: Admin, name: str) -> bool:
    """Whether the API server shows the type in discovery and its schema, each in its own time."""
    groups = admin.request("GET", "/apis")["groups"]
    documents = admin.request("GET", "/openapi/v3")["paths"]
    group = f"{name}.example.com"
    return any(each["name"] == group for each in groups) and f"apis/{group}/v1" in documents

"""Each step does what its printed kubectl command does: one object each, in two namespaces."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from dotai_nb.cluster.step import RESTARTED_AT
from dotai_nb.errors import ApiError, StepRefused
from dotai_nb.session.values import Accepted, ResultKind
from tests.cluster.steps import build, checked, comparable, connected, in_shell, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.admin import Admin
    from tests.cluster.controlplane.plane import Cluster

ODD = """it's "$(id)" `id` \\ $HOME
second line: {"$patch": "delete"} é %s"""

MANIFEST = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "my-api", "labels": {"tier": "back"}, "annotations": {"note": ODD}},
    "spec": {
        "template": {
            "spec": {"containers": [{"name": "my-api", "env": [{"name": "ODD", "value": ODD}]}]}
        }
    },
}

CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "set image": ("set_image", {"images": {"my-api": "nginx:1.20", "setup": "busybox:2"}}),
    "scale": ("scale", {"replicas": 3}),
    "label": ("label", {"changes": {"team": "shop", "app": None}}),
    "annotate": ("annotate", {"changes": {"example.com/note": ODD, "old": None}}),
    "strategic patch": (
        "patch",
        {
            "patch_type": "strategic",
            "patch": {
                "spec": {
                    "template": {"spec": {"containers": [{"name": "my-api", "args": [ODD, "--x"]}]}}
                }
            },
        },
    ),
    "merge patch": (
        "patch",
        {"patch_type": "merge", "patch": {"metadata": {"annotations": {"a": ODD, "old": None}}}},
    ),
    "json patch": (
        "patch",
        {
            "patch_type": "json",
            "patch": [
                {"op": "test", "path": "/spec/replicas", "value": 2},
                {"op": "add", "path": "/metadata/labels/a~1b", "value": "c"},
            ],
        },
    ),
    "restart": ("rollout", {"action": "restart"}),
    "undo": ("rollout", {"action": "undo"}),
    "undo to a revision": ("rollout", {"action": "undo", "to_revision": 1}),
    "pause": ("rollout", {"action": "pause"}),
    "apply": ("apply", {"manifest": MANIFEST}),
    "delete": ("delete", {}),
}


@pytest.fixture
def twin(admin: Admin) -> Iterator[str]:
    name = f"twin-{uuid.uuid4().hex[:8]}"
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    admin.delete("v1", "Namespace", name)


def create(admin: Admin, namespace: str, *, paused: bool = False) -> None:
    """A Deployment with two revisions, annotations and an init container; nobody waits for pods."""
    labels = {"app": "my-api"}
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "my-api",
            "labels": labels,
            "annotations": {"old": "x", "kubernetes.io/change-cause": "first"},
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "initContainers": [{"name": "setup", "image": "busybox:1"}],
                    "containers": [{"name": "my-api", "image": "nginx:1.19"}],
                },
            },
        },
    }
    admin.create(manifest, namespace)
    _wait_for_revision(admin, namespace, "1")
    change = {
        "metadata": {"annotations": {"kubernetes.io/change-cause": "second"}},
        "spec": {"template": {"metadata": {"labels": {"v": "2"}}}},
    }
    admin.patch("apps/v1", "Deployment", "my-api", namespace, change)
    _wait_for_revision(admin, namespace, "2")
    if paused:
        admin.patch("apps/v1", "Deployment", "my-api", namespace, {"spec": {"paused": True}})


def _wait_for_revision(admin: Admin, namespace: str, number: str) -> None:
    def reached() -> bool:
        found = admin.get("apps/v1", "Deployment", "my-api", namespace)["metadata"]
        return bool(found["annotations"].get("deployment.kubernetes.io/revision") == number)

    admin.wait_for(f"revision {number}", reached)


def seen(admin: Admin, namespace: str) -> Any:
    found = comparable(admin.find("apps/v1", "Deployment", "my-api", namespace))
    annotations = (found or {"spec": {"template": {}}})["spec"]["template"].get("metadata", {})
    if RESTARTED_AT in annotations.get("annotations", {}):
        annotations["annotations"][RESTARTED_AT] = "a time"
    return found


@pytest.mark.parametrize("name", [*CHANGES, "resume"])
async def test_a_step_and_its_printed_command_make_the_same_object(
    name: str, control_plane: Cluster, admin: Admin, namespace: str, twin: str
) -> None:
    change, arguments = CHANGES.get(name, ("rollout", {"action": "resume"}))
    for each in (namespace, twin):
        await asyncio.to_thread(create, admin, each, paused=name == "resume")
    before = seen(admin, twin)

    async with connected(control_plane.kubeconfig) as c:
        made = await checked(c, change, namespace, **arguments)
        assert isinstance(made.evidence, Accepted)
        assert seen(admin, namespace) == before, "a dry run changed the object"
        [result] = await run(c, made)
        printed = await build(c, change, twin, **arguments)

    assert result.result is ResultKind.SUCCEEDED
    said = in_shell(control_plane, printed.command)
    assert seen(admin, namespace) == seen(admin, twin) != before
    assert said.strip().splitlines()[0] in {
        result.output,
        result.output.replace(namespace, twin),
    }


async def test_an_applied_object_that_was_not_there_is_created_to_the_byte(
    control_plane: Cluster, admin: Admin, namespace: str, twin: str
) -> None:
    data = {"script.sh": ODD, "EOF": "EOF\nEOF_\n", "yes": "no", "n": "1e3", "empty": ""}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": data}

    async with connected(control_plane.kubeconfig) as c:
        made = await checked(c, "apply", namespace, manifest=manifest)
        [result] = await run(c, made)
        printed = await build(c, "apply", twin, manifest=manifest)

    assert (made.step.action, result.output) == ("create", "configmap/cm serverside-applied")
    in_shell(control_plane, printed.command)
    ours, theirs = (admin.get("v1", "ConfigMap", "cm", each) for each in (namespace, twin))
    assert ours["data"] == theirs["data"] == data
    assert comparable(ours) == comparable(theirs)


async def test_a_cluster_scoped_object_needs_no_namespace(
    control_plane: Cluster, admin: Admin, namespace: str
) -> None:
    async with connected(control_plane.kubeconfig) as c:
        given = {"resource": "ns", "name": namespace, "changes": {"team": "shop"}}
        made = await checked(c, "label", "ignored", **given)
        assert "-n" not in made.step.argv
        await run(c, made)

    labels = admin.get("v1", "Namespace", namespace)["metadata"]["labels"]
    assert labels["team"] == "shop"


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ("scale", {"resource": "deplyoment", "replicas": 1}, "Did you mean"),
        ("set_image", {"images": {"db": "x"}}, "Its containers are setup, my-api"),
        ("rollout", {"action": "undo", "to_revision": 9}, "Its revisions are 1, 2"),
        ("rollout", {"action": "pause", "resource": "services", "name": "api"}, "can't be made"),
        ("scale", {"resource": "services", "name": "api", "replicas": 1}, "can't be scaled"),
        ("label", {"changes": {}}, "No labels are given"),
        ("patch", {"patch": [], "patch_type": "json"}, "list of operations"),
        ("patch", {"patch": {"data": "«redacted»"}, "patch_type": "merge"}, "placeholder"),
    ],
)
async def test_arguments_that_make_no_step_are_refused_with_the_way_out(
    *,
    change: str,
    arguments: dict[str, Any],
    message: str,
    control_plane: Cluster,
    admin: Admin,
    namespace: str,
) -> None:
    await asyncio.to_thread(create, admin, namespace)
    ports = {"ports": [{"port": 80}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "api"}, "spec": ports}
    admin.create(service, namespace)

    async with connected(control_plane.kubeconfig) as c:
        with pytest.raises((StepRefused, ApiError)) as error:
            await build(c, change, namespace, **arguments)

    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "arguments"),
    [
        ("patch", {"patch": {"stringData": {"k": "v"}}, "patch_type": "merge"}),
        (
            "patch",
            {"patch": [{"op": "add", "path": "/data/k", "value": "v"}], "patch_type": "json"},
        ),
        (
            "patch",
            {
                "patch": [{"op": "copy", "from": "/data/k", "path": "/metadata/labels/k"}],
                "patch_type": "json",
            },
        ),
    ],
)
async def test_the_values_of_a_secret_are_never_written_or_copied(
    change: str, arguments: dict[str, Any], control_plane: Cluster, admin: Admin, namespace: str
) -> None:
    admin.create(secret("token", "c2VjcmV0"), namespace)

    async with connected(control_plane.kubeconfig) as c:
        with pytest.raises(StepRefused, match="Secret values never pass"):
            await build(c, change, namespace, resource="secrets", name="token", **arguments)
        with pytest.raises(StepRefused, match="Secret values never pass"):
            await build(c, "apply", namespace, manifest=secret("other", "eA=="))


async def test_a_secret_is_labelled_without_its_value_being_shown(
    control_plane: Cluster, admin: Admin, namespace: str
) -> None:
    admin.create(secret("token", "c2VjcmV0"), namespace)

    async with connected(control_plane.kubeconfig) as c:
        given = {"resource": "secrets", "name": "token"}
        made = await checked(c, "label", namespace, changes={"team": "shop"}, **given)
        wrong = await checked(
            c, "patch", namespace, patch={"metadata": {"x": 1}}, patch_type="merge", **given
        )

    assert isinstance(made.evidence, Accepted)
    assert made.evidence.diff == (
        {"op": "add", "path": "/metadata/labels", "value": {"team": "shop"}},
    )
    for each in (made, wrong):
        assert "c2VjcmV0" not in each.model_dump_json()
    assert 'unknown field "metadata.x"' in wrong.evidence.message


def secret(name: str, value: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "data": {"k": value},
    }

"""Makes steps: each function one kind of change, one API request, one equal kubectl command.

All take the step's number and the tool call that asks for it, and raise

* `StepRefused` when the arguments can't make a step, with what to do instead,
* `ApiError` for a type or an object that the cluster does not have.
"""
# ruff: noqa: PLR0913 - a change is named by all of these, each by keyword

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from dotai_nb.cluster import revision
from dotai_nb.cluster.manifest import (
    APPLY_PATCH,
    BUILT_IN_GROUPS,
    JSON,
    MERGE_PATCH,
    PATCH_TYPES,
    POD_TEMPLATES,
    STRATEGIC_PATCH,
    check_manifest,
    containers_of,
    nested,
)
from dotai_nb.cluster.place import FIELD_MANAGER, Place, existing, find, named
from dotai_nb.cluster.request import JSON_PATCH
from dotai_nb.errors import StepRefused
from dotai_nb.session.values import Action

if TYPE_CHECKING:
    from dotai_nb.cluster.connection import Connection
    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.values import Step

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_MANAGED = f"--field-manager={FIELD_MANAGER}"
_RESTARTABLE = ("Deployment", "DaemonSet", "StatefulSet")

PatchType = Literal["strategic", "merge", "json"]
Propagation = Literal["background", "foreground", "orphan"]
RolloutAction = Literal["restart", "undo", "pause", "resume"]


async def build_patch(
    c: Connection,
    *,
    number: int,
    call_id: str,
    resource: str,
    name: str,
    namespace: str,
    patch: Any,
    patch_type: PatchType,
) -> Step:
    """`kubectl patch`; custom resources take `merge` and `json` only."""
    place = await named(c, resource, name, namespace)
    if patch_type == "strategic" and place.ref.group not in BUILT_IN_GROUPS:
        raise StepRefused(
            f"{place.ref} is a custom resource, which takes no strategic merge patch.",
            hint="Use type merge, which replaces lists whole, or json.",
        )
    _check_patch(patch, patch_type)
    argv = ("patch", str(place.ref), f"--type={patch_type}", _MANAGED, "-p", _compact(patch))
    return place.step(number, call_id, argv, body=patch, content_type=PATCH_TYPES[patch_type])


async def build_apply(
    c: Connection, *, number: int, call_id: str, manifest: JsonObject, namespace: str = ""
) -> Step:
    """`kubectl apply --server-side`, never forced; creates the object if it isn't there.

    `namespace` is for a namespaced manifest that names none; empty: the connection's.
    """
    check_manifest(manifest)
    kind = await c.discovery.of_kind(manifest["apiVersion"], manifest["kind"])
    metadata = manifest["metadata"]
    place = await find(c, kind, metadata["name"], metadata.get("namespace") or namespace)
    if place.ref.namespace:
        manifest = {**manifest, "metadata": {**metadata, "namespace": place.ref.namespace}}
    return place.step(
        number,
        call_id,
        ("apply", "--server-side", _MANAGED, "-f", "-"),
        body=manifest,
        content_type=APPLY_PATCH,
        action=Action.CREATE if place.live is None else Action.UPDATE,
        # JSON, which YAML 1.1 and 1.2 read alike, to the byte.
        stdin=json.dumps(manifest, indent=2, ensure_ascii=False) + "\n",
    )


async def build_delete(
    c: Connection,
    *,
    number: int,
    call_id: str,
    resource: str,
    name: str,
    namespace: str,
    propagation: Propagation = "background",
) -> Step:
    """`kubectl delete`; what the object owns goes too, unless orphaned."""
    place = await named(c, resource, name, namespace)
    options = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": propagation.capitalize(),
    }
    argv = ("delete", str(place.ref), f"--cascade={propagation}")
    return place.step(number, call_id, argv, body=options, content_type=JSON, action=Action.DELETE)


async def build_set_image(
    c: Connection,
    *,
    number: int,
    call_id: str,
    resource: str,
    name: str,
    namespace: str,
    images: dict[str, str],
) -> Step:
    """`kubectl set image`: new images by container name, init containers among them."""
    place = await existing(c, resource, name, namespace)
    path = POD_TEMPLATES.get((place.ref.group, place.ref.kind))
    if path is None:
        raise StepRefused(f"{place.ref} has no containers of its own.", hint="Patch it instead.")
    here = containers_of(place.live or {})
    if unknown := [container for container in images if container not in here]:
        raise StepRefused(
            f"{place.ref} has no container {', '.join(unknown)}.",
            hint=f"Its containers are {', '.join(here)}.",
        )
    if not images:
        raise StepRefused("No image is given.", hint="Name a container and its image.")
    lists: JsonObject = {}
    for container, image in images.items():
        lists.setdefault(here[container], []).append({"name": container, "image": image})
    pairs = (f"{container}={image}" for container, image in images.items())
    argv = ("set", "image", str(place.ref), *pairs, _MANAGED)
    body = nested((*path, "spec"), lists)
    return place.step(number, call_id, argv, body=body, content_type=STRATEGIC_PATCH)


async def build_scale(
    c: Connection,
    *,
    number: int,
    call_id: str,
    resource: str,
    name: str,
    namespace: str,
    replicas: int,
) -> Step:
    """`kubectl scale`: through the scale subresource, which custom resources may have too."""
    place = await named(c, resource, name, namespace)
    if "scale" not in place.type.subresources:
        raise StepRefused(f"{place.ref} can't be scaled.", hint="Scale the workload it belongs to.")
    if replicas < 0:
        raise StepRefused(f"{replicas} is not a number of replicas.", hint="Give 0 or more.")
    argv = ("scale", str(place.ref), f"--replicas={replicas}")
    body = {"spec": {"replicas": replicas}}
    return place.step(
        number, call_id, argv, body=body, content_type=MERGE_PATCH, subresource="scale"
    )


async def build_rollout(
    c: Connection,
    *,
    number: int,
    call_id: str,
    action: RolloutAction,
    resource: str,
    name: str,
    namespace: str,
    to_revision: int = 0,
) -> Step:
    """`kubectl rollout restart | undo | pause | resume`; all but restart are for Deployments.

    `to_revision` is for undo; 0: the one before the current.
    """
    place = await existing(c, resource, name, namespace)
    allowed = _RESTARTABLE if action == "restart" else ("Deployment",)
    if place.ref.group != "apps" or place.ref.kind not in allowed:
        raise StepRefused(
            f"rollout {action} of {place.ref} can't be made here.",
            hint=f"It is made for {', '.join(allowed)}; patch the object instead.",
        )
    live = place.live or {}
    if action == "undo":
        chosen = await revision.choose(c, place.ref, live, to_revision)
        argv = ("rollout", "undo", str(place.ref), f"--to-revision={chosen.number}")
        return place.step(number, call_id, argv, body=chosen.operations, content_type=JSON_PATCH)
    argv = ("rollout", action, str(place.ref), _MANAGED)
    body = {"spec": {"paused": action == "pause"}}
    if action == "restart":
        body = _restart(place)
    return place.step(number, call_id, argv, body=body, content_type=STRATEGIC_PATCH)


async def build_label(
    c: Connection,
    *,
    number: int,
    call_id: str,
    resource: str,
    name: str,
    namespace: str,
    changes: dict[str, str | None],
) -> Step:
    """`kubectl label --overwrite`; None removes a label."""
    place = await named(c, resource, name, namespace)
    argv, body = _of_metadata(place, "label", "labels", changes)
    return place.step(number, call_id, argv, body=body, content_type=MERGE_PATCH)


async def build_annotate(
    c: Connection,
    *,
    number: int,
    call_id: str,
    resource: str,
    name: str,
    namespace: str,
    changes: dict[str, str | None],
) -> Step:
    """`kubectl annotate --overwrite`; None removes an annotation."""
    place = await named(c, resource, name, namespace)
    argv, body = _of_metadata(place, "annotate", "annotations", changes)
    return place.step(number, call_id, argv, body=body, content_type=MERGE_PATCH)


def _of_metadata(
    place: Place, verb: str, field: str, changes: dict[str, str | None]
) -> tuple[tuple[str, ...], JsonObject]:
    """The command and the body of a change of labels or annotations."""
    if not changes:
        raise StepRefused(f"No {field} are given.", hint="Name at least one.")
    pairs = (f"{k}-" if value is None else f"{k}={value}" for k, value in changes.items())
    argv = (verb, str(place.ref), *pairs, "--overwrite", _MANAGED)
    return argv, {"metadata": {field: changes}}


def _restart(place: Place) -> JsonObject:
    if (place.live or {}).get("spec", {}).get("paused"):
        raise StepRefused(f"{place.ref} is paused.", hint="Resume its rollout first.")
    # Fixed here, so that what is reviewed is to the byte what is sent.
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return nested(("spec", "template", "metadata"), {"annotations": {RESTARTED_AT: now}})


def _check_patch(patch: Any, patch_type: PatchType) -> None:
    if patch_type != "json":
        if not isinstance(patch, dict) or not patch:
            raise StepRefused(f"A {patch_type} patch is a JSON object with what changes.")
        return
    operations = patch if isinstance(patch, list) else []
    if not operations or not all(isinstance(o, dict) and "op" in o for o in operations):
        raise StepRefused(
            "A json patch is a list of operations.",
            hint='For example [{"op": "replace", "path": "/spec/replicas", "value": 3}].',
        )


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

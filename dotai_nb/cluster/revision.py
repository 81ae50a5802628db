"""A Deployment's earlier revisions, and the patch that goes back to one, as kubectl makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.difference import difference, pointer
from dotai_nb.cluster.redaction import redact_value
from dotai_nb.cluster.request import Request
from dotai_nb.errors import StepRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotai_nb.cluster.connection import Connection
    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.values import ObjectRef

REVISION = "deployment.kubernetes.io/revision"

# kubectl's `annotationsToSkip` (kubectl/pkg/polymorphichelpers/rollback.go): what belongs to the
# Deployment itself, and is not of a revision.
_NOT_OF_A_REVISION = frozenset({
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.revision",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision of a Deployment, and the JSON Patch operations that go back to it."""

    number: int
    operations: list[JsonObject]


async def choose(c: Connection, ref: ObjectRef, deployment: JsonObject, wanted: int) -> Revision:
    """The revision of that number; 0: the one before the current.

    Raises:
        StepRefused: there is none; names the revisions there are.
        ApiError: the ReplicaSets can't be listed.
    """
    if deployment.get("spec", {}).get("paused"):
        raise StepRefused(f"{ref} is paused.", hint="Resume its rollout first.")
    sets = await _replica_sets(c, ref, deployment)
    numbers = sorted(sets)
    if wanted and wanted not in sets:
        raise StepRefused(
            f"{ref} has no revision {wanted}.",
            hint=f"Its revisions are {', '.join(map(str, numbers)) or 'none'}.",
        )
    if not wanted and len(numbers) < 2:  # noqa: PLR2004 - one is the current
        raise StepRefused(f"{ref} has no earlier revision to go back to.")
    number = wanted or numbers[-2]
    operations = _operations(deployment, sets[number])
    if redact_value(operations) != operations:
        operations = _only_what_differs(deployment, operations)
    return Revision(number, operations)


async def _replica_sets(c: Connection, ref: ObjectRef, owner: JsonObject) -> dict[int, JsonObject]:
    request = Request(
        verb="list",
        group=ref.group,
        version=ref.version,
        resource="replicasets",
        namespace=ref.namespace,
    )
    reply = await c.investigate(request)
    uid = owner.get("metadata", {}).get("uid")
    found: dict[int, JsonObject] = {}
    for replica_set in reply.body["items"]:
        metadata = replica_set["metadata"]
        owners = {o["uid"] for o in metadata.get("ownerReferences", ()) if o.get("controller")}
        number = (metadata.get("annotations") or {}).get(REVISION, "")
        if uid in owners and number.isdecimal():
            found[int(number)] = replica_set
    return found


def _operations(deployment: JsonObject, replica_set: JsonObject) -> list[JsonObject]:
    template: dict[str, Any] = dict(replica_set["spec"]["template"])
    metadata = dict(template.get("metadata") or {})
    labels = dict(metadata.get("labels") or {})
    labels.pop("pod-template-hash", None)
    template["metadata"] = {**metadata, "labels": labels}
    now = deployment["metadata"].get("annotations") or {}
    then = replica_set["metadata"].get("annotations") or {}
    back = [{"op": "replace", "path": "/spec/template", "value": template}]
    return [*back, *_annotations(now, then)]


def _only_what_differs(deployment: JsonObject, operations: list[JsonObject]) -> list[JsonObject]:
    """The same change without the template's values that stay: some must not be in a request."""
    back, *others = operations
    now, then = (
        {"spec": {"template": template}}
        for template in (deployment["spec"]["template"], back["value"])
    )
    return [*difference(now, then), *others]


def _annotations(now: dict[str, str], then: dict[str, str]) -> Iterator[JsonObject]:
    """Only what differs, where kubectl replaces them all: hidden values stay out of the request."""
    wanted = {k: v for k, v in then.items() if k not in _NOT_OF_A_REVISION}
    if wanted and not now:
        yield {"op": "add", "path": "/metadata/annotations", "value": {}}
    for key in sorted(now.keys() | wanted.keys()):
        path = pointer(["metadata", "annotations", key])
        if key in wanted and wanted[key] != now.get(key):
            yield {"op": "add", "path": path, "value": wanted[key]}
        elif key not in wanted and key not in _NOT_OF_A_REVISION:
            yield {"op": "remove", "path": path}

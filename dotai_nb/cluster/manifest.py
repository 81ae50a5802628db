"""What a manifest or a patch may hold, and where things are in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.difference import tokens
from dotai_nb.cluster.redaction import holds_placeholder
from dotai_nb.cluster.request import JSON_PATCH
from dotai_nb.errors import StepRefused

if TYPE_CHECKING:
    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.values import ObjectRef

STRATEGIC_PATCH = "application/strategic-merge-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
JSON = "application/json"

PATCH_TYPES = {"strategic": STRATEGIC_PATCH, "merge": MERGE_PATCH, "json": JSON_PATCH}

BUILT_IN_GROUPS = frozenset({
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
})  # fmt: skip
"""API groups of Kubernetes itself; every other group is a custom resource's or aggregated."""

POD_TEMPLATES: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): (),
    ("", "ReplicationController"): ("spec", "template"),
    ("apps", "Deployment"): ("spec", "template"),
    ("apps", "StatefulSet"): ("spec", "template"),
    ("apps", "DaemonSet"): ("spec", "template"),
    ("apps", "ReplicaSet"): ("spec", "template"),
    ("batch", "Job"): ("spec", "template"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
}
"""Where each kind that runs pods holds their template; a Pod is its own."""

_SECRET_PARTS = ("data", "stringData")
_SERVERS_OWN = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")


def pod_template(obj: JsonObject) -> JsonObject | None:
    """The pod template of an object; None for a kind that runs no pods."""
    group, _, _ = obj.get("apiVersion", "").rpartition("/")
    path = POD_TEMPLATES.get((group, obj.get("kind", "")))
    if path is None:
        return None
    place: Any = obj
    for part in path:
        place = place.get(part) or {}
    found: JsonObject = place
    return found


def nested(path: tuple[str, ...], value: JsonObject) -> JsonObject:
    """`value` under these keys: `("spec", "template")` gives `{"spec": {"template": value}}`."""
    for part in reversed(path):
        value = {part: value}
    return value


def check_manifest(manifest: Any) -> None:
    """Refuse a manifest that can't be one object of server-side apply.

    Raises:
        StepRefused: says what to write instead.
    """
    if not isinstance(manifest, dict) or not manifest.get("apiVersion") or not manifest.get("kind"):
        raise StepRefused("The manifest has no apiVersion or no kind.", hint="Give a whole object.")
    metadata = manifest.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    if manifest["kind"] == "List" or "items" in manifest:
        raise StepRefused("The manifest is a list of objects.", hint="Make one step an object.")
    if metadata.get("generateName"):
        raise StepRefused(
            "metadata.generateName gives another name at each request, so what is reviewed would "
            "not be what is made.",
            hint="Give metadata.name.",
        )
    if not metadata.get("name") or not isinstance(metadata["name"], str):
        raise StepRefused("The manifest has no metadata.name.", hint="Name the object.")
    if set_by_server := [key for key in _SERVERS_OWN if key in metadata]:
        raise StepRefused(
            f"The manifest sets metadata.{', metadata.'.join(set_by_server)}.",
            hint="Leave out what the API server keeps for itself.",
        )


def check_body(target: ObjectRef, body: Any) -> None:
    """Refuse a body that holds a redaction's placeholder or touches a Secret's values.

    Raises:
        StepRefused: says what to do instead.
    """
    if holds_placeholder(body):
        raise StepRefused(
            f"The change of {target} holds a placeholder for a value that was hidden or cut.",
            hint="Name only the fields that change, in a patch.",
        )
    if (target.group, target.kind) == ("", "Secret") and _touches_values(body):
        raise StepRefused(
            f"The change would write values of {target}; Secret values never pass through here.",
            hint="Ask the person to set them with `kubectl create secret` or their secret store; "
            "its labels and annotations can be changed with kubectl_label_dryrun and "
            "kubectl_annotate_dryrun.",
        )


def _touches_values(body: Any) -> bool:
    if isinstance(body, dict):
        return any(part in body for part in _SECRET_PARTS)
    pointers = [op.get(key) for op in body for key in ("path", "from") if key in op]
    # The empty pointer is the whole object; a copy would carry a value into an annotation.
    return any((tokens(str(p)) or ["data"])[0] in _SECRET_PARTS for p in pointers)


def containers_of(obj: JsonObject) -> dict[str, str]:
    """Each container's name with the list it is in: `containers` or `initContainers`."""
    spec = (pod_template(obj) or {}).get("spec") or {}
    return {
        container["name"]: part
        for part in ("initContainers", "containers")
        for container in spec.get(part) or ()
    }

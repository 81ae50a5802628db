"""What a manifest or a patch may hold, and where things are in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.difference import tokens
from dotai_nb.cluster.redaction import LAST_APPLIED, by_position, holds_placeholder, redact_value
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
    if not isinstance(manifest, dict) or not all(
        isinstance(manifest.get(key), str) and manifest[key] for key in ("apiVersion", "kind")
    ):
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
    if not isinstance(metadata.get("namespace") or "", str):
        raise StepRefused("The manifest's metadata.namespace is no name.", hint="Name one.")
    if set_by_server := [key for key in _SERVERS_OWN if key in metadata]:
        raise StepRefused(
            f"The manifest sets metadata.{', metadata.'.join(set_by_server)}.",
            hint="Leave out what the API server keeps for itself.",
        )


def check_body(target: ObjectRef, body: Any, *, strict: bool = False) -> None:
    """Refuse a body that holds a placeholder or a secret, or that can't be reviewed.

    A step's body is kept, shown and sent to the byte, so no secret may be in it.

    Raises:
        StepRefused: says what to do instead.
    """
    if holds_placeholder(body):
        raise StepRefused(
            f"The change of {target} holds a placeholder for a value that was hidden or cut.",
            hint="Name only the fields that change, in a patch.",
        )
    if _speaks_of(body, LAST_APPLIED):
        raise StepRefused(
            f"The change of {target} sets {LAST_APPLIED}, which kubectl keeps for itself.",
            hint="Leave that annotation out.",
        )
    if (target.group, target.kind) == ("", "Secret") and _touches_values(body):
        raise StepRefused(
            f"The change would write values of {target}; Secret values never pass through here.",
            hint="Ask the person to set them with `kubectl create secret` or their secret store; "
            "its labels and annotations can be changed with kubectl_label_dryrun and "
            "kubectl_annotate_dryrun.",
        )
    operations = body if isinstance(body, list) else []
    if unnamed := next((o["path"] for o in operations if by_position(o)), ""):
        raise StepRefused(
            f"The operation on {unnamed} sets a value by its position, so that nobody sees what "
            "it is a value of.",
            hint="Set the whole entry with its name, or all arguments; or use a strategic patch.",
        )
    if redact_value(body, kind=target.kind, strict=strict) != body:
        raise StepRefused(
            f"The change would write a secret value into {target}, where it would be kept and "
            "shown with this plan.",
            hint="Ask the person to put it into a Secret that they create themselves, and "
            "reference it (valueFrom.secretKeyRef).",
        )
    if _sets_status(body):
        raise StepRefused(
            f"The change would set the status of {target}, which controllers do.",
            hint="Leave `status` out.",
        )


def _touches_values(body: Any) -> bool:
    if isinstance(body, dict):
        # A directive such as `$patch: replace` takes away values that it doesn't name.
        return any(part in body for part in _SECRET_PARTS) or any(k.startswith("$") for k in body)
    pointers = [op.get(key) for op in body for key in ("path", "from") if key in op]
    # The empty pointer is the whole object; a copy would carry a value into an annotation.
    return any((tokens(str(p)) or ["data"])[0] in _SECRET_PARTS for p in pointers)


def _sets_status(body: Any) -> bool:
    """Whether a body sets `status`, which no difference shows."""
    if isinstance(body, dict):
        return "status" in body
    operations = body if isinstance(body, list) else []
    return any(
        tokens(str(op.get("path")))[:1] == ["status"]
        or (not op.get("path") and "status" in _keys(op.get("value")))
        for op in operations
    )


def _keys(value: Any) -> set[str]:
    return set(value) if isinstance(value, dict) else set()


def _speaks_of(value: Any, name: str) -> bool:
    """Whether a key, or a part of a JSON pointer, is this name."""
    if isinstance(value, dict):
        pointers = (value.get("path"), value.get("from")) if "op" in value else ()
        named = name in value or any(name in tokens(p) for p in pointers if isinstance(p, str))
        return named or any(_speaks_of(inner, name) for inner in value.values())
    return isinstance(value, list) and any(_speaks_of(inner, name) for inner in value)


def containers_of(obj: JsonObject) -> dict[str, str]:
    """Each container's name with the list it is in: `containers` or `initContainers`."""
    spec = (pod_template(obj) or {}).get("spec") or {}
    return {
        container["name"]: part
        for part in ("initContainers", "containers")
        for container in spec.get(part) or ()
    }

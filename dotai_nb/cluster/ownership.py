"""Who else manages the fields that a step changes, and would set them back.

A field's managers are in `metadata.managedFields`
(https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management). A person's
`kubectl edit` manages fields too, but asks for nothing later; so only those are told that keep
applying what they have: server-side appliers, clients that keep a last-applied copy, and a scaler.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.fields import Item, changed
from dotai_nb.cluster.place import FIELD_MANAGER

if TYPE_CHECKING:
    from dotai_nb.cluster.fields import Field
    from dotai_nb.session.canonical import JsonObject

KEEP_APPLYING = ("argocd", "flux", "helm", "kubectl-client-side-apply", "kustomize-controller")
"""Managers, or how their names begin, that reconcile although they write by plain updates."""


def owners(before: JsonObject | None, after: JsonObject | None) -> tuple[str, ...]:
    """Managers other than ours that own a changed field and will want it back."""
    if before is None or after is None:
        return ()
    fields = changed(before, after)
    entries = before.get("metadata", {}).get("managedFields") or ()
    found = (
        entry["manager"]
        for entry in entries
        if _reconciles(entry) and any(_owns(entry.get("fieldsV1", {}), f) for f in fields)
    )
    return tuple(dict.fromkeys(found))


def _reconciles(entry: JsonObject) -> bool:
    manager, subresource = entry.get("manager", ""), entry.get("subresource", "")
    if manager == FIELD_MANAGER or subresource == "status":
        return False
    by_controller = manager == "kube-controller-manager" and subresource == "scale"
    return entry.get("operation") == "Apply" or by_controller or manager.startswith(KEEP_APPLYING)


def _owns(tree: Any, field: Field) -> bool:
    """Whether a `fieldsV1` tree holds the field, or the whole that it is a part of."""
    for part in field:
        if not set(tree) - {"."}:
            return True  # a leaf: the value is owned as a whole
        below = _below(tree, part)
        if below is None:
            return False
        tree = below
    return True


def _below(tree: JsonObject, part: str | Item) -> Any:
    if isinstance(part, str):
        return tree.get(f"f:{part}")
    for key, below in tree.items():
        if key.startswith("k:") and json.loads(key[2:]).get("name") == part.name:
            return below
    return None

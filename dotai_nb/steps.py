"""The changes that a person can write themselves, in kubectl's words; see `dotai_nb.plan`.

    from dotai_nb.steps import Scale, SetImage

    await dotai_nb.plan([Scale("deploy", "web", 3), SetImage("deploy", "web", {"web": "nginx:2"})])

`resource` is a type as kubectl takes it (`deploy`, `pods`, `scaledobjects.keda.sh`). An empty
`namespace` is the plan's. A value of the wrong type raises pydantic's `ValidationError`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from dotai_nb.session.canonical import JsonObject  # noqa: TC001 - pydantic reads it

_VALUE = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, config=_VALUE)
class Patch:
    """`kubectl patch`.

    Attributes:
        patch: an object with what changes; for type `json` a list of operations.
        type: custom resources take `merge` and `json` only.
    """

    resource: str
    name: str
    patch: JsonObject | list[JsonObject]
    type: Literal["strategic", "merge", "json"] = "strategic"
    namespace: str = ""

    def __str__(self) -> str:
        return f"patch {self.resource}/{self.name}"


@dataclass(frozen=True, config=_VALUE)
class Apply:
    """`kubectl apply --server-side`, never forced; creates the object if it isn't there.

    Attributes:
        manifest: a whole object, or YAML text with one or several; each is a step.
        namespace: for a manifest that names none.
    """

    manifest: JsonObject | str
    namespace: str = ""

    def __str__(self) -> str:
        if isinstance(self.manifest, str):
            return "apply"
        metadata = self.manifest.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        return f"apply {self.manifest.get('kind') or 'an object'} {name or 'without a name'}"


@dataclass(frozen=True, config=_VALUE)
class Delete:
    """`kubectl delete`.

    Attributes:
        propagation: what happens to the objects it owns, as `kubectl delete --cascade`.
    """

    resource: str
    name: str
    propagation: Literal["background", "foreground", "orphan"] = "background"
    namespace: str = ""

    def __str__(self) -> str:
        return f"delete {self.resource}/{self.name}"


@dataclass(frozen=True, config=_VALUE)
class SetImage:
    """`kubectl set image`; `images` is container name to image."""

    resource: str
    name: str
    images: dict[str, str]
    namespace: str = ""

    def __str__(self) -> str:
        return f"set image {self.resource}/{self.name}"


@dataclass(frozen=True, config=_VALUE)
class Scale:
    """`kubectl scale`."""

    resource: str
    name: str
    replicas: int = Field(ge=0)
    namespace: str = ""

    def __str__(self) -> str:
        return f"scale {self.resource}/{self.name} to {self.replicas}"


@dataclass(frozen=True, config=_VALUE)
class Rollout:
    """`kubectl rollout`; all but `restart` are for Deployments.

    Attributes:
        to_revision: for `undo`; 0 is the one before the current.
    """

    action: Literal["restart", "undo", "pause", "resume"]
    resource: str
    name: str
    to_revision: int = Field(default=0, ge=0)
    namespace: str = ""

    def __str__(self) -> str:
        return f"rollout {self.action} {self.resource}/{self.name}"


@dataclass(frozen=True, config=_VALUE)
class Label:
    """`kubectl label --overwrite`; None removes a label."""

    resource: str
    name: str
    labels: dict[str, str | None]
    namespace: str = ""

    def __str__(self) -> str:
        return f"label {self.resource}/{self.name}"


@dataclass(frozen=True, config=_VALUE)
class Annotate:
    """`kubectl annotate --overwrite`; None removes an annotation."""

    resource: str
    name: str
    annotations: dict[str, str | None]
    namespace: str = ""

    def __str__(self) -> str:
        return f"annotate {self.resource}/{self.name}"


Change = Patch | Apply | Delete | SetImage | Scale | Rollout | Label | Annotate
"""What a person can write."""

__all__ = [
    "Annotate",
    "Apply",
    "Change",
    "Delete",
    "Label",
    "Patch",
    "Rollout",
    "Scale",
    "SetImage",
]

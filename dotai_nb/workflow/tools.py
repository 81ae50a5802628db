"""What the model may call: names and arguments as kubectl's, each tool with its effect."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dotai_nb.cluster import reading, step
from dotai_nb.llm.conversation import ToolSchema

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dotai_nb.cluster.connection import Connection
    from dotai_nb.cluster.reading import Reading
    from dotai_nb.session.values import Step

Effect = Literal["read", "dry_run"]
PatchType = Literal["strategic", "merge", "json"]


class Arguments(BaseModel):
    """Arguments of a tool; an unknown one is told to the model, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_RESOURCE = Field(description="type as kubectl takes it: pods, deploy, scaledobjects.keda.sh")
_NAMESPACE = Field("", description="empty: the operation's namespace")
_REPLACES = Field(
    (), description="numbers of earlier steps that this one takes the place of, if any"
)


class ApiResources(Arguments):
    """List the resource types of the cluster."""

    group: str = Field("", description="only this API group; empty: all")


class Get(Arguments):
    """List objects, or one, as `kubectl get` prints them."""

    resource: str = _RESOURCE
    name: str = ""
    namespace: str = _NAMESPACE
    all_namespaces: bool = False
    label_selector: str = ""
    field_selector: str = ""
    wide: bool = False


class Describe(Arguments):
    """Show one object with its conditions, owners and events."""

    resource: str = _RESOURCE
    name: str
    namespace: str = _NAMESPACE


class Logs(Arguments):
    """Read a container's log, newest lines last."""

    pod: str
    container: str = Field("", description="needed when the pod has several")
    namespace: str = _NAMESPACE
    tail: int = Field(100, ge=1, le=5000, description="lines")
    since_seconds: int = Field(0, ge=0, description="0: from the start")
    previous: bool = Field(default=False, description="of the container's run before this one")
    grep: str = Field("", description="only lines that contain this text")


class Events(Arguments):
    """List events, of a namespace or of one object, newest first."""

    namespace: str = _NAMESPACE
    resource: str = Field("", description="with name: only of this object")
    name: str = ""


class GetResourceJson(Arguments):
    """Read one object as JSON, or one field of it."""

    resource: str = _RESOURCE
    name: str
    namespace: str = _NAMESPACE
    field: str = Field("", description="a path such as spec.template.spec; empty: everything")


class GetCrdSchema(Arguments):
    """Read the schema of a type, built-in or custom, as `kubectl explain` does."""

    resource: str = _RESOURCE
    field: str = Field("", description="a path such as spec.triggers; empty: the top")


class PatchDryRun(Arguments):
    """Check a patch of one object."""

    resource: str = _RESOURCE
    name: str
    namespace: str = _NAMESPACE
    patch: dict[str, Any] | list[dict[str, Any]] = Field(
        description="an object; a list of operations for type json"
    )
    type: PatchType = Field("strategic", description="custom resources take merge and json only")
    replaces: tuple[int, ...] = _REPLACES


class ApplyDryRun(Arguments):
    """Check a server-side apply of one manifest; creates the object if it isn't there."""

    manifest: dict[str, Any] = Field(
        description="one whole object; name the namespace in its metadata"
    )
    replaces: tuple[int, ...] = _REPLACES


class DeleteDryRun(Arguments):
    """Check the deletion of one object, and see what would go with it."""

    resource: str = _RESOURCE
    name: str
    namespace: str = _NAMESPACE
    propagation: Literal["background", "foreground", "orphan"] = "background"
    replaces: tuple[int, ...] = _REPLACES


class SetImageDryRun(Arguments):
    """Check new images for containers of a workload."""

    resource: str = _RESOURCE
    name: str
    namespace: str = _NAMESPACE
    images: dict[str, str] = Field(description="container name to image", min_length=1)
    replaces: tuple[int, ...] = _REPLACES


class ScaleDryRun(Arguments):
    """Check another number of replicas."""

    resource: str = _RESOURCE
    name: str
    namespace: str = _NAMESPACE
    replicas: int = Field(ge=0)
    replaces: tuple[int, ...] = _REPLACES


class RolloutDryRun(Arguments):
    """Check a rollout's restart, undo, pause or resume."""

    action: Literal["restart", "undo", "pause", "resume"]
    resource: str = _RESOURCE
    name: str
    namespace: str = _NAMESPACE
    to_revision: int = Field(0, ge=0, description="for undo; 0: the one before")
    replaces: tuple[int, ...] = _REPLACES


class LabelDryRun(Arguments):
    """Check new labels of one object."""

    resource: str = _RESOURCE
    name: str
    namespace: str = _NAMESPACE
    labels: dict[str, str | None] = Field(description="null removes a label", min_length=1)
    replaces: tuple[int, ...] = _REPLACES


class AnnotateDryRun(Arguments):
    """Check new annotations of one object."""

    resource: str = _RESOURCE
    name: str
    namespace: str = _NAMESPACE
    annotations: dict[str, str | None] = Field(
        description="null removes an annotation", min_length=1
    )
    replaces: tuple[int, ...] = _REPLACES


@dataclass(frozen=True, slots=True)
class ReadTool:
    """A tool that reads."""

    name: str
    arguments: type[Arguments]
    run: Callable[[Connection, dict[str, Any], int], Awaitable[Reading]]
    effect: Effect = "read"


@dataclass(frozen=True, slots=True)
class DryRunTool:
    """A tool whose call becomes a step."""

    name: str
    arguments: type[Arguments]
    build: Callable[..., Awaitable[Step]]
    effect: Effect = "dry_run"


Tool = ReadTool | DryRunTool


def _read(function: Callable[..., Awaitable[Reading]]) -> Callable[..., Awaitable[Reading]]:
    async def run(connection: Connection, arguments: dict[str, Any], budget: int) -> Reading:
        return await function(connection, **arguments, budget=budget)

    return run


def _changes(
    function: Callable[..., Awaitable[Step]], field: str
) -> Callable[..., Awaitable[Step]]:
    async def build(connection: Connection, **arguments: Any) -> Step:
        return await function(connection, changes=arguments.pop(field), **arguments)

    return build


async def _build_patch(connection: Connection, *, type: PatchType, **arguments: Any) -> Step:  # noqa: A002 - kubectl's own word
    return await step.build_patch(connection, patch_type=type, **arguments)


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        ReadTool("kubectl_api_resources", ApiResources, _read(reading.api_resources)),
        ReadTool("kubectl_get", Get, _read(reading.get)),
        ReadTool("kubectl_describe", Describe, _read(reading.describe)),
        ReadTool("kubectl_logs", Logs, _read(reading.logs)),
        ReadTool("kubectl_events", Events, _read(reading.events)),
        ReadTool("kubectl_get_resource_json", GetResourceJson, _read(reading.resource_json)),
        ReadTool("kubectl_get_crd_schema", GetCrdSchema, _read(reading.crd_schema)),
        DryRunTool("kubectl_patch_dryrun", PatchDryRun, _build_patch),
        DryRunTool("kubectl_apply_dryrun", ApplyDryRun, step.build_apply),
        DryRunTool("kubectl_delete_dryrun", DeleteDryRun, step.build_delete),
        DryRunTool("kubectl_set_image_dryrun", SetImageDryRun, step.build_set_image),
        DryRunTool("kubectl_scale_dryrun", ScaleDryRun, step.build_scale),
        DryRunTool("kubectl_rollout_dryrun", RolloutDryRun, step.build_rollout),
        DryRunTool("kubectl_label_dryrun", LabelDryRun, _changes(step.build_label, "labels")),
        DryRunTool(
            "kubectl_annotate_dryrun", AnnotateDryRun, _changes(step.build_annotate, "annotations")
        ),
    )
}
"""Every tool by name, in the order in which the model sees them."""


@cache
def schema(name: str, arguments: type[Arguments]) -> ToolSchema:
    """The tool as the model sees it: the first docstring sentence, and a JSON Schema."""
    parameters = arguments.model_json_schema()
    parameters.pop("description", None)
    return ToolSchema(name, (arguments.__doc__ or "").strip(), _without_titles(parameters))


def _without_titles(value: Any) -> Any:
    """Pydantic titles every field after its name, which only costs tokens."""
    if isinstance(value, list):
        return [_without_titles(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_titles(item)
        for key, item in value.items()
        if not (key == "title" and isinstance(item, str))
    }

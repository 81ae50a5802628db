"""A session as DataFrames, with the same columns and dtypes for every session, also an empty one.

Text is as `escape.visible` shows it. Dtypes: `string` is pandas' nullable text, `Int64` and
`boolean` its nullable integers and truth values, `datetime64[us, UTC]` a moment; `<NA>` is what is
not known (yet). Each public function's docstring lists its columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dotai_nb.session.canonical import canonical
from dotai_nb.session.values import Accepted, NotAllowed, Refused
from dotai_nb.views import words
from dotai_nb.views.difference import MISSING
from dotai_nb.views.difference import changes as operations
from dotai_nb.views.escape import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pandas import DataFrame

    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.events import StepChecked
    from dotai_nb.session.session import Session, ToolCall
    from dotai_nb.session.values import Evidence, ObjectRef

TEXT, NUMBER, TRUTH, MOMENT = "string", "Int64", "boolean", "datetime64[us, UTC]"

TOOLS = {
    "number": NUMBER,
    "turn": NUMBER,
    "tool": TEXT,
    "arguments": TEXT,
    "state": TEXT,
    "started_at": MOMENT,
    "duration_ms": NUMBER,
    "returned": NUMBER,
    "total": NUMBER,
    "truncated": TRUTH,
    "step": NUMBER,
    "output": TEXT,
    "call_id": TEXT,
}
STEPS = {
    "step": NUMBER,
    "action": TEXT,
    "object": TEXT,
    "namespace": TEXT,
    "evidence": TEXT,
    "message": TEXT,
    "warnings": TEXT,
    "reason": TEXT,
    "command": TEXT,
}
DIFFS = {
    "step": NUMBER,
    "object": TEXT,
    "namespace": TEXT,
    "op": TEXT,
    "path": TEXT,
    "before": TEXT,
    "after": TEXT,
}
RESULTS = {
    "step": NUMBER,
    "object": TEXT,
    "namespace": TEXT,
    "result": TEXT,
    "output": TEXT,
    "error": TEXT,
    "code": NUMBER,
    "duration_ms": NUMBER,
    "audit_id": TEXT,
    "command": TEXT,
}
CHANGES = {
    "step": NUMBER,
    "change": TEXT,
    "kind": TEXT,
    "name": TEXT,
    "namespace": TEXT,
    "operations": NUMBER,
    "paths": TEXT,
}
CURRENT_STATE = {
    "kind": TEXT,
    "name": TEXT,
    "namespace": TEXT,
    "exists": TRUTH,
    "replicas": NUMBER,
    "ready": NUMBER,
    "images": TEXT,
    "detail": TEXT,
    "resource_version": TEXT,
}
OBSERVATIONS = {"number": NUMBER, "observation": TEXT, "calls": TEXT, "tools": TEXT}


class Place(NamedTuple):
    """Which object a row is about."""

    object: str
    namespace: str


def tools(session: Session) -> DataFrame:
    """The tool calls, in the order the model made them.

    Columns: number (1-based), turn, tool, arguments (JSON), state (`waiting`, `running`, `ok` or
    `failed`), started_at, duration_ms, returned and total (rows, or characters for running text),
    truncated, step (the one a dry run made), output (what the model got), call_id.
    """
    rows = [_tool_row(number, tool) for number, tool in enumerate(session.tools, start=1)]
    return _frame(TOOLS, rows)


def _tool_row(number: int, tool: ToolCall) -> Mapping[str, Any]:
    called, finished = tool.called, tool.finished
    measured = finished.measured if finished else None
    return {
        "number": number,
        "turn": called.turn,
        "tool": called.name,
        "arguments": _json(called.arguments),
        "state": tool.state,
        "started_at": tool.started_at,
        "duration_ms": finished.duration_ms if finished else None,
        "returned": measured.returned if measured else None,
        "total": measured.total if measured else None,
        "truncated": measured.truncated if measured else None,
        "step": finished.step if finished else None,
        "output": finished.output if finished else None,
        "call_id": called.call_id,
    }


def steps(session: Session) -> DataFrame:
    """The proposal's steps in its order; where there is none, every dry run so far.

    Columns: step (its number), action (`create`, `update`, `delete`), object
    (`deployments.apps/web`), namespace, evidence (`accepted`, `refused`, `not_allowed`,
    `depends_on`), message (the server's words), warnings (a line each), reason (the model's),
    command (the equal kubectl command).
    """
    reasons = {planned.step: planned.reason for planned, _ in session.planned}
    return _frame(STEPS, [_step_row(checked, reasons) for checked in _reviewed(session)])


def _step_row(checked: StepChecked, reasons: Mapping[int, str]) -> Mapping[str, Any]:
    step, evidence = checked.step, checked.evidence
    return {
        "step": step.number,
        "action": step.action.value,
        **_place(step.target)._asdict(),
        "evidence": evidence.kind,
        "message": _words(evidence),
        "warnings": "\n".join(evidence.warnings) if isinstance(evidence, Accepted) else "",
        "reason": reasons.get(step.number),
        "command": step.command,
    }


def _words(evidence: Evidence) -> str:
    return evidence.message if isinstance(evidence, Refused | NotAllowed) else ""


def diffs(session: Session) -> DataFrame:
    """What the proposal changes: a row per JSON Patch operation (RFC 6902).

    Columns: step, object, namespace, op, path (JSON Pointer), before and after (JSON text; NA
    where there is nothing). Without a proposal: the same over all accepted dry runs so far.
    """
    rows = [
        {"step": checked.step.number, **_place(checked.step.target)._asdict(), "op": change.op}
        | {"path": change.path, "before": _json(change.before), "after": _json(change.after)}
        for checked in _reviewed(session)
        if isinstance(checked.evidence, Accepted)
        for change in operations(checked.evidence)
    ]
    return _frame(DIFFS, rows)


def results(session: Session) -> DataFrame:
    """What came of each step of the execution, in the order they finished.

    Columns: step, object, namespace, result (`succeeded`, `failed`, `skipped`, `unknown`), output
    (kubectl's line), error, code (HTTP status, 0 if none), duration_ms, audit_id, command.
    """
    rows = []
    for result in session.results:
        checked = session.step(result.step)
        if checked is not None:
            rows.append(
                {
                    **result.model_dump(mode="json", by_alias=False),
                    **_place(checked.step.target)._asdict(),
                    "command": checked.step.command,
                }
            )
    return _frame(RESULTS, rows)


def changes(session: Session) -> DataFrame:
    """The proposed changes, a row per step.

    Columns: step, change (`create`, `update`, `delete`), kind, name, namespace, operations (their
    count), paths (JSON Pointers, a line each).
    """
    rows = []
    for _, checked in session.planned:
        patch = checked.evidence.diff if isinstance(checked.evidence, Accepted) else ()
        rows.append(
            {
                "step": checked.step.number,
                "change": checked.step.action.value,
                **_identity(checked.step.target),
                "operations": len(patch),
                "paths": "\n".join(str(operation.get("path", "")) or "/" for operation in patch),
            }
        )
    return _frame(CHANGES, rows)


def current_state(session: Session) -> DataFrame:
    """The objects the proposal touches as they were when looked at, then what hangs on them.

    Columns: kind, name, namespace, exists, replicas, ready, images (comma-separated), detail,
    resource_version.
    """
    rows: dict[ObjectRef, Mapping[str, Any]] = {}
    for checked in _reviewed(session):
        if isinstance(checked.evidence, Accepted):
            rows.setdefault(
                checked.step.target, _state_row(checked.step.target, checked.evidence.before)
            )
    for node in session.topology.nodes if session.topology else ():
        if node.action is None:
            rows.setdefault(
                node.ref, {**_identity(node.ref), "exists": True, "detail": node.detail}
            )
    return _frame(CURRENT_STATE, rows.values())


def _state_row(ref: ObjectRef, found: JsonObject | None) -> Mapping[str, Any]:
    if found is None:
        return {**_identity(ref), "exists": False, "detail": "does not exist yet"}
    spec, status, metadata = (_dict(found.get(key)) for key in ("spec", "status", "metadata"))
    pod = _dict(_dict(spec.get("template")).get("spec")) or spec
    containers = pod.get("containers")
    images = [_dict(c).get("image") for c in containers] if isinstance(containers, list) else []
    return {
        **_identity(ref),
        "exists": True,
        "replicas": _whole(spec.get("replicas")),
        "ready": _whole(status.get("readyReplicas")),
        "images": ", ".join(str(image) for image in images if image),
        "detail": "",
        "resource_version": str(metadata.get("resourceVersion", "")),
    }


def observations(session: Session) -> DataFrame:
    """What the model saw, and the tool calls it rests on.

    Columns: number (1-based), observation, calls (ids, comma-separated), tools (`#1 kubectl_get
    resource=pods`, a line each).
    """
    found = session.analysis.observations if session.analysis else ()
    rows = [
        {
            "number": number,
            "observation": observation.text,
            "calls": ", ".join(observation.calls),
            "tools": "\n".join(words.call_label(session, call) for call in observation.calls),
        }
        for number, observation in enumerate(found, start=1)
    ]
    return _frame(OBSERVATIONS, rows)


def _reviewed(session: Session) -> list[StepChecked]:
    """The proposal's steps; where there is none, every dry run so far."""
    return [checked for _, checked in session.planned] or list(session.steps)


def _place(ref: ObjectRef) -> Place:
    return Place(str(ref), ref.namespace)


def _identity(ref: ObjectRef) -> dict[str, str]:
    return {"kind": ref.kind, "name": ref.name, "namespace": ref.namespace}


def _dict(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _json(value: Any) -> str | None:
    return None if value is MISSING else canonical(value).decode()


def _frame(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    import pandas as pd

    whole = list(rows)
    return pd.DataFrame(
        {
            name: pd.Series([_cell(row.get(name)) for row in whole], dtype=dtype)
            for name, dtype in columns.items()
        }
    )


def _cell(value: Any) -> Any:
    return visible(value) if isinstance(value, str) else value

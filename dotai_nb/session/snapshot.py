"""The `.json` file of a session: its events, and above them what they come to.

The snapshot is for people and for tools of the DevOps AI Toolkit, whose names and nesting it uses
(`OperateSessionData` in its `src/tools/operate.ts`). It is derived here and nowhere else.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, assert_never

from dotai_nb.session.canonical import JsonObject, canonical
from dotai_nb.session.values import (
    Accepted,
    Action,
    DependsOn,
    NotAllowed,
    Outcome,
    Refused,
    ResultKind,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dotai_nb.session.events import Recorded, StepChecked
    from dotai_nb.session.session import Session
    from dotai_nb.session.values import PlannedStep, StepResult

SCHEMA_VERSION = 1


def document(session: Session, recorded: Sequence[Recorded]) -> JsonObject:
    """The whole file as one JSON object.

    Args:
        session: the fold of `recorded`.
        recorded: all events, from the first.
    """
    events = [entry.line() for entry in recorded]
    return {
        "schemaVersion": SCHEMA_VERSION,
        "sessionId": session.id,
        "createdAt": events[0]["at"],
        "updatedAt": events[-1]["at"],
        "data": data(session),
        "events": events,
    }


def data(session: Session) -> JsonObject:
    """What the events come to; empty lists and null where there is no analysis yet."""
    analysis = session.analysis
    return {
        "toolName": session.started.tool_name,
        "intent": session.intent,
        "context": _context(session),
        "currentState": _current_state(session),
        "proposedChanges": _proposed_changes(session),
        "commands": [checked.step.command for _, checked in session.planned],
        "dryRunValidation": _dry_run_validation(session),
        "patternsApplied": list(analysis.patterns_applied) if analysis else [],
        "capabilitiesUsed": list(analysis.capabilities_used) if analysis else [],
        "policiesChecked": list(analysis.policies_checked) if analysis else [],
        "risks": _risks(session),
        "validationIntent": analysis.validation_intent if analysis else None,
        "status": str(session.status),
        "outcome": str(session.outcome) if session.outcome else None,
        "executionResults": [_execution_result(session, result) for result in session.results],
    }


def _context(session: Session) -> JsonObject:
    started = session.started
    return {
        "patterns": list(started.patterns),
        "policies": list(started.policies),
        "capabilities": list(started.capabilities),
    }


def _current_state(session: Session) -> list[JsonObject]:
    """Each object that a planned step touches, as it was before the first of them; once."""
    seen: dict[str, JsonObject] = {}
    for _, checked in session.planned:
        evidence = checked.evidence
        if checked.step.action is Action.CREATE:
            continue
        before = evidence.before if isinstance(evidence, Accepted) else None
        seen.setdefault(checked.step.path, {**_named(checked), "object": before})
    return list(seen.values())


def _proposed_changes(session: Session) -> JsonObject:
    changes: dict[str, list[JsonObject]] = {str(action): [] for action in Action}
    for planned, checked in session.planned:
        changes[checked.step.action].append(_change(planned, checked))
    return changes


def _change(planned: PlannedStep, checked: StepChecked) -> JsonObject:
    evidence = checked.evidence
    change = {**_named(checked), "stepId": planned.step, "rationale": planned.reason}
    if not isinstance(evidence, Accepted):
        return change
    match checked.step.action:
        case Action.CREATE:
            # JSON is YAML, so this is the manifest that those tools expect as text.
            return {**change, "manifest": canonical(evidence.after).decode()}
        case Action.UPDATE:
            return {**change, "changes": "\n".join(_operations(evidence.diff))}
        case Action.DELETE:
            return change
        case _:
            assert_never(checked.step.action)


def _named(checked: StepChecked) -> JsonObject:
    target = checked.step.target
    return {
        "apiVersion": target.api_version,
        "kind": target.kind,
        "namespace": target.namespace,
        "name": target.name,
    }


def _operations(diff: Iterable[JsonObject]) -> Iterable[str]:
    for operation in diff:
        line = f"{operation['op']} {operation.get('path', '')}"
        if "value" in operation:
            line += f" {json.dumps(operation['value'], ensure_ascii=False, sort_keys=True)}"
        yield line


def _dry_run_validation(session: Session) -> JsonObject | None:
    if session.outcome is not Outcome.PROPOSAL:
        return None
    problems = [problem for _, checked in session.planned if (problem := _problem(checked))]
    count = len(session.planned)
    accepted = f"The API server accepted {count - len(problems)} of {count} steps as a dry run."
    return {
        "status": "failed" if problems or not count else "success",
        "details": " ".join([accepted, *problems]),
    }


def _problem(checked: StepChecked) -> str:
    number, evidence = checked.step.number, checked.evidence
    match evidence:
        case Accepted():
            return ""
        case Refused(message=message):
            return f"Step {number} was refused: {message}"
        case NotAllowed(message=message):
            return f"Step {number} is not allowed: {message}"
        case DependsOn(steps=steps):
            return f"Step {number} depends on {', '.join(map(str, steps))}."
        case _:
            assert_never(evidence)


def _risks(session: Session) -> JsonObject | None:
    risk = session.analysis.risk if session.analysis else None
    if risk is None:
        return None
    return {"level": str(risk.level), "description": " ".join(risk.reasons)}


def _execution_result(session: Session, result: StepResult) -> JsonObject:
    checked = session.step(result.step)
    return {
        "stepId": result.step,
        "command": checked.step.command if checked else "",
        "result": str(result.result),
        "success": result.result is ResultKind.SUCCEEDED,
        "output": result.output,
        "error": result.error,
    }

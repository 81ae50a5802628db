from __future__ import annotations

import json

import pytest

from dotai_nb.session.canonical import JsonObject, readable
from dotai_nb.session.events import AnalysisFinished, Interrupted, Recorded, StepChecked
from dotai_nb.session.fold import fold
from dotai_nb.session.snapshot import document
from dotai_nb.session.values import Analysis, NotAllowed, Outcome, PlannedStep
from tests.unit.sessions import (
    by_hand_session,
    clarification_session,
    executed_events,
    executed_session,
    failed_session,
    proposal_session,
    record,
    started,
    update_step,
)

TOP = ["createdAt", "data", "events", "schemaVersion", "sessionId", "updatedAt"]
DATA = [
    "capabilitiesUsed",
    "commands",
    "context",
    "currentState",
    "dryRunValidation",
    "executionResults",
    "intent",
    "outcome",
    "patternsApplied",
    "policiesChecked",
    "proposedChanges",
    "risks",
    "status",
    "toolName",
    "validationIntent",
]

SESSIONS = {
    "just started": record([started()]),
    "proposal": proposal_session(),
    "by hand": by_hand_session(),
    "executed": executed_session(),
    "clarification": clarification_session(),
    "failed": failed_session(),
}


def snapshot(recorded: tuple[Recorded, ...]) -> JsonObject:
    return document(fold(recorded), recorded)


def not_allowed_session() -> tuple[Recorded, ...]:
    checked = update_step()
    step = checked.step.model_copy(update={"number": 1})
    sentence = 'deployments.apps "my-api" is forbidden: User "agent" cannot patch'
    return record(
        [
            started(),
            StepChecked(step=step, evidence=NotAllowed(message=sentence)),
            AnalysisFinished(
                analysis=Analysis(
                    outcome=Outcome.PROPOSAL,
                    summary="Ask somebody with the rights.",
                    steps=(PlannedStep(step=1, reason="New image."),),
                ),
                digest="",
            ),
        ]
    )


@pytest.mark.parametrize("recorded", SESSIONS.values(), ids=SESSIONS)
def test_the_keys_are_the_same_at_every_moment(recorded: tuple[Recorded, ...]):
    found = snapshot(recorded)
    assert sorted(found) == TOP
    assert sorted(found["data"]) == DATA
    assert sorted(found["data"]["context"]) == ["capabilities", "patterns", "policies"]
    assert sorted(found["data"]["proposedChanges"]) == ["create", "delete", "update"]


@pytest.mark.parametrize("recorded", SESSIONS.values(), ids=SESSIONS)
def test_the_file_reads_back_as_it_was_written(recorded: tuple[Recorded, ...]):
    found = snapshot(recorded)
    assert json.loads(readable(found)) == found


def test_the_head_says_which_session_and_when():
    found = snapshot(executed_session())
    assert found["schemaVersion"] == 1
    assert found["sessionId"] == "opr-1767225600000-0a1b2c3d"
    assert found["createdAt"] == "2026-01-01T00:00:00Z"
    assert found["updatedAt"] == "2026-01-01T00:00:15Z"
    assert len(found["events"]) == 61


def test_before_an_analysis_there_are_no_claims():
    data = snapshot(SESSIONS["just started"])["data"]
    assert data == {
        "toolName": "operate",
        "intent": started().intent,
        "context": {"patterns": [], "policies": [], "capabilities": []},
        "currentState": [],
        "proposedChanges": {"create": [], "update": [], "delete": []},
        "commands": [],
        "dryRunValidation": None,
        "patternsApplied": [],
        "capabilitiesUsed": [],
        "policiesChecked": [],
        "risks": None,
        "validationIntent": None,
        "status": "analyzing",
        "outcome": None,
        "executionResults": [],
    }


def test_the_proposal_is_told_by_what_it_does():
    changes = snapshot(proposal_session())["data"]["proposedChanges"]
    assert [change["kind"] for change in changes["create"]] == ["PodDisruptionBudget"]
    assert json.loads(changes["create"][0]["manifest"])["spec"]["minAvailable"] == 1
    assert changes["update"] == [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "namespace": "shop",
            "name": "my-api",
            "stepId": 2,
            "rationale": "New image, and never fewer than 2 pods available.",
            "changes": (
                "replace /spec/strategy/rollingUpdate/maxSurge 1\n"
                "replace /spec/strategy/rollingUpdate/maxUnavailable 0\n"
                'replace /spec/template/spec/containers/0/image "nginx:1.20"'
            ),
        }
    ]
    assert [change["name"] for change in changes["delete"]] == ["my-api-canary"]


def test_the_current_state_is_the_objects_before_and_leaves_out_new_ones():
    state = snapshot(proposal_session())["data"]["currentState"]
    assert [(each["kind"], each["name"]) for each in state] == [
        ("Deployment", "my-api"),
        ("Deployment", "my-api-canary"),
    ]
    container = state[0]["object"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "nginx:1.19"


def test_accepted_steps_are_a_successful_validation():
    data = snapshot(proposal_session())["data"]
    assert data["dryRunValidation"] == {
        "status": "success",
        "details": "The API server accepted 3 of 3 steps as a dry run.",
    }
    assert data["risks"] == {
        "level": "high",
        "description": "A Deployment is deleted. Two pods restart.",
    }
    assert len(data["commands"]) == 3


def test_a_step_that_is_not_allowed_is_a_failed_validation_in_the_servers_words():
    data = snapshot(not_allowed_session())["data"]
    assert data["dryRunValidation"] == {
        "status": "failed",
        "details": (
            "The API server accepted 0 of 1 steps as a dry run. Step 1 is not allowed: "
            'deployments.apps "my-api" is forbidden: User "agent" cannot patch'
        ),
    }


def test_execution_results_name_step_command_and_outcome():
    data = snapshot(executed_session())["data"]
    assert data["status"] == "executed_successfully"
    assert data["outcome"] == "proposal"
    assert data["executionResults"][2] == {
        "stepId": 4,
        "command": "kubectl delete deployment my-api-canary -n shop",
        "result": "succeeded",
        "success": True,
        "output": 'deployment.apps "my-api-canary" deleted',
        "error": "",
    }


def test_an_interrupted_execution_shows_what_is_unknown_and_what_was_never_sent():
    events = list(executed_events())
    sent = next(n for n, event in enumerate(events) if event.type == "step_started")
    recorded = record([*events[: sent + 1], Interrupted(message="gone")])
    results = snapshot(recorded)["data"]["executionResults"]
    assert [(each["stepId"], each["result"], each["success"]) for each in results] == [
        (2, "unknown", False),
        (3, "skipped", False),
        (4, "skipped", False),
    ]

"""The main job on a real API server, the model scripted over the wire."""

from __future__ import annotations

import asyncio
import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import dotai_nb
from dotai_nb import errors
from dotai_nb.session.store import load
from dotai_nb.session.values import Outcome, Refused, RiskLevel, Status, VerdictKind
from dotai_nb.settings import Settings
from tests.cluster.turns import call, conclude, propose, turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from dotai_nb.llm.conversation import Answer
    from tests.cluster.admin import Admin
    from tests.cluster.controlplane.audit import AuditRecord
    from tests.cluster.controlplane.plane import Cluster
    from tests.cluster.fixtures import Agent, DeploymentFactory
    from tests.wire.fixtures import Aimock

ZERO_DOWNTIME = {"spec": {"strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}}}


@pytest.fixture
def settings(agent: Agent, aimock: Aimock, tmp_path: Path) -> Callable[..., Settings]:
    """Settings whose model says these turns, over HTTP."""

    def make(answers: Sequence[Answer], **changes: Any) -> Settings:
        from tests.wire.aimock import fixtures_for

        server = aimock(fixtures_for(answers))
        given = {
            "KUBECONFIG": str(agent.kubeconfig),
            "ANTHROPIC_API_KEY": "test-key",
            "ANTHROPIC_BASE_URL": server.url,
            "DOT_AI_SESSION_DIR": str(tmp_path),
            "DOT_AI_ROLLOUT_TIMEOUT": 60,
            "DOT_AI_MODEL_RETRIES": 0,
        }
        return Settings.model_validate({**given, **changes})

    return make


def update_turns(image: str = "nginx:1.20", name: str = "my-api") -> list[Answer]:
    patch = {
        "spec": {
            **ZERO_DOWNTIME["spec"],
            "template": {"spec": {"containers": [{"name": name, "image": image}]}},
        }
    }
    return [
        turn(
            "I look at the Deployment.",
            call("get", resource="deployments"),
            call("describe", resource="deploy", name=name),
            call("get", resource="pods", label_selector=f"app={name}"),
        ),
        turn(call("patch_dryrun", resource="deployment", name=name, patch=patch)),
        propose(1),
        turn(call("get", resource="deployment", name=name)),
        conclude(),
    ]


@contextmanager
def available_replicas(cluster: Cluster, namespace: str) -> Iterator[list[int]]:
    """Every number of available replicas of my-api that a watch sees meanwhile."""
    seen: list[int] = []
    watch = subprocess.Popen(
        [
            str(cluster.kubectl), f"--kubeconfig={cluster.kubeconfig}", f"-n={namespace}",
            "get", "deployment", "my-api", "--watch",
            '-o=jsonpath={.status.availableReplicas}{"\\n"}',
        ],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert watch.stdout is not None
    try:
        seen.append(int(watch.stdout.readline()))
        yield seen
    finally:
        watch.terminate()
        seen += [int(line or 0) for line in watch.stdout.read().splitlines()]
        watch.wait()
        watch.stdout.close()
    assert len(seen) > 1, "the watch saw the rollout"


async def test_o1_an_image_is_updated_with_zero_downtime(
    settings: Callable[..., Settings],
    deployment: DeploymentFactory,
    admin: Admin,
    agent: Agent,
    audit: Callable[[], list[AuditRecord]],
    control_plane: Cluster,
) -> None:
    before = deployment()
    op = await dotai_nb.operate(
        "Update my-api to nginx:1.20 with zero downtime", settings=settings(update_turns())
    )
    assert (op.status, op.outcome) == (Status.ANALYSIS_COMPLETE, Outcome.PROPOSAL)
    assert [t.state for t in op.session.tools] == ["ok"] * 5
    live = admin.get("apps/v1", "Deployment", "my-api", agent.namespace)
    assert live["spec"] == before["spec"]

    op.approve(digest=op.digest[:12])
    with available_replicas(control_plane, agent.namespace) as available:
        await op.execute()
    assert min(available) >= 2

    assert op.status == Status.EXECUTED_SUCCESSFULLY
    assert op.session.verdict is not None
    assert op.session.verdict.by_model == VerdictKind.PASSED
    after = admin.get("apps/v1", "Deployment", "my-api", agent.namespace)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    expected = json.loads(json.dumps(before["spec"]))
    expected["template"]["spec"]["containers"][0]["image"] = "nginx:1.20"
    expected["strategy"]["rollingUpdate"] = {"maxUnavailable": 0, "maxSurge": 1}
    assert after["spec"] == expected
    assert op.session.rollouts[-1].state == "done"

    loaded = load(op.path)
    assert loaded.session.status == Status.EXECUTED_SUCCESSFULLY
    written = [r for r in audit() if r.user == agent.username and r.is_write and not r.dry_run]
    started = [e.event for e in loaded.recorded if e.event.type == "step_started"]
    assert [r.audit_id for r in written if r.code == 200] == [started[-1].audit_id]
    approved = next(n for n, e in enumerate(loaded.recorded) if e.event.type == "approved")
    first_write = next(n for n, e in enumerate(loaded.recorded) if e.event.type == "step_started")
    assert approved < first_write


@pytest.mark.parametrize("intent", ["", "   \n\t ", "x" * 10_000])
async def test_o4_an_intent_that_can_not_be_one_costs_nothing(
    intent: str, settings: Callable[..., Settings], tmp_path: Path
) -> None:
    with pytest.raises(errors.IntentError) as caught:
        await dotai_nb.operate(intent, settings=settings(update_turns()))
    assert caught.value.hint
    assert not list(tmp_path.rglob("opr-*.json"))


async def test_o12_an_unclear_intent_gets_a_question(
    settings: Callable[..., Settings], deployment: DeploymentFactory
) -> None:
    deployment()
    asked = propose(
        outcome="needs_clarification",
        risk=None,
        question="More replicas, or more CPU for each?",
        validation_intent="",
    )
    answers = [turn(call("get", resource="deploy")), asked]
    op = await dotai_nb.operate("make it faster", settings=settings(answers))
    assert (op.status, op.outcome) == (Status.ANALYSIS_COMPLETE, Outcome.NEEDS_CLARIFICATION)
    assert op.session.analysis is not None
    assert op.session.analysis.question == "More replicas, or more CPU for each?"
    assert op.digest == ""
    with pytest.raises(errors.NotExecutable, match="nothing to approve"):
        op.approve(digest="0" * 12)


async def test_o13_a_refused_dry_run_is_repaired_and_both_tries_are_kept(
    settings: Callable[..., Settings], deployment: DeploymentFactory
) -> None:
    deployment()
    wrong = {"spec": {"strategy": {"rollingUpdate": {"maxUnavailble": 0}}}}
    answers = [
        turn(call("get", resource="deploy")),
        turn(call("patch_dryrun", resource="deploy", name="my-api", patch=wrong)),
        propose(1),
        turn(call("patch_dryrun", resource="deploy", name="my-api", patch=ZERO_DOWNTIME)),
        propose(2),
    ]
    op = await dotai_nb.operate("never take a pod away", settings=settings(answers))
    first, second = op.session.steps
    assert isinstance(first.evidence, Refused)
    assert "maxUnavailble" in first.evidence.message
    told = op.session.tools[1].finished
    assert told is not None
    assert "unknown field" in told.output
    refused_proposal = op.session.tools[2].finished
    assert refused_proposal is not None
    assert not refused_proposal.ok
    assert "Step 1 was refused" in refused_proposal.output
    assert [p.step for p, _ in op.session.planned] == [second.step.number] == [2]


async def test_o17_and_r8_nothing_to_do_is_said_with_no_step(
    settings: Callable[..., Settings],
    deployment: DeploymentFactory,
    audit: Callable[[], list[AuditRecord]],
    agent: Agent,
) -> None:
    deployment(image="nginx:1.20")
    answers = [
        turn(call("get", resource="deploy")),
        turn(
            call("set_image_dryrun", resource="deploy", name="my-api",
                 images={"my-api": "nginx:1.20"})
        ),
        propose(outcome="no_change_needed", risk=None, validation_intent=""),
    ]  # fmt: skip
    op = await dotai_nb.operate("run nginx:1.20", settings=settings(answers))
    assert (op.outcome, op.session.planned, op.digest) == (Outcome.NO_CHANGE_NEEDED, (), "")
    assert not [r for r in audit() if r.user == agent.username and r.is_write and not r.dry_run]


async def test_a_plan_that_the_identity_may_not_run_can_not_be_approved(
    settings: Callable[..., Settings], deployment: DeploymentFactory, reader: Agent
) -> None:
    deployment()
    chosen = settings(
        [
            turn(call("get", resource="deploy")),
            turn(call("scale_dryrun", resource="deploy", name="my-api", replicas=4)),
            propose(1),
        ],
        KUBECONFIG=str(reader.kubeconfig),
    )
    op = await dotai_nb.operate("scale to 4", settings=chosen)
    assert op.outcome == Outcome.PROPOSAL
    assert op.session.steps[0].evidence.kind == "not_allowed"
    assert op.digest == ""
    with pytest.raises(errors.NotExecutable, match="would not do step 1"):
        op.approve(digest="0" * 12)


async def test_the_risk_floor_of_the_code_is_not_lowered_by_the_model(
    settings: Callable[..., Settings], deployment: DeploymentFactory
) -> None:
    deployment()
    answers = [
        turn(call("get", resource="deploy")),
        turn(call("scale_dryrun", resource="deploy", name="my-api", replicas=0)),
        propose(1),
    ]
    op = await dotai_nb.operate("stop it", settings=settings(answers))
    assert op.session.analysis is not None
    assert op.session.analysis.risk is not None
    assert op.session.analysis.risk.level == RiskLevel.HIGH


async def test_an_approval_is_for_one_run_of_one_digest(
    settings: Callable[..., Settings], deployment: DeploymentFactory
) -> None:
    deployment()
    op = await dotai_nb.operate("update", settings=settings(update_turns()))
    with pytest.raises(errors.ApprovalRequired):
        await op.execute()
    for wrong in ("0" * 12, op.digest[:11], ""):
        with pytest.raises((errors.ApprovalMismatch, errors.ApprovalRequired)):
            op.approve(digest=wrong)
    approval = op.approve(digest=op.digest)
    assert approval.digest == op.digest
    await op.execute()
    for _ in range(3):
        with pytest.raises(errors.NotExecutable, match="executed once"):
            await op.execute()
    with pytest.raises(errors.NotExecutable):
        op.approve(digest=op.session.digest)
    stored = dotai_nb.open_session(op.path)
    with pytest.raises(errors.NotExecutable, match="loaded from a file"):
        stored.approve(digest=op.digest)
    with pytest.raises(errors.NotExecutable, match="loaded from a file"):
        await stored.execute()


async def test_an_expired_approval_sends_nothing(
    settings: Callable[..., Settings], deployment: DeploymentFactory, admin: Admin, agent: Agent
) -> None:
    deployment()
    chosen = settings(update_turns(), DOT_AI_APPROVAL_MINUTES=0.001)
    op = await dotai_nb.operate("update", settings=chosen)
    op.approve(digest=op.digest)
    await asyncio.sleep(0.1)
    with pytest.raises(errors.ApprovalSpent):
        await op.execute()
    assert op.status == Status.ANALYSIS_COMPLETE
    live = admin.get("apps/v1", "Deployment", "my-api", agent.namespace)
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.19"


async def test_refining_goes_on_in_the_session_and_voids_the_approval(
    settings: Callable[..., Settings], deployment: DeploymentFactory
) -> None:
    deployment()
    answers = [
        *update_turns()[:3],
        turn(call("scale_dryrun", resource="deploy", name="my-api", replicas=3)),
        propose(1, 2),
    ]
    op = await dotai_nb.operate("update", settings=settings(answers))
    first = op.digest
    op.approve(digest=first)
    await op.refine("and scale to 3")
    assert op.session.refinements == ("and scale to 3",)
    assert op.digest not in ("", first)
    with pytest.raises(errors.ApprovalRequired):
        await op.execute()
    with pytest.raises(errors.ApprovalMismatch):
        op.approve(digest=first)


async def test_a_plan_in_read_only_mode_can_be_made_and_not_executed(
    settings: Callable[..., Settings], deployment: DeploymentFactory
) -> None:
    deployment()
    chosen = settings(update_turns(), DOT_AI_READ_ONLY=True)
    op = await dotai_nb.operate("update", settings=chosen)
    with pytest.raises(errors.NotExecutable, match="READ_ONLY"):
        op.approve(digest=op.digest)


async def test_an_object_that_changed_since_its_review_is_not_touched(
    settings: Callable[..., Settings], deployment: DeploymentFactory, admin: Admin, agent: Agent
) -> None:
    deployment()
    op = await dotai_nb.operate("update", settings=settings(update_turns()))
    op.approve(digest=op.digest)
    containers = [{"name": "my-api", "image": "nginx:1.18"}]
    changed = {"spec": {"template": {"spec": {"containers": containers}}}}
    admin.patch("apps/v1", "Deployment", "my-api", agent.namespace, changed)
    await op.execute()
    assert op.status == Status.EXECUTED_WITH_ERRORS
    assert op.session.results[0].result == "skipped"
    assert "drift" in op.session.results[0].error
    live = admin.get("apps/v1", "Deployment", "my-api", agent.namespace)
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.18"


async def test_a_rollout_that_never_gets_ready_is_not_a_success(
    settings: Callable[..., Settings], deployment: DeploymentFactory
) -> None:
    deployment()
    answers = update_turns(image="nginx:does-not-exist")
    op = await dotai_nb.operate("update", settings=settings(answers, DOT_AI_ROLLOUT_TIMEOUT=4))
    op.approve(digest=op.digest)
    await op.execute()
    assert op.status == Status.EXECUTED_WITH_ERRORS
    assert op.session.verdict is not None
    assert op.session.verdict.verdict != VerdictKind.PASSED


async def test_the_file_holds_what_other_tools_of_the_kind_look_for(
    settings: Callable[..., Settings], deployment: DeploymentFactory
) -> None:
    deployment()
    op = await dotai_nb.operate("update", settings=settings(update_turns()))
    op.approve(digest=op.digest)
    await op.execute()
    document = json.loads(op.path.read_text())
    assert document["sessionId"] == op.id
    data = document["data"]
    assert data["status"] == "executed_successfully"
    assert data["dryRunValidation"]["status"] == "success"
    assert data["commands"][0].startswith("kubectl patch")
    assert data["executionResults"][0]["success"] is True
    assert (op.path.stat().st_mode & 0o777) == 0o600
    assert not list(op.path.parent.glob("*.jsonl"))

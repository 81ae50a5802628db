"""Whole sessions as tests need them: event lists a real run would leave, built without a cluster.

Times, ids and hashes are the same in every run, so that tests may compare whole values.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dotai_nb.session.approval import plan_digest
from dotai_nb.session.canonical import digest
from dotai_nb.session.events import (
    BY_HAND,
    AnalysisFinished,
    Approved,
    Event,
    ExecutionStarted,
    Failed,
    Recorded,
    RolloutProgressed,
    SessionStarted,
    StepChecked,
    StepFinished,
    StepStarted,
    TextSaid,
    Thought,
    ToolCalled,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    TurnStarted,
    VerdictReached,
)
from dotai_nb.session.values import (
    Accepted,
    Action,
    Analysis,
    Approval,
    Check,
    Edge,
    Fingerprint,
    Measured,
    Node,
    ObjectRef,
    Observation,
    Outcome,
    PlannedStep,
    Refused,
    ResultKind,
    Risk,
    RiskLevel,
    Step,
    StepResult,
    Topology,
    Usage,
    Verdict,
    VerdictKind,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SESSION_ID = "opr-1767225600000-0a1b2c3d"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(milliseconds=250)
INTENT = "Update my-api to nginx:1.20 with zero downtime and remove the old canary"
NAMESPACE = "shop"
MODEL = "claude-sonnet-5"

FINGERPRINT = Fingerprint(
    server="https://10.0.0.1:6443",
    ca_sha256=digest("the cluster's CA"),
    cluster_uid="2f1c7f0e-6c1b-4f0e-9c55-0e4f7a3a1d11",
)

DEPLOYMENT = ObjectRef(
    group="apps",
    version="v1",
    kind="Deployment",
    resource="deployments",
    namespace=NAMESPACE,
    name="my-api",
)
CANARY = DEPLOYMENT.model_copy(update={"name": "my-api-canary"})
BUDGET = ObjectRef(
    group="policy",
    version="v1",
    kind="PodDisruptionBudget",
    resource="poddisruptionbudgets",
    namespace=NAMESPACE,
    name="my-api",
)
REPLICA_SET = ObjectRef(
    group="apps",
    version="v1",
    kind="ReplicaSet",
    resource="replicasets",
    namespace=NAMESPACE,
    name="my-api-canary-7d9c5b8f6d",
)

PATCH_URL = "/apis/apps/v1/namespaces/shop/deployments/my-api"
MERGE_PATCH = "application/strategic-merge-patch+json"


def record(events: Iterable[Event], began: datetime = BEGAN) -> tuple[Recorded, ...]:
    """Chain events, 250 ms apart."""
    recorded: list[Recorded] = []
    for event in events:
        at = began + TICK * len(recorded)
        recorded.append(Recorded.after(recorded[-1] if recorded else None, event, at))
    return tuple(recorded)


def started(
    intent: str = INTENT, *, session_id: str = SESSION_ID, **changes: Any
) -> SessionStarted:
    """The first event of a session with a live model."""
    values: dict[str, Any] = {
        "session_id": session_id,
        "intent": intent,
        "namespace": NAMESPACE,
        "context": "kind-shop",
        "fingerprint": FINGERPRINT,
        "server_version": "v1.37.0",
        "identity": "system:serviceaccount:shop:agent",
        "package_version": "0.1.0",
        "provider": "anthropic",
        "endpoint": "https://api.anthropic.com",
        "model": MODEL,
        "prompts": {"operate-system": digest("system"), "operate-user": digest("user")},
        "tools": digest("tools"),
        "knowledge": "No patterns, policies or capabilities are configured.",
    }
    return SessionStarted(**{**values, **changes})


def deployment(ref: ObjectRef, image: str, *, surge: bool = False) -> dict[str, Any]:
    """A Deployment as a server would show it, without status and managedFields."""
    strategy: dict[str, Any] = {"type": "RollingUpdate"}
    strategy["rollingUpdate"] = (
        {"maxSurge": 1, "maxUnavailable": 0}
        if surge
        else {"maxSurge": "25%", "maxUnavailable": "25%"}
    )
    return {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "labels": {"app": ref.name},
            "uid": f"uid-{ref.name}",
            "resourceVersion": "4711",
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": ref.name}},
            "strategy": strategy,
            "template": {
                "metadata": {"labels": {"app": ref.name}},
                "spec": {"containers": [{"name": "api", "image": image}]},
            },
        },
    }


def refused_step() -> StepChecked:
    """Step 1: a patch with a field the server does not know."""
    body = {"spec": {"strategy": {"rollingUpdate": {"maxUnavailble": 0}}}}
    step = Step(
        number=1,
        action=Action.UPDATE,
        target=DEPLOYMENT,
        method="PATCH",
        path=PATCH_URL,
        query={"fieldManager": "dotai-nb", "fieldValidation": "Strict"},
        content_type=MERGE_PATCH,
        body=body,
        argv=("kubectl", "patch", "deployment", "my-api", "-n", NAMESPACE, "-p", str(body)),
        call_id="toolu_03",
    )
    words = 'strict decoding error: unknown field "spec.strategy.rollingUpdate.maxUnavailble"'
    return StepChecked(step=step, evidence=Refused(code=400, reason="BadRequest", message=words))


def update_step() -> StepChecked:
    """Step 2: image and strategy of the Deployment."""
    body = {
        "spec": {
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"spec": {"containers": [{"name": "api", "image": "nginx:1.20"}]}},
        }
    }
    step = Step(
        number=2,
        action=Action.UPDATE,
        target=DEPLOYMENT,
        method="PATCH",
        path=PATCH_URL,
        query={"fieldManager": "dotai-nb", "fieldValidation": "Strict"},
        content_type=MERGE_PATCH,
        body=body,
        argv=(
            "kubectl",
            "patch",
            "deployment",
            "my-api",
            "-n",
            NAMESPACE,
            "--type",
            "strategic",
            "-p",
            '{"spec":{"template":{"spec":{"containers":[{"name":"api","image":"nginx:1.20"}]}}}}',
        ),
        call_id="toolu_04",
    )
    evidence = Accepted(
        before=deployment(DEPLOYMENT, "nginx:1.19"),
        after=deployment(DEPLOYMENT, "nginx:1.20", surge=True),
        diff=(
            {"op": "replace", "path": "/spec/strategy/rollingUpdate/maxSurge", "value": 1},
            {"op": "replace", "path": "/spec/strategy/rollingUpdate/maxUnavailable", "value": 0},
            {
                "op": "replace",
                "path": "/spec/template/spec/containers/0/image",
                "value": "nginx:1.20",
            },
        ),
        uid="uid-my-api",
        resource_version="4711",
        warnings=('would violate PodSecurity "restricted:latest": runAsNonRoot != true',),
    )
    return StepChecked(step=step, evidence=evidence)


def create_step() -> StepChecked:
    """Step 3: a PodDisruptionBudget."""
    manifest = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": BUDGET.name, "namespace": NAMESPACE},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "my-api"}}},
    }
    step = Step(
        number=3,
        action=Action.CREATE,
        target=BUDGET,
        method="PATCH",
        path="/apis/policy/v1/namespaces/shop/poddisruptionbudgets/my-api",
        query={"fieldManager": "dotai-nb", "fieldValidation": "Strict"},
        content_type="application/apply-patch+yaml",
        body=manifest,
        argv=("kubectl", "apply", "--server-side", "--field-manager=dotai-nb", "-f", "-"),
        stdin=(
            "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata:\n  name: my-api\n"
            "  namespace: shop\nspec:\n  minAvailable: 1\n  selector:\n    matchLabels:\n"
            "      app: my-api\n"
        ),
        call_id="toolu_05",
    )
    evidence = Accepted(
        before=None,
        after=manifest,
        diff=({"op": "add", "path": "", "value": manifest},),
    )
    return StepChecked(step=step, evidence=evidence)


def delete_step() -> StepChecked:
    """Step 4: the canary goes, and with it its ReplicaSet."""
    step = Step(
        number=4,
        action=Action.DELETE,
        target=CANARY,
        method="DELETE",
        path=f"{PATCH_URL}-canary",
        body={"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"},
        content_type="application/json",
        argv=("kubectl", "delete", "deployment", "my-api-canary", "-n", NAMESPACE),
        call_id="toolu_06",
    )
    before = deployment(CANARY, "nginx:1.20-rc")
    evidence = Accepted(
        before=before,
        after=None,
        diff=({"op": "remove", "path": ""},),
        uid="uid-my-api-canary",
        resource_version="4711",
        dependents=(str(REPLICA_SET),),
    )
    return StepChecked(step=step, evidence=evidence)


def turn(
    number: int,
    *blocks: Event,
    stop: str = "tool_use",
    purpose: Any = "investigate",
) -> Iterator[Event]:
    """A whole turn of the model around its blocks."""
    yield TurnStarted(turn=number, purpose=purpose)
    yield from blocks
    yield TurnFinished(
        turn=number,
        stop_reason=stop,
        model=f"{MODEL}-20260101",
        usage=Usage(input=1200, output=180, cache_read=900, cache_write=300),
        request_id=f"req_{number:02}",
    )


def answered(
    call_id: str,
    output: str,
    *,
    checked: StepChecked | None = None,
    ok: bool = True,
    measured: Measured | None = None,
) -> Iterator[Event]:
    """A tool call that runs and is answered, with the step it made."""
    yield ToolStarted(call_id=call_id)
    if checked:
        yield checked
    yield ToolFinished(
        call_id=call_id,
        ok=ok,
        output=output,
        measured=measured,
        duration_ms=12,
        audit_ids=(f"audit-{call_id}",),
        step=checked.step.number if checked else None,
    )


def _called(number: int, call_id: str, tool: str, /, **arguments: Any) -> ToolCalled:
    return ToolCalled(turn=number, call_id=call_id, name=tool, arguments=arguments)


def _looked() -> Iterator[Event]:
    yield from turn(
        1,
        Thought(turn=1, text="First look at what runs.", signature="c2lnbmF0dXJl"),
        TextSaid(turn=1, text="I look at the Deployment and its pods — naïve café 🚀."),
        _called(1, "toolu_01", "kubectl_get", resource="deployments", namespace=NAMESPACE),
        _called(1, "toolu_02", "kubectl_events", namespace=NAMESPACE),
    )
    yield ToolStarted(call_id="toolu_01")
    yield ToolStarted(call_id="toolu_02")
    table = "NAME            READY   UP-TO-DATE   AVAILABLE   AGE\nmy-api          2/2     2            2           3d\nmy-api-canary   2/2     2            2           9d"  # noqa: E501 - kubectl's own columns
    yield ToolFinished(
        call_id="toolu_01",
        ok=True,
        output=table,
        measured=Measured(returned=2, total=2, truncated=False),
        duration_ms=31,
        audit_ids=("audit-toolu_01",),
    )
    yield ToolFinished(
        call_id="toolu_02",
        ok=False,
        output="Forbidden: events is forbidden for this identity in the namespace shop.",
        duration_ms=9,
        audit_ids=("audit-toolu_02",),
    )


def _tried() -> Iterator[Event]:
    first, update, create, delete = refused_step(), update_step(), create_step(), delete_step()
    yield from turn(
        2,
        TextSaid(turn=2, text="I try the patch as a dry run."),
        _called(2, "toolu_03", "kubectl_patch_dryrun", name="my-api", patch=first.step.body),
    )
    assert isinstance(first.evidence, Refused)
    yield from answered("toolu_03", first.evidence.message, checked=first, ok=False)
    yield from turn(
        3,
        TextSaid(turn=3, text="A misspelled field. Once more, with the other two changes."),
        _called(3, "toolu_04", "kubectl_patch_dryrun", name="my-api", patch=update.step.body),
        _called(3, "toolu_05", "kubectl_apply_dryrun", manifest=create.step.stdin),
        _called(3, "toolu_06", "kubectl_delete_dryrun", name="my-api-canary"),
    )
    yield from answered("toolu_04", "Step 2 accepted.", checked=update)
    yield from answered("toolu_05", "Step 3 accepted.", checked=create)
    yield from answered("toolu_06", "Step 4 accepted.", checked=delete)


ANALYSIS = Analysis(
    outcome=Outcome.PROPOSAL,
    summary="Roll my-api to nginx:1.20 one pod at a time, guard it, then remove the canary.",
    observations=(
        Observation(text="my-api has 2 ready replicas of nginx:1.19.", calls=("toolu_01",)),
        Observation(text="A canary of 9 days still runs.", calls=("toolu_01",)),
    ),
    steps=(
        PlannedStep(step=2, reason="New image, and never fewer than 2 pods available."),
        PlannedStep(step=3, reason="A drain of a node must not take both pods."),
        PlannedStep(step=4, reason="The canary is no longer needed."),
    ),
    risk=Risk(level=RiskLevel.HIGH, reasons=("A Deployment is deleted.", "Two pods restart.")),
    validation_intent="my-api runs 2 ready pods of nginx:1.20; my-api-canary is gone.",
)

TOPOLOGY = Topology(
    nodes=(
        Node(ref=DEPLOYMENT, action=Action.UPDATE, detail="nginx:1.19 -> nginx:1.20"),
        Node(ref=BUDGET, action=Action.CREATE),
        Node(ref=CANARY, action=Action.DELETE),
        Node(ref=REPLICA_SET, detail="2 pods"),
    ),
    edges=(
        Edge(source=1, target=0, label="guards"),
        Edge(source=2, target=3, label="owns"),
    ),
)


def proposal_digest() -> str:
    """The digest of the proposal below: its three accepted steps on this cluster."""
    return plan_digest(FINGERPRINT, (update_step(), create_step(), delete_step()))


def proposal_events() -> Iterator[Event]:
    """From the intent to a proposal of three steps: update, create, delete."""
    yield started()
    yield from _looked()
    yield from _tried()
    yield from turn(
        4,
        TextSaid(turn=4, text="All three are accepted; I propose them."),
        _called(4, "toolu_07", "propose", steps=[2, 3, 4]),
    )
    yield from answered("toolu_07", "The proposal is recorded.")
    yield AnalysisFinished(analysis=ANALYSIS, digest=proposal_digest(), topology=TOPOLOGY)


def approval() -> Approval:
    """A yes to the proposal, given in the cell."""
    return Approval(
        digest=proposal_digest(),
        by="ada",
        how="asked",
        approved_at=BEGAN + timedelta(minutes=1),
        expires_at=BEGAN + timedelta(minutes=31),
    )


def _step_ran(number: int, output: str) -> Iterator[Event]:
    audit_id = f"audit-step-{number}"
    yield StepStarted(step=number, audit_id=audit_id)
    yield StepFinished(
        result=StepResult(
            step=number,
            result=ResultKind.SUCCEEDED,
            output=output,
            code=200,
            duration_ms=18,
            audit_id=audit_id,
        )
    )


def executed_events() -> Iterator[Event]:
    """The proposal approved and executed: all steps succeed, the verdict is `passed`."""
    yield from proposal_events()
    yield Approved(approval=approval())
    yield ExecutionStarted(digest=proposal_digest(), by="ada")
    yield from _step_ran(2, "deployment.apps/my-api patched")
    yield from _step_ran(3, "poddisruptionbudget.policy/my-api serverside-applied")
    yield from _step_ran(4, 'deployment.apps "my-api-canary" deleted')
    for ready in (0, 1, 2):
        yield RolloutProgressed(
            step=2,
            target=DEPLOYMENT,
            ready=ready,
            wanted=2,
            state="done" if ready == 2 else "progressing",
            message=f"{ready} of 2 updated replicas are available",
        )
    yield from turn(
        5,
        TextSaid(turn=5, text="I check what runs now."),
        _called(5, "toolu_08", "kubectl_get", resource="deployments", namespace=NAMESPACE),
        purpose="validate",
    )
    yield from answered("toolu_08", "my-api 2/2 nginx:1.20")
    yield from turn(
        6,
        TextSaid(turn=6, text="my-api runs 2 ready pods of nginx:1.20, the canary is gone."),
        stop="end_turn",
        purpose="validate",
    )
    yield VerdictReached(
        verdict=Verdict(
            verdict=VerdictKind.PASSED,
            summary="my-api runs nginx:1.20 on 2 ready pods; the canary is gone.",
            checks=(
                Check(name="rollout of deployments.apps/my-api", ok=True, detail="2 of 2"),
                Check(name="deployments.apps/my-api-canary is gone", ok=True),
            ),
            by_code=VerdictKind.PASSED,
            by_model=VerdictKind.PASSED,
        ),
        audit_ids=("audit-verdict",),
    )


def clarification_events() -> Iterator[Event]:
    """The intent can't be acted on: the model asks back."""
    yield started("Make it faster")
    yield from turn(
        1,
        TextSaid(turn=1, text="There are four Deployments here; I need to know which is slow."),
        _called(1, "toolu_01", "propose", outcome="needs_clarification"),
    )
    yield from answered("toolu_01", "The question is recorded.")
    yield AnalysisFinished(
        analysis=Analysis(
            outcome=Outcome.NEEDS_CLARIFICATION,
            summary="It is not clear what should become faster.",
            question="Which of the four Deployments is too slow, and how fast must it be?",
        ),
        digest="",
    )


def failed_events() -> Iterator[Event]:
    """The provider is overloaded in the second turn, still so after the retries."""
    yield started()
    yield from _looked()
    yield TurnStarted(turn=2, purpose="investigate")
    yield Failed(
        outcome=Outcome.FAILED,
        error="ModelUnavailable",
        message="anthropic is overloaded (529), still so after 4 retries.",
        hint="Wait a minute and start again.",
        request_id="req_02",
    )


def by_hand_events() -> Iterator[Event]:
    """A plan of one step that a person wrote."""
    yield started(provider=BY_HAND, endpoint="", model="", prompts={}, tools="")
    second = update_step()
    step = second.step.model_copy(update={"number": 1, "call_id": ""})
    checked = second.model_copy(update={"step": step, "audit_ids": ("audit-dry-1",)})
    yield checked
    analysis = Analysis(
        outcome=Outcome.PROPOSAL,
        summary="The steps were written by hand; no model was asked.",
        steps=(PlannedStep(step=1, reason="written by hand"),),
        risk=Risk(level=RiskLevel.LOW, reasons=("Two pods restart.",)),
    )
    yield AnalysisFinished(analysis=analysis, digest=plan_digest(FINGERPRINT, (checked,)))


def by_hand_session() -> tuple[Recorded, ...]:
    """`analysis_complete`, `proposal`: no turn, no tool call, one accepted step."""
    return record(by_hand_events())


def proposal_session() -> tuple[Recorded, ...]:
    """`analysis_complete`, `proposal`: one refused step, three accepted and proposed."""
    return record(proposal_events())


def executed_session() -> tuple[Recorded, ...]:
    """`executed_successfully`: the proposal approved, executed, rolled out and validated."""
    return record(executed_events())


def clarification_session() -> tuple[Recorded, ...]:
    """`analysis_complete`, `needs_clarification`."""
    return record(clarification_events())


def failed_session() -> tuple[Recorded, ...]:
    """`failed`: the model was unavailable in turn 2."""
    return record(failed_events())

"""A person's own steps on a real API server: no key, no provider, and the same safety."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import dotai_nb
from dotai_nb import errors
from dotai_nb.session.store import load
from dotai_nb.session.values import Outcome, RiskLevel, Status, VerdictKind
from dotai_nb.settings import Settings
from dotai_nb.steps import (
    Annotate,
    Apply,
    Delete,
    Label,
    Patch,
    Rollout,
    Scale,
    SetImage,
)
from dotai_nb.widgets.destination import Choices
from dotai_nb.widgets.panel import Panel
from tests.unit.test_panel import settle, texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dotai_nb.operation import Operation
    from dotai_nb.steps import Change
    from tests.cluster.admin import Admin
    from tests.cluster.controlplane.audit import AuditRecord
    from tests.cluster.fixtures import Agent, DeploymentFactory

WEB = ("deploy", "my-api")
CONFIG_AND_SERVICE = """\
# What kubectl takes, this takes.
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  since: "2026-01-01"
---
---
apiVersion: v1
kind: Service
metadata:
  name: front
spec:
  selector: {app: my-api}
  ports: [{port: 80}]
"""


@pytest.fixture
def settings(agent: Agent, tmp_path: Path, unused_port: int) -> Settings:
    """No key; and whoever asked a provider all the same would find nobody there."""
    return Settings.model_validate(
        {
            "KUBECONFIG": str(agent.kubeconfig),
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{unused_port}",
            "DOT_AI_SESSION_DIR": str(tmp_path),
            "DOT_AI_ROLLOUT_TIMEOUT": 60,
        }
    )


async def executed(settings: Settings, *steps: Change | str) -> Operation:
    """Planned, approved by its digest and executed, which must succeed."""
    op = await dotai_nb.plan(steps, settings=settings)
    assert op.outcome == Outcome.PROPOSAL
    op.approve(digest=op.digest[:12])
    await op.execute()
    assert op.status == Status.EXECUTED_SUCCESSFULLY, op.session.verdict
    assert op.session.verdict is not None
    assert op.session.verdict.by_code == VerdictKind.PASSED
    assert op.session.verdict.by_model is None
    return op


def image(obj: dict[str, Any]) -> str:
    found: str = obj["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        (
            Patch(*WEB, {"spec": {"minReadySeconds": 1}}),
            lambda d: d["spec"]["minReadySeconds"] == 1,
        ),
        (
            Patch(*WEB, [{"op": "replace", "path": "/spec/paused", "value": True}], "json"),
            lambda d: d["spec"]["paused"],
        ),
        (Patch(*WEB, {"spec": {"replicas": 3}}, "merge"), lambda d: d["spec"]["replicas"] == 3),
        (SetImage(*WEB, {"my-api": "nginx:1.20"}), lambda d: image(d) == "nginx:1.20"),
        (Scale(*WEB, 3), lambda d: d["spec"]["replicas"] == 3),
        (
            Rollout("restart", *WEB),
            lambda d: (
                "kubectl.kubernetes.io/restartedAt"
                in d["spec"]["template"]["metadata"]["annotations"]
            ),
        ),
        (Rollout("pause", *WEB), lambda d: d["spec"]["paused"]),
        (Label(*WEB, {"team": "a"}), lambda d: d["metadata"]["labels"]["team"] == "a"),
        (Label(*WEB, {"app": None}), lambda d: "app" not in d["metadata"].get("labels", {})),
        (Annotate(*WEB, {"note": "x y"}), lambda d: d["metadata"]["annotations"]["note"] == "x y"),
    ],
    ids=lambda value: str(value) if not callable(value) else "",
)
async def test_each_kind_of_change_goes_from_a_line_of_code_to_a_verdict(
    change: Change,
    holds: Callable[[dict[str, Any]], bool],
    settings: Settings,
    deployment: DeploymentFactory,
    admin: Admin,
    agent: Agent,
) -> None:
    deployment(spec={"paused": False})
    await executed(settings, change)
    assert holds(admin.get("apps/v1", "Deployment", "my-api", agent.namespace))


async def test_an_undone_rollout_runs_the_image_of_before(
    settings: Settings, deployment: DeploymentFactory, admin: Admin, agent: Agent
) -> None:
    deployment()
    await executed(settings, SetImage(*WEB, {"my-api": "nginx:1.20"}))
    await executed(settings, Rollout("undo", *WEB))
    live = admin.get("apps/v1", "Deployment", "my-api", agent.namespace)
    assert image(live) == "nginx:1.19"


async def test_an_object_is_applied_and_deleted(
    settings: Settings, admin: Admin, agent: Agent
) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {}}
    await executed(settings, Apply({**manifest, "data": {"a": "b"}}))
    assert admin.get("v1", "ConfigMap", "cm", agent.namespace)["data"] == {"a": "b"}
    op = await executed(settings, Delete("configmap", "cm"))
    assert admin.find("v1", "ConfigMap", "cm", agent.namespace) is None
    assert op.session.analysis is not None
    assert op.session.analysis.risk is not None
    assert op.session.analysis.risk.level == RiskLevel.MEDIUM


async def test_yaml_text_with_two_documents_is_two_steps_and_the_audit_log_is_theirs(
    settings: Settings, admin: Admin, agent: Agent, audit: Callable[[], list[AuditRecord]]
) -> None:
    op = await dotai_nb.plan(CONFIG_AND_SERVICE, intent="a front door", settings=settings)
    assert op.session.intent == "a front door"
    assert [str(c.step.target) for _, c in op.session.planned] == [
        "configmaps/settings",
        "services/front",
    ]
    assert not [r for r in audit() if r.user == agent.username and r.is_write and not r.dry_run]
    op.approve(digest=op.digest)
    await op.execute()

    assert op.status == Status.EXECUTED_SUCCESSFULLY
    assert admin.get("v1", "ConfigMap", "settings", agent.namespace)["data"]["since"] == (
        "2026-01-01"
    )
    written = [r for r in audit() if r.user == agent.username and r.is_write]
    sent = [r.audit_id for r in written if not r.dry_run]
    assert sent == list(op.session.sent)
    dry = {r.audit_id for r in written if r.dry_run}
    for checked in op.session.steps:
        assert dry & set(checked.audit_ids), "the file names the request of each dry run"


async def test_two_steps_on_one_object_stand_on_one_another(
    settings: Settings, deployment: DeploymentFactory, admin: Admin, agent: Agent
) -> None:
    deployment()
    op = await executed(settings, SetImage(*WEB, {"my-api": "nginx:1.20"}), Scale(*WEB, 3))
    assert [r.result for r in op.session.results] == ["succeeded", "succeeded"]
    live = admin.get("apps/v1", "Deployment", "my-api", agent.namespace)
    assert (image(live), live["spec"]["replicas"]) == ("nginx:1.20", 3)


async def test_all_refused_steps_are_told_in_the_servers_words_and_kept(
    settings: Settings,
    deployment: DeploymentFactory,
    tmp_path: Path,
    agent: Agent,
    audit: Callable[[], list[AuditRecord]],
) -> None:
    deployment()
    steps = [
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: 1}\n",
        Scale(*WEB, 3),
        Patch(*WEB, {"spec": {"replcas": 4}}),
        Label("deploy", "nobody", {"a": "b"}),
        SetImage(*WEB, {"web": "nginx:1.20"}),
    ]
    with pytest.raises(errors.PlanRefused) as caught:
        await dotai_nb.plan(steps, settings=settings)

    bad_value, typo, missing, container = caught.value.refusals
    assert bad_value.startswith("Step 1 (apply ConfigMap cm): ")
    assert "data" in bad_value
    assert typo.startswith("Step 3 (patch deploy/my-api): ")
    assert 'unknown field "spec.replcas"' in typo
    assert missing.startswith("Step 4 (label deploy/nobody): ")
    assert f'deployments "nobody" not found in namespace {agent.namespace}.' in missing
    assert container.startswith("Step 5 (set image deploy/my-api): ")
    assert "Its containers are my-api." in container

    (path,) = tmp_path.rglob("opr-*.json")
    session = load(path).session
    assert (session.status, session.outcome) == (Status.FAILED, Outcome.FAILED)
    assert session.failure is not None
    assert all(refusal in session.failure.message for refusal in caught.value.refusals)
    assert [c.evidence.kind for c in session.steps] == ["refused", "accepted", "refused"]
    assert not [r for r in audit() if r.user == agent.username and r.is_write and not r.dry_run]


async def test_two_steps_that_set_one_field_are_refused_together(
    settings: Settings, deployment: DeploymentFactory
) -> None:
    deployment()
    with pytest.raises(errors.PlanRefused, match=r"Both step 1 and this change set spec\.replicas"):
        await dotai_nb.plan([Scale(*WEB, 3), Scale(*WEB, 4)], settings=settings)


async def test_what_is_there_already_is_left_out_and_told(
    settings: Settings, deployment: DeploymentFactory
) -> None:
    deployment()
    op = await dotai_nb.plan([Scale(*WEB, 2), Scale(*WEB, 3)], settings=settings)
    assert [p.step for p, _ in op.session.planned] == [2]
    assert op.session.analysis is not None
    assert "would change nothing: deployments.apps/my-api" in op.session.analysis.summary

    op = await dotai_nb.plan([Scale(*WEB, 2)], settings=settings)
    assert (op.status, op.outcome) == (Status.ANALYSIS_COMPLETE, Outcome.NO_CHANGE_NEEDED)
    assert op.digest == ""


async def test_the_risk_floor_holds_for_a_person_too(
    settings: Settings, deployment: DeploymentFactory
) -> None:
    deployment()
    op = await dotai_nb.plan([Scale(*WEB, 0)], settings=settings)
    assert op.session.analysis is not None
    assert op.session.analysis.risk is not None
    assert op.session.analysis.risk.level == RiskLevel.HIGH


async def test_nothing_runs_without_an_approval_and_nothing_is_refined(
    settings: Settings, deployment: DeploymentFactory, admin: Admin, agent: Agent
) -> None:
    deployment()
    op = await dotai_nb.plan([Scale(*WEB, 3)], settings=settings)
    with pytest.raises(errors.ApprovalRequired):
        await op.execute()
    with pytest.raises(errors.ApprovalMismatch):
        op.approve(digest="0" * 12)
    with pytest.raises(errors.NotExecutable, match="no model to tell more") as caught:
        await op.refine("and faster")
    assert "new plan" in caught.value.hint
    assert op.status == Status.ANALYSIS_COMPLETE
    live = admin.get("apps/v1", "Deployment", "my-api", agent.namespace)
    assert live["spec"]["replicas"] == 2


async def test_a_plan_from_its_file_is_given_anew_not_renewed(
    settings: Settings, deployment: DeploymentFactory
) -> None:
    deployment()
    op = await dotai_nb.plan([Scale(*WEB, 3)], settings=settings)
    stored = dotai_nb.open_session(op.path)
    with pytest.raises(errors.NotExecutable, match=r"dotai_nb\.plan"):
        await stored.execute()
    with pytest.raises(errors.NotExecutable, match=r"dotai_nb\.plan"):
        await stored.renew()


async def test_a_step_that_the_identity_may_not_run_is_planned_and_not_approved(
    settings: Settings, deployment: DeploymentFactory, reader: Agent
) -> None:
    deployment()
    theirs = settings.model_copy(update={"kubeconfig": str(reader.kubeconfig)})
    op = await dotai_nb.plan([Scale(*WEB, 3)], settings=theirs)
    with pytest.raises(errors.NotExecutable, match="would not do step 1"):
        op.approve(digest="0" * 12)


async def test_every_view_says_that_no_model_was_asked(
    settings: Settings, deployment: DeploymentFactory
) -> None:
    deployment()
    op = await dotai_nb.plan([Scale(*WEB, 3)], settings=settings)
    for words in op._repr_mimebundle_().values():
        assert "ritten by hand: no model was asked" in words
    document = json.loads(op.path.read_text())
    assert document["data"]["intent"] == "scale deploy/my-api to 3"
    started = op.session.started
    assert (started.provider, started.endpoint, started.model) == ("by hand", "", "")
    assert (op.session.turns, op.session.tools) == ((), ())


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("", "no steps"),
        ([], "no steps"),
        ("a: 1\n---\nb: [", "Document 2"),
        (["- a\n- b\n"], "Document 1 of the YAML text is no object"),
        ([Scale(*WEB, 3), "a: 1\na: 2\n"], r"Step 2 of 2: Document 1 .* 'a' stands twice"),
        ([Apply({"a": float("nan")})], "float, which JSON does not have"),
        ([3], "A int is no step"),
    ],
)
async def test_what_can_not_be_read_starts_nothing(
    steps: Any, said: str, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(errors.StepRefused, match=said) as caught:
        await dotai_nb.plan(steps, settings=settings)
    assert caught.value.hint
    assert not list(tmp_path.rglob("opr-*.json"))


def test_the_blocking_face_plans_and_executes_too(
    settings: Settings, deployment: DeploymentFactory
) -> None:
    deployment()
    op = dotai_nb.sync.plan([Label(*WEB, {"team": "a"})], settings=settings)
    op.approve(digest=op.digest)
    assert op.execute().status == Status.EXECUTED_SUCCESSFULLY


def test_the_panel_takes_written_steps_from_start_to_verdict(
    settings: Settings, admin: Admin, agent: Agent
) -> None:
    panel = Panel(Choices(steps=CONFIG_AND_SERVICE), settings=settings)
    panel.form.start.click()
    settle(panel)
    assert "nothing is sent to any model" in texts(panel.widget)
    screen = panel._screen
    assert screen is not None, texts(panel.widget)
    screen.approve.click()
    settle(panel)
    screen.execute.click()
    settle(panel)
    assert panel.session is not None
    assert panel.session.status == Status.EXECUTED_SUCCESSFULLY
    assert admin.find("v1", "Service", "front", agent.namespace) is not None


def test_the_panel_says_which_steps_were_refused(settings: Settings) -> None:
    panel = Panel(
        Choices(steps="apiVersion: v1\nkind: Pood\nmetadata: {name: a}"), settings=settings
    )
    panel.form.start.click()
    settle(panel)
    assert "Step 1 (apply Pood a): " in texts(panel.widget)
    assert not panel.form.start.disabled

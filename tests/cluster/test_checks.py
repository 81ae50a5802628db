"""The code's own look after an execution, at real objects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.checks import holds, look_after
from dotai_nb.cluster.rollout import wait_for_rollout
from dotai_nb.session.fold import fold
from dotai_nb.session.values import Analysis, Check, Outcome, PlannedStep
from tests.cluster.steps import checked, connected, run
from tests.unit import sessions

if TYPE_CHECKING:
    from dotai_nb.cluster.connection import Connection
    from dotai_nb.session.events import RolloutProgressed, StepChecked
    from dotai_nb.session.session import Session
    from dotai_nb.session.values import StepResult
    from tests.cluster.admin import Admin
    from tests.cluster.fixtures import Agent, DeploymentFactory

IMAGES = {"images": {"my-api": "nginx:1.20"}}


def executed(
    plan: list[StepChecked], results: list[StepResult], *rollouts: RolloutProgressed
) -> Session:
    """A session that ran this plan."""
    planned = tuple(PlannedStep(step=each.step.number, reason="asked for") for each in plan)
    analysis = Analysis(outcome=Outcome.PROPOSAL, summary="a change", steps=planned)
    return replace(
        fold(sessions.record([sessions.started()])),
        steps=tuple(plan),
        analysis=analysis,
        results=tuple(results),
        rollouts=rollouts,
    )


async def rolled_out(c: Connection, plan: list[StepChecked]) -> RolloutProgressed:
    target = plan[-1].step.target
    return await wait_for_rollout(c, target, step=1, deadline=20, record=lambda _: None)


async def test_what_was_set_and_rolled_out_passes_every_check(
    agent: Agent, deployment: DeploymentFactory
) -> None:
    deployment()
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "api"},
        "spec": {"type": "NodePort", "selector": {"app": "my-api"}, "ports": [{"port": 80}]},
    }

    async with connected(agent.kubeconfig) as c:
        plan = [await checked(c, "set_image", agent.namespace, **IMAGES)]
        plan.append(await checked(c, "scale", agent.namespace, earlier=plan, replicas=3))
        plan.append(await checked(c, "apply", agent.namespace, earlier=plan, manifest=service))
        results = await run(c, *plan)
        found = await look_after(c, executed(plan, results, await rolled_out(c, plan[:2])))

    assert {check.name: check.ok for check in found} == {
        "step 1: deployments.apps/my-api is the same object": True,
        "step 1: deployments.apps/my-api has the values that were set": True,
        "step 2: deployments.apps/my-api is the same object": True,
        "step 2: deployments.apps/my-api has the values that were set": True,
        "step 3: services/api exists": True,
        "step 3: services/api has the values that were set": True,
        "the rollout of deployments.apps/my-api is done": True,
    }


async def test_a_value_that_somebody_set_back_is_named(
    agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    deployment()

    async with connected(agent.kubeconfig) as c:
        plan = [await checked(c, "scale", agent.namespace, replicas=3)]
        results = await run(c, *plan)
        back = {"spec": {"replicas": 1}}
        admin.patch("apps/v1", "Deployment", "my-api", agent.namespace, back)
        found = await look_after(c, executed(plan, results))

    assert failed(found) == [
        ("step 1: deployments.apps/my-api has the values that were set", "spec.replicas is 1")
    ]
    assert found[-1].ok is None, "a rollout that nobody waited for"


def failed(found: tuple[Check, ...]) -> list[tuple[str, str]]:
    return [(check.name, check.detail) for check in found if check.ok is False]


async def test_an_object_that_was_deleted_and_made_anew_is_not_the_same(
    agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    deployment(wait=False)

    async with connected(agent.kubeconfig) as c:
        plan = [await checked(c, "label", agent.namespace, changes={"app": "my-api", "a": "b"})]
        results = await run(c, *plan)
        admin.delete("apps/v1", "Deployment", "my-api", agent.namespace)
        gone = await look_after(c, executed(plan, results))
        deployment(wait=False)
        anew = await look_after(c, executed(plan, results))

    assert failed(gone)[0] == ("step 1: deployments.apps/my-api exists", "gone")
    assert failed(anew)[0][0] == "step 1: deployments.apps/my-api is the same object"


async def test_a_deletion_is_done_when_the_object_is_gone(
    agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    deployment(wait=False)
    deployment("other", wait=False)
    finalizers = {"metadata": {"finalizers": ["example.com/wait"]}}
    admin.patch("apps/v1", "Deployment", "other", agent.namespace, finalizers)

    async with connected(agent.kubeconfig) as c:
        plan = [await checked(c, "delete", agent.namespace)]
        plan.append(await checked(c, "delete", agent.namespace, earlier=plan, name="other"))
        results = await run(c, *plan)
        found = await look_after(c, executed(plan, results))
        nobody = {"metadata": {"finalizers": None}}
        admin.patch("apps/v1", "Deployment", "other", agent.namespace, nobody)

    assert [(check.ok, check.detail) for check in found] == [
        (True, ""),
        (None, "it is being deleted and waits for example.com/wait"),
    ]


async def test_what_cannot_be_read_is_not_told_to_be_fine(
    agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    deployment(wait=False)

    async with connected(agent.kubeconfig) as c:
        plan = [await checked(c, "set_image", agent.namespace, **IMAGES)]
        results = await run(c, *plan)
        admin.delete("rbac.authorization.k8s.io/v1", "RoleBinding", "agent", agent.namespace)
        found = await look_after(c, executed(plan, results))

    assert [check.ok for check in found] == [None, None]
    assert "cannot get resource" in found[0].detail


async def test_a_pausing_step_waits_for_no_rollout(
    agent: Agent, deployment: DeploymentFactory
) -> None:
    deployment()

    async with connected(agent.kubeconfig) as c:
        plan = [await checked(c, "rollout", agent.namespace, action="pause")]
        found = await look_after(c, executed(plan, await run(c, *plan)))

    assert [check.ok for check in found] == [True, True]


def test_a_value_holds_when_the_server_has_only_added_to_it() -> None:
    wanted: dict[str, Any] = {"ports": [{"port": 80, "nodePort": 30001}], "clusterIP": "10.0.0.1"}
    now = {"ports": [{"port": 80, "nodePort": 30002, "protocol": "TCP"}], "clusterIP": "10.0.0.2"}

    assert holds(now, wanted)
    assert not holds({**now, "ports": []}, wanted)
    assert holds([{"name": "b", "x": 1}, {"name": "a"}], [{"name": "a"}])
    assert not holds(1, True)  # noqa: FBT003 - two different values in JSON

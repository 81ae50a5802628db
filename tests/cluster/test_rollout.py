"""Rollouts of real Deployments, their pods made ready, slow or broken by the test cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.rollout import wait_for_rollout, waits
from dotai_nb.session.values import ObjectRef
from tests.cluster.steps import checked, connected, run

if TYPE_CHECKING:
    from pathlib import Path

    from dotai_nb.session.events import RolloutProgressed
    from tests.cluster.admin import Admin
    from tests.cluster.fixtures import Agent, DeploymentFactory


def target(namespace: str, name: str = "my-api") -> ObjectRef:
    return ObjectRef(
        group="apps",
        version="v1",
        kind="Deployment",
        resource="deployments",
        namespace=namespace,
        name=name,
    )


async def waited(
    kubeconfig: Path, namespace: str, *, deadline: float = 20, **change: Any
) -> list[RolloutProgressed]:
    """What was recorded of the rollout of a change, or of none."""
    seen: list[Any] = []
    async with connected(kubeconfig) as c:
        if change:
            await run(c, await checked(c, change.pop("step"), namespace, **change))
        last = await wait_for_rollout(
            c, target(namespace), step=1, deadline=deadline, record=seen.append
        )
    assert seen[-1] == last
    return seen


async def test_a_rollout_is_done_when_all_updated_replicas_are_available(
    agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    deployment(replicas=3, annotations={"dotai.test/slow-start": "1s"})

    seen = await waited(
        agent.kubeconfig, agent.namespace, step="set_image", images={"my-api": "nginx:1.20"}
    )

    assert [moved.state for moved in seen[:-1]] == ["progressing"] * (len(seen) - 1)
    assert len(seen) > 2
    assert len({(moved.ready, moved.message) for moved in seen}) == len(seen)
    assert (seen[-1].state, seen[-1].ready, seen[-1].wanted) == ("done", 3, 3)
    assert seen[-1].message == 'deployment "my-api" successfully rolled out'
    status = admin.get("apps/v1", "Deployment", "my-api", agent.namespace)["status"]
    assert (status["updatedReplicas"], status["availableReplicas"]) == (3, 3)


async def test_an_image_that_cannot_be_pulled_is_never_done(
    agent: Agent, deployment: DeploymentFactory
) -> None:
    deployment(replicas=2)

    seen = await waited(
        agent.kubeconfig,
        agent.namespace,
        deadline=2,
        step="set_image",
        images={"my-api": "nginx:does-not-exist"},
    )

    assert "done" not in {moved.state for moved in seen}
    assert seen[-1].state == "deadline"
    assert seen[-1].message.startswith("not done within 2 s; last: ")
    assert "1 out of 2 new replicas" in seen[-1].message


async def test_a_rollout_past_its_progress_deadline_has_failed(
    agent: Agent, deployment: DeploymentFactory
) -> None:
    spec = {"progressDeadlineSeconds": 1}
    deployment(image="nginx:does-not-exist", wait=False, spec=spec)

    seen = await waited(agent.kubeconfig, agent.namespace)

    assert seen[-1].state == "failed"
    assert seen[-1].message == 'deployment "my-api" exceeded its progress deadline'


async def test_a_paused_rollout_is_told_at_once(
    agent: Agent, deployment: DeploymentFactory
) -> None:
    deployment(spec={"paused": True}, wait=False)

    seen = await waited(agent.kubeconfig, agent.namespace)

    assert seen[-1].state == "deadline"
    assert 'deployment "my-api" is paused' in seen[-1].message


async def test_a_deployment_that_goes_meanwhile_has_failed(
    agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    deployment(image="nginx:does-not-exist", wait=False)
    seen: list[Any] = []

    def record(event: Any) -> None:
        if not seen:
            admin.delete("apps/v1", "Deployment", "my-api", agent.namespace)
        seen.append(event)

    async with connected(agent.kubeconfig) as c:
        last = await wait_for_rollout(
            c, target(agent.namespace), step=1, deadline=20, record=record
        )

    assert (last.state, last.message) == ("failed", 'deployment "my-api" is gone')


async def test_without_the_right_to_watch_it_is_looked_at_again_and_again(
    agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    rule = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}
    set_rules(admin, agent.namespace, [rule])
    deployment(annotations={"dotai.test/slow-start": "1s"}, wait=False)

    seen = await waited(agent.kubeconfig, agent.namespace)

    assert seen[-1].state == "done"


async def test_a_rollout_that_may_not_be_read_is_not_told_to_be_anything(
    agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    set_rules(admin, agent.namespace, [])
    deployment(wait=False)

    seen = await waited(agent.kubeconfig, agent.namespace)

    assert seen[-1].state == "deadline"
    assert "the rollout can't be followed: deployments.apps" in seen[-1].message


def set_rules(admin: Admin, namespace: str, rules: list[dict[str, Any]]) -> None:
    path = admin.path("rbac.authorization.k8s.io/v1", "Role", namespace, "agent")
    body = {"rules": rules}
    headers = {"Content-Type": "application/merge-patch+json"}
    admin.request("PATCH", path, body=body, headers=headers)


def test_only_deployments_are_waited_for() -> None:
    deployment = target("shop")

    assert waits(deployment)
    assert not waits(deployment.model_copy(update={"kind": "StatefulSet"}))

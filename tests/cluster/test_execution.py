"""Sending approved steps to the real API server: once, recorded before, and never after a drift."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from dotai_nb.cluster import execution
from dotai_nb.cluster.connection import Connection
from dotai_nb.cluster.execution import Drifted, run_step
from dotai_nb.session.events import Noted, StepChecked, StepFinished, StepStarted
from dotai_nb.session.values import Accepted, ResultKind
from dotai_nb.settings import Settings
from tests.cluster.between import between
from tests.cluster.steps import checked, connected, granted, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dotai_nb.session.events import Event
    from tests.cluster.admin import Admin
    from tests.cluster.controlplane.audit import AuditRecord
    from tests.cluster.controlplane.plane import Cluster
    from tests.cluster.fixtures import Agent, DeploymentFactory

IMAGES = {"images": {"my-api": "nginx:1.20"}}


def edit(admin: Admin, namespace: str, body: dict[str, Any]) -> None:
    admin.patch("apps/v1", "Deployment", "my-api", namespace, body)


def live(admin: Admin, namespace: str) -> dict[str, Any]:
    return admin.get("apps/v1", "Deployment", "my-api", namespace)


def image(admin: Admin, namespace: str) -> str:
    found: str = live(admin, namespace)["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


async def test_the_audit_log_shows_exactly_the_approved_requests(
    agent: Agent,
    admin: Admin,
    deployment: DeploymentFactory,
    audit: Callable[[], list[AuditRecord]],
) -> None:
    deployment()
    events: list[Event] = []

    async with connected(agent.kubeconfig) as c:
        first = await checked(c, "set_image", agent.namespace, **IMAGES)
        second = await checked(c, "scale", agent.namespace, earlier=[first], replicas=3)
        left_out = await checked(c, "delete", agent.namespace)
        assert isinstance(left_out.evidence, Accepted)
        results = await run(c, first, second, events=events)

    writes = [
        record
        for record in audit()
        if record.user == agent.username
        and record.is_write
        and not record.dry_run
        and record.stage == "ResponseComplete"
    ]
    applied = [record for record in writes if record.code == 200]
    assert [record.uri for record in applied] == [
        f"{each.step.path}?fieldManager=dotai-nb&fieldValidation=Strict" for each in (first, second)
    ]
    started = [event.audit_id for event in events if isinstance(event, StepStarted)]
    assert [record.audit_id for record in writes] == started
    assert [result.audit_id for result in results] == [record.audit_id for record in applied]
    assert [(result.result, result.output) for result in results] == [
        (ResultKind.SUCCEEDED, "deployment.apps/my-api image updated"),
        (ResultKind.SUCCEEDED, "deployment.apps/my-api scaled"),
    ]
    assert (image(admin, agent.namespace), live(admin, agent.namespace)["spec"]["replicas"]) == (
        "nginx:1.20",
        3,
    )


async def test_the_start_is_recorded_before_the_request_leaves(
    agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    deployment()
    images: dict[str, str] = {}

    async with connected(agent.kubeconfig) as c:
        plan = await checked(c, "set_image", agent.namespace, **IMAGES)

        def record(event: Event) -> None:
            images[event.type] = image(admin, agent.namespace)

        result = await run_step(c, granted(c, plan), plan, record, earlier=())

    assert images == {"step_started": "nginx:1.19", "step_finished": "nginx:1.20"}
    assert result.duration_ms > 0


async def test_a_change_of_the_same_field_after_the_review_stops_the_step(
    agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    deployment()
    events: list[Event] = []

    async with connected(agent.kubeconfig) as c:
        plan = await checked(c, "scale", agent.namespace, replicas=4)
        edit(admin, agent.namespace, {"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 4}})
        with pytest.raises(Drifted, match="would change nothing") as same_value:
            await run(c, plan)
        plan = await checked(c, "set_image", agent.namespace, **IMAGES)
        edit(admin, agent.namespace, {"spec": {"template": container(image="nginx:1.18", v="x")}})
        with pytest.raises(Drifted, match="another difference") as other_value:
            await run(c, await with_env(c, agent.namespace, plan), events=events)

    assert same_value.value.diff == ()
    assert [operation["op"] for operation in other_value.value.diff] == ["replace", "replace"]
    assert events == [StepFinished(result=other_value.value.result)]
    assert other_value.value.result.result is ResultKind.SKIPPED
    assert other_value.value.result.error.startswith("drift: ")
    assert image(admin, agent.namespace) == "nginx:1.18"


def container(**fields: str) -> dict[str, Any]:
    env = [{"name": "V", "value": fields["v"]}]
    ports = [{"containerPort": 80}]
    whole = {"name": "my-api", "image": fields["image"], "env": env, "ports": ports}
    return {"spec": {"containers": [whole]}}


async def with_env(c: Connection, namespace: str, plan: StepChecked) -> StepChecked:
    """A step that sets the image and the variable, with the evidence of one that sets the image."""
    patch = {"spec": {"template": container(image="nginx:1.20", v="y")}}
    step = (await checked(c, "patch", namespace, patch=patch, patch_type="strategic")).step
    return StepChecked(step=step, evidence=plan.evidence)


async def test_a_change_of_another_field_is_noted_and_the_step_goes_on(
    agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    deployment()
    events: list[Event] = []

    async with connected(agent.kubeconfig) as c:
        plan = await checked(c, "set_image", agent.namespace, **IMAGES)
        edit(admin, agent.namespace, {"metadata": {"annotations": {"team": "shop"}}})
        [result] = await run(c, plan, events=events)

    assert result.result is ResultKind.SUCCEEDED
    [note] = [event.message for event in events if isinstance(event, Noted)]
    assert "has changed since the review; a new dry run of step 1 gives the same" in note
    assert image(admin, agent.namespace) == "nginx:1.20"


@pytest.mark.parametrize("made_anew", [True, False])
async def test_another_object_of_that_name_is_never_touched(
    made_anew: bool,  # noqa: FBT001 - a parameter of the test
    agent: Agent,
    admin: Admin,
    deployment: DeploymentFactory,
) -> None:
    deployment(wait=False)
    expected = "made anew" if made_anew else "is gone"

    async with connected(agent.kubeconfig) as c:
        plan = await checked(c, "delete", agent.namespace)
        admin.delete("apps/v1", "Deployment", "my-api", agent.namespace)
        if made_anew:
            deployment(wait=False)
        with pytest.raises(Drifted, match=expected):
            await run(c, plan)

    found = admin.find("apps/v1", "Deployment", "my-api", agent.namespace)
    assert (found is not None) == made_anew


async def test_an_object_that_was_to_be_created_and_exists_by_now_is_left_alone(
    agent: Agent, admin: Admin
) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}}

    async with connected(agent.kubeconfig) as c:
        mine = {**config, "data": {"a": "mine"}}
        plan = await checked(c, "apply", agent.namespace, manifest=mine)
        admin.create({**config, "data": {"a": "theirs"}}, agent.namespace)
        with pytest.raises(Drifted, match="exists by now"):
            await run(c, plan)

    assert admin.get("v1", "ConfigMap", "cm", agent.namespace)["data"] == {"a": "theirs"}


@pytest.mark.parametrize(("changes", "kind"), [(1, "succeeded"), (9, "failed")])
async def test_a_change_between_the_look_and_the_request_is_seen_and_looked_at_again(
    changes: int, kind: str, agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    deployment()
    events: list[Event] = []

    async with connected(agent.kubeconfig) as c:
        plan = await checked(c, "set_image", agent.namespace, **IMAGES)

        def record(event: Event) -> None:
            events.append(event)
            started = sum(isinstance(each, StepStarted) for each in events)
            if isinstance(event, StepStarted) and started <= changes:
                edit(admin, agent.namespace, {"metadata": {"annotations": {"n": str(started)}}})

        result = await run_step(c, granted(c, plan), plan, record, earlier=())

    ids = [event.audit_id for event in events if isinstance(event, StepStarted)]
    assert len(ids) == len(set(ids)) == min(changes + 1, execution.SENDS)
    assert (result.result, result.audit_id) == (kind, ids[-1])
    assert events[-1] == StepFinished(result=result)
    assert image(admin, agent.namespace) == ("nginx:1.20" if changes == 1 else "nginx:1.19")
    assert (result.code == 409) == (kind == "failed")


async def test_a_conflict_of_managers_is_not_tried_again(
    control_plane: Cluster, admin: Admin, agent: Agent
) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}}
    admin.create({**config, "data": {}}, agent.namespace)
    events: list[Event] = []

    async with connected(agent.kubeconfig) as c:
        mine = {**config, "data": {"a": "mine"}}
        plan = await checked(c, "apply", agent.namespace, manifest=mine)

        def record(event: Event) -> None:
            if isinstance(event, StepStarted):
                theirs = {"data": {"a": "theirs"}}
                admin.patch("v1", "ConfigMap", "cm", agent.namespace, theirs)
            events.append(event)

        result = await run_step(c, granted(c, plan), plan, record, earlier=())

    assert admin.get("v1", "ConfigMap", "cm", agent.namespace)["data"] == {"a": "theirs"}
    started = [event for event in events if isinstance(event, StepStarted)]
    assert result.result is not ResultKind.SUCCEEDED
    assert len(started) <= 2


async def test_what_the_server_refuses_has_failed_in_its_words(
    agent: Agent, admin: Admin, deployment: DeploymentFactory
) -> None:
    deployment(wait=False)

    async with connected(agent.kubeconfig) as c:
        plan = await checked(c, "scale", agent.namespace, replicas=4)
        # In this order: between the two it may still read, or the step would end as a failed look.
        admin.create(read_only(agent), agent.namespace)
        admin.delete("rbac.authorization.k8s.io/v1", "RoleBinding", "agent", agent.namespace)
        [result] = await run(c, plan)

    assert result.result is ResultKind.FAILED
    assert "cannot" in result.error
    assert live(admin, agent.namespace)["spec"]["replicas"] == 2


def read_only(agent: Agent) -> dict[str, Any]:
    account = {"kind": "ServiceAccount", "name": "agent", "namespace": agent.namespace}
    group = "rbac.authorization.k8s.io"
    role = {"apiGroup": group, "kind": "ClusterRole", "name": "view"}
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "view"},
        "roleRef": role,
        "subjects": [account],
    }


async def test_a_lost_answer_is_unknown_and_nothing_is_sent_twice(
    control_plane: Cluster,
    agent: Agent,
    admin: Admin,
    deployment: DeploymentFactory,
    tmp_path: Path,
) -> None:
    deployment()

    async with (
        between(control_plane, agent, tmp_path) as (proxy, kubeconfig),
        connected(kubeconfig) as c,
    ):
        plan = await checked(c, "set_image", agent.namespace, **IMAGES)
        proxy.answers = "lost"
        [result] = await run(c, plan)

    assert result.result is ResultKind.UNKNOWN
    assert proxy.writes == 1
    assert image(admin, agent.namespace) == "nginx:1.20"


async def test_a_cancellation_lets_the_request_in_flight_end_and_records_its_answer(
    control_plane: Cluster, agent: Agent, deployment: DeploymentFactory, tmp_path: Path
) -> None:
    deployment()
    events: list[Event] = []

    async with (
        between(control_plane, agent, tmp_path) as (proxy, kubeconfig),
        connected(kubeconfig) as c,
    ):
        plan = await checked(c, "set_image", agent.namespace, **IMAGES)
        proxy.answers = "held"
        running = asyncio.create_task(run(c, plan, events=events))
        await proxy.written.wait()
        running.cancel()
        await asyncio.sleep(0)
        running.cancel()  # a second Cancel changes nothing
        await asyncio.sleep(0)
        assert [event.type for event in events] == ["step_started"]
        proxy.release.set()
        with pytest.raises(asyncio.CancelledError):
            await running

    [_, finished] = events
    assert isinstance(finished, StepFinished)
    assert finished.result.result is ResultKind.SUCCEEDED


async def test_a_request_that_does_not_end_after_a_cancellation_is_unknown(
    control_plane: Cluster,
    agent: Agent,
    deployment: DeploymentFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment()
    monkeypatch.setattr(execution, "GRACE", 0.05)
    events: list[Event] = []

    async with (
        between(control_plane, agent, tmp_path) as (proxy, kubeconfig),
        connected(kubeconfig) as c,
    ):
        plan = await checked(c, "set_image", agent.namespace, **IMAGES)
        proxy.answers = "held"
        running = asyncio.create_task(run(c, plan, events=events))
        await proxy.written.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    [_, finished] = events
    assert isinstance(finished, StepFinished)
    assert finished.result.result is ResultKind.UNKNOWN


async def test_a_step_whose_object_cannot_be_looked_at_is_not_sent(
    control_plane: Cluster, agent: Agent, deployment: DeploymentFactory, tmp_path: Path
) -> None:
    deployment(wait=False)
    events: list[Event] = []

    async with connected(agent.kubeconfig) as c:
        plan = await checked(c, "set_image", agent.namespace, **IMAGES)
        async with between(control_plane, agent, tmp_path) as (proxy, kubeconfig):
            gone = await Connection.open(Settings(KUBECONFIG=str(kubeconfig)))
            grant = granted(c, plan)
        result = await run_step(gone, grant, plan, events.append, earlier=())
        await gone.close()

    assert result.result is ResultKind.FAILED
    assert result.error.startswith("Nothing was changed, the look failed")
    assert events == [StepFinished(result=result)]
    assert proxy.writes == 0

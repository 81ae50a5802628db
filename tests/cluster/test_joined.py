"""The join of audit log and sessions would notice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.controlplane.audit import AuditRecord
from tests.cluster.joined import violations
from tests.unit import sessions as sample

if TYPE_CHECKING:
    from dotai_nb.session.events import Recorded


def executed() -> tuple[Recorded, ...]:
    return sample.executed_session()


def first_write(recorded: tuple[Recorded, ...]) -> AuditRecord:
    """The first approved write of the sample, as an honest server would have logged it."""
    sent = next(r.event for r in recorded if r.event.type == "step_started")
    step = next(
        r.event.step
        for r in recorded
        if r.event.type == "step_checked" and r.event.step.number == sent.step
    )
    query = "&".join(f"{k}={v}" for k, v in step.query.items())
    return AuditRecord(
        audit_id=sent.audit_id, stage="ResponseComplete", verb="patch",
        uri=f"{step.path}?{query}" if query else step.path, dry_run=False,
        user=recorded[0].event.identity, user_agent="dotai-nb/0.1.0",
        group=step.target.group, resource=step.target.resource, subresource="",
        namespace=step.target.namespace, name=step.target.name, code=200,
        request_object=step.body,
    )  # fmt: skip


def test_an_honest_log_agrees() -> None:
    recorded = executed()
    assert violations([first_write(recorded)], [recorded]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"audit_id": "elsewhere"},
        {"uri": "/apis/apps/v1/namespaces/shop/deployments/other"},
        {"request_object": {"spec": {"replicas": 0}}},
        {"impersonated_user": "system:serviceaccount:dotai:investigator"},
    ],
    ids=["a write in no session", "another object", "another body", "another identity"],
)
def test_a_write_that_was_not_approved_is_found(change: dict[str, Any]) -> None:
    recorded = executed()
    assert violations([replace(first_write(recorded), **change)], [recorded])


def test_a_write_of_an_investigation_is_found() -> None:
    recorded = executed()
    looked = next(r.event.audit_ids[0] for r in recorded if r.event.type == "tool_finished")
    record = replace(first_write(recorded), audit_id=looked, user="somebody")
    assert violations([record], [recorded])

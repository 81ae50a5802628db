from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotai_nb.session.approval import SHORTEST_DIGEST, matches, plan_digest, request_of
from dotai_nb.session.events import StepChecked
from dotai_nb.session.values import Accepted, DependsOn, Fingerprint, NotAllowed, Refused
from tests.unit.sessions import (
    FINGERPRINT,
    create_step,
    delete_step,
    proposal_digest,
    refused_step,
    update_step,
)

if TYPE_CHECKING:
    from dotai_nb.session.values import Evidence

PLAN = (update_step(), create_step(), delete_step())


def with_step(checked: StepChecked, **changes: Any) -> StepChecked:
    return StepChecked(step=checked.step.model_copy(update=changes), evidence=checked.evidence)


def with_evidence(checked: StepChecked, **changes: Any) -> StepChecked:
    return StepChecked(step=checked.step, evidence=checked.evidence.model_copy(update=changes))


def test_the_digest_is_the_same_in_every_run():
    assert plan_digest(FINGERPRINT, PLAN) == proposal_digest()
    assert len(proposal_digest()) == 64


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"path": "/apis/apps/v1/namespaces/shop/deployments/another"},
        {"query": {"fieldManager": "another"}},
        {"content_type": "application/merge-patch+json"},
        {"body": {"spec": {"replicas": 0}}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_part_of_a_request_is_bound(changes: dict[str, Any]):
    changed = (with_step(PLAN[0], **changes), *PLAN[1:])
    assert plan_digest(FINGERPRINT, changed) not in ("", proposal_digest())


@pytest.mark.parametrize(
    "changes",
    [{"uid": "another"}, {"diff": ({"op": "remove", "path": "/spec/paused"},)}],
    ids=["uid", "diff"],
)
def test_the_object_and_the_difference_are_bound(changes: dict[str, Any]):
    changed = (with_evidence(PLAN[0], **changes), *PLAN[1:])
    assert plan_digest(FINGERPRINT, changed) not in ("", proposal_digest())


@pytest.mark.parametrize(
    "changes",
    [{"resource_version": "4712"}, {"warnings": ("new",)}, {"conflicts": ("kubectl",)}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_moves_by_itself_is_not_bound(changes: dict[str, Any]):
    changed = (with_evidence(PLAN[0], **changes), *PLAN[1:])
    assert plan_digest(FINGERPRINT, changed) == proposal_digest()


@pytest.mark.parametrize("field", ["server", "ca_sha256", "cluster_uid"])
def test_the_cluster_is_bound(field: str):
    elsewhere = FINGERPRINT.model_copy(update={field: "another"})
    assert plan_digest(elsewhere, PLAN) not in ("", proposal_digest())


def test_a_cluster_uid_that_may_not_be_read_is_not_the_empty_one():
    unreadable = Fingerprint(server="s", ca_sha256="c", cluster_uid=None)
    empty = Fingerprint(server="s", ca_sha256="c", cluster_uid="")
    assert plan_digest(unreadable, PLAN) != plan_digest(empty, PLAN)


def test_the_order_and_the_number_of_steps_are_bound():
    orders = [PLAN, PLAN[::-1], PLAN[:2], (*PLAN, PLAN[0])]
    assert len({plan_digest(FINGERPRINT, plan) for plan in orders}) == len(orders)


@pytest.mark.parametrize(
    "evidence",
    [
        Refused(code=422, reason="Invalid", message="no"),
        NotAllowed(message="no"),
        DependsOn(steps=(2,)),
    ],
    ids=lambda evidence: evidence.kind,
)
def test_a_plan_with_a_step_that_was_not_accepted_has_no_digest(evidence: Evidence):
    unaccepted = StepChecked(step=PLAN[1].step, evidence=evidence)
    assert plan_digest(FINGERPRINT, (PLAN[0], unaccepted)) == ""


def test_no_steps_have_no_digest():
    assert plan_digest(FINGERPRINT, ()) == ""
    assert plan_digest(FINGERPRINT, (refused_step(),)) == ""


def test_the_request_is_what_is_sent_without_dry_run_and_preconditions():
    assert request_of(PLAN[2].step) == {
        "method": "DELETE",
        "path": "/apis/apps/v1/namespaces/shop/deployments/my-api-canary",
        "query": {},
        "contentType": "application/json",
        "body": {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"},
    }
    assert isinstance(PLAN[2].evidence, Accepted)


@given(st.integers(min_value=0, max_value=64))
def test_a_beginning_of_at_least_twelve_digits_matches(length: int):
    whole = proposal_digest()
    assert matches(whole[:length], whole) is (length >= SHORTEST_DIGEST)


@given(st.integers(min_value=0, max_value=63), st.sampled_from("0123456789abcdef"))
def test_one_wrong_digit_does_not_match(position: int, digit: str):
    whole = proposal_digest()
    given_digest = whole[:position] + digit + whole[position + 1 :]
    assert matches(given_digest, whole) is (digit == whole[position])


def test_case_and_white_space_around_do_not_matter():
    whole = proposal_digest()
    assert matches(f"  {whole[:12].upper()}\n", whole)


@pytest.mark.parametrize("given_digest", ["", " ", "0" * 64])
def test_nothing_matches_a_plan_that_can_not_be_approved(given_digest: str):
    assert not matches(given_digest, "")


def test_more_digits_than_there_are_do_not_match():
    assert not matches(proposal_digest() + "0", proposal_digest())

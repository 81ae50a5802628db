"""What a step changes, line by line, is what its evidence says and nothing else."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dotai_nb.cluster.difference import difference as server_difference
from dotai_nb.session.canonical import canonical
from dotai_nb.session.values import Accepted
from dotai_nb.views import difference
from dotai_nb.views.difference import Change, Line
from tests.unit.sessions import create_step, delete_step, update_step

NAMES = st.sampled_from(["spec", "a", "b", "x/y", "t~u", "", "1"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab:\n- ", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=4).map(
    lambda fields: {"metadata": {"name": "web", "resourceVersion": "1"}, **fields}
)


def _accepted(step: Any) -> Accepted:
    evidence = step.evidence
    assert isinstance(evidence, Accepted)
    return evidence


def test_an_update_is_shown_with_three_lines_of_context() -> None:
    shown = [str(line) for line in difference.lines(_accepted(update_step()))]
    assert shown == [
        "@@ -13,8 +13,8 @@",
        "   strategy:",
        "     type: RollingUpdate",
        "     rollingUpdate:",
        "-      maxSurge: 25%",
        "-      maxUnavailable: 25%",
        "+      maxSurge: 1",
        "+      maxUnavailable: 0",
        "   template:",
        "     metadata:",
        "       labels:",
        "@@ -22,4 +22,4 @@",
        "     spec:",
        "       containers:",
        "       - name: api",
        "-        image: nginx:1.19",
        "+        image: nginx:1.20",
    ]


def test_a_create_is_all_added_and_a_delete_all_removed() -> None:
    assert {line.kind for line in difference.lines(_accepted(create_step()))} == {"added"}
    assert {line.kind for line in difference.lines(_accepted(delete_step()))} == {"removed"}


def test_bookkeeping_of_the_server_is_not_a_change() -> None:
    before = {"metadata": {"name": "a", "resourceVersion": "1"}, "spec": {}, "status": {"x": 1}}
    after = {"metadata": {"name": "a", "resourceVersion": "2"}, "spec": {}, "status": {"x": 2}}
    assert difference.lines(Accepted(before=before, after=after, diff=())) == []


def test_only_what_the_evidence_says_is_shown_whatever_the_objects_say() -> None:
    evidence = Accepted(
        before={"spec": {"replicas": 1}},
        after={"spec": {"replicas": 99}},
        diff=({"op": "replace", "path": "/spec/replicas", "value": 2},),
    )
    shown = [str(line) for line in difference.lines(evidence)]
    assert shown[-2:] == ["-  replicas: 1", "+  replicas: 2"]


def test_a_patch_that_leads_nowhere_is_shown_as_it_is() -> None:
    operation = {"op": "remove", "path": "/spec/gone/deeper"}
    evidence = Accepted(before={"spec": {}}, after={"spec": {}}, diff=(operation,))
    expected = [Line("added", '{"op":"remove","path":"/spec/gone/deeper"}')]
    assert difference.lines(evidence) == expected


def test_values_before_and_after_follow_the_operations_in_their_order() -> None:
    evidence = Accepted(
        before={"args": ["a", "b", "c"]},
        after={"args": ["b", "x", "new"]},
        diff=(
            {"op": "remove", "path": "/args/0"},
            {"op": "replace", "path": "/args/1", "value": "x"},
            {"op": "add", "path": "/args/-", "value": "new"},
        ),
    )
    assert list(difference.changes(evidence)) == [
        Change("remove", "/args/0", "a", difference.MISSING),
        Change("replace", "/args/1", "c", "x"),
        Change("add", "/args/-", difference.MISSING, "new"),
    ]


@settings(deadline=None)
@given(before=OBJECTS, after=OBJECTS)
def test_the_evidence_applied_to_the_object_before_is_the_object_after(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    diff = server_difference(before, after)
    shown = difference.lines(Accepted(before=before, after=after, diff=diff))
    assert bool(shown) == bool(diff)
    _, reached = difference._ends(Accepted(before=before, after=after, diff=diff))
    assert canonical(reached) == canonical(difference.trimmed(after))


@settings(deadline=None)
@given(after=OBJECTS)
def test_a_created_object_can_be_read_back_from_its_lines(after: dict[str, Any]) -> None:
    evidence = Accepted(before=None, after=after, diff=server_difference(None, after))
    text = "".join(f"{line.text}\n" for line in difference.lines(evidence))
    assert yaml.safe_load(text) == difference.trimmed(after)

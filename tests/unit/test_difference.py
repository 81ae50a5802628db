from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotai_nb.cluster.difference import apply_patch, difference, normalised, pointer, same, tokens
from dotai_nb.cluster.fields import ABSENT, Item, carry, changed, shown, value_at

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, 1.0, 1.5])
    | st.sampled_from(["", "a", "a/b", "~1", "$patch", "é"])
)
KEYS = st.sampled_from(["name", "image", "a/b", "m~n", "", "0", "env"])
NAMED = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["web", "db", "log"])}, optional={"v": SCALARS}),
    unique_by=lambda item: item["name"],
)
VALUES = st.recursive(
    SCALARS | NAMED,
    lambda below: st.lists(below, max_size=5) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=12,
)
OBJECTS = st.fixed_dictionaries(
    {"metadata": st.just({})}, optional={"spec": VALUES, "data": VALUES}
)


def workload(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"containers": list(containers), **spec}}


@given(OBJECTS | st.none(), OBJECTS | st.none())
def test_the_difference_applied_to_the_first_object_gives_the_second(
    before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    assert same(apply_patch(before, difference(before, after)), after)


@given(OBJECTS)
def test_an_object_does_not_differ_from_itself(obj: dict[str, Any]) -> None:
    assert difference(obj, obj) == ()


@given(OBJECTS, OBJECTS)
def test_changed_fields_carried_onto_the_first_object_leave_no_changed_field(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    moved = carry(changed(before, after), before)

    assert not {field for field in changed(moved, after) if not reorders(field, moved, after)}


def reorders(field: tuple[Any, ...], a: dict[str, Any], b: dict[str, Any]) -> bool:
    """An added item goes to the end of its list; that alone is no difference of fields."""
    ours, theirs = value_at(a, field), value_at(b, field)
    by_name = [sorted(v, key=lambda i: i["name"]) for v in (ours, theirs)]
    return same(*by_name)


@given(st.lists(st.text()))
def test_a_pointer_gives_its_parts_back(parts: list[str]) -> None:
    assert tokens(pointer(parts)) == parts


def test_a_new_container_in_front_is_one_operation() -> None:
    web, log = {"name": "web", "image": "nginx:1.19"}, {"name": "log", "image": "log:1"}

    assert difference(workload(web), workload(log, web)) == (
        {"op": "add", "path": "/spec/containers/0", "value": log},
    )


def test_an_image_changes_at_its_own_path_also_behind_a_removed_container() -> None:
    web, log = {"name": "web", "image": "nginx:1.19"}, {"name": "log", "image": "log:1"}

    assert difference(workload(log, web), workload({**web, "image": "nginx:1.20"})) == (
        {"op": "remove", "path": "/spec/containers/0"},
        {"op": "replace", "path": "/spec/containers/0/image", "value": "nginx:1.20"},
    )


def test_an_item_of_a_plain_list_is_added_where_it_stands() -> None:
    assert difference(workload(args=["a", "b"]), workload(args=["a", "x", "b"])) == (
        {"op": "add", "path": "/spec/args/1", "value": "x"},
    )


@pytest.mark.parametrize(("a", "b"), [(1, True), (0, False), (1, 1.0), ("1", 1), (None, "")])
def test_values_that_python_or_a_reader_takes_for_equal_are_told_apart(a: Any, b: Any) -> None:
    assert difference(workload(x=a), workload(x=b)) == (
        {"op": "replace", "path": "/spec/x", "value": b},
    )


def test_a_create_and_a_delete_are_one_operation_on_the_whole() -> None:
    obj = workload()

    assert difference(None, obj) == ({"op": "add", "path": "", "value": obj},)
    assert difference(obj, None) == ({"op": "remove", "path": ""},)
    assert difference(None, None) == ()


def test_bookkeeping_and_status_are_no_difference() -> None:
    before = {
        "metadata": {
            "name": "web",
            "uid": "1",
            "resourceVersion": "7",
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [{"manager": "kubectl"}],
            "annotations": {"deployment.kubernetes.io/revision": "1"},
        },
        "status": {"replicas": 2},
    }

    assert normalised(before) == {"metadata": {"name": "web"}}
    assert difference(before, {"metadata": {"name": "web"}}) == ()


def test_a_status_field_of_a_spec_and_an_own_annotation_are_kept() -> None:
    obj = {"metadata": {"annotations": {"team": "shop"}}, "spec": {"status": "on"}}

    assert normalised(obj) == obj


def test_a_patch_that_does_not_fit_is_an_error_and_not_an_addition() -> None:
    with pytest.raises(KeyError):
        apply_patch(workload(), [{"op": "replace", "path": "/spec/replicas", "value": 2}])
    with pytest.raises(ValueError, match="move"):
        apply_patch(workload(), [{"op": "move", "path": "/spec/a", "from": "/spec/b"}])


def test_a_changed_field_is_named_by_its_container_not_by_its_position() -> None:
    before = workload({"name": "web", "image": "nginx:1.19"}, replicas=2)
    after = workload({"name": "log"}, {"name": "web", "image": "nginx:1.20"})

    fields = changed(before, after)

    assert {shown(field): value for field, value in fields.items()} == {
        "spec.containers[log]": {"name": "log"},
        "spec.containers[web].image": "nginx:1.20",
        "spec.replicas": ABSENT,
    }
    assert value_at(after, ("spec", "containers", Item("web"), "image")) == "nginx:1.20"
    assert value_at(after, ("spec", "containers", Item("db"))) is ABSENT


def test_two_annotations_of_an_object_that_had_none_are_two_fields() -> None:
    after = {"metadata": {"annotations": {"a": "1", "b": "2"}}}

    assert [shown(field) for field in changed({"metadata": {}}, after)] == [
        "metadata.annotations.a",
        "metadata.annotations.b",
    ]


def test_a_field_without_a_place_is_not_carried() -> None:
    with pytest.raises(LookupError):
        carry({("spec", "containers", Item("web"), "image"): "x"}, {"spec": {"containers": []}})

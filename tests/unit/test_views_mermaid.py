"""Mermaid source: ids of our own, labels that are only labels, and a diagram that can be read."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from dotai_nb.session.values import Action, Edge, Node, ObjectRef, Topology
from dotai_nb.views import mermaid
from tests.unit.hostile import HIDDEN, NASTY
from tests.unit.sessions import TOPOLOGY

BOX = re.compile(r'  n\d+\["[^"\n]*"\]:::(create|update|delete|unchanged)')
ARROW = re.compile(r'  n\d+ -->(\|"[^"\n]*"\|)? n\d+')
STYLE = re.compile(r"  classDef \w+ [\w#:,\- ]+")


def _ref(name: str, kind: str = "Pod") -> ObjectRef:
    return ObjectRef(version="v1", kind=kind, resource="pods", namespace="shop", name=name)


def _crowd(count: int, changed: int = 1) -> Topology:
    nodes = tuple(
        Node(ref=_ref(f"web-{i}"), action=Action.UPDATE if i < changed else None)
        for i in range(count)
    )
    edges = tuple(Edge(source=0, target=i, label="owns") for i in range(1, count))
    return Topology(nodes=nodes, edges=edges)


def test_the_diagram_of_a_proposal() -> None:
    assert mermaid.diagram(TOPOLOGY).splitlines()[:7] == [
        "flowchart LR",
        '  n1["update Deployment<br/>my-api<br/>nginx:1.19 -#62; nginx:1.20"]:::update',
        '  n2["create PodDisruptionBudget<br/>my-api"]:::create',
        '  n3["delete Deployment<br/>my-api-canary"]:::delete',
        '  n4["ReplicaSet<br/>my-api-canary-7d9c5b8f6d<br/>2 pods"]:::unchanged',
        '  n2 -->|"guards"| n1',
        '  n3 -->|"owns"| n4',
    ]


@settings(deadline=None)
@given(st.text() | st.just(NASTY), st.text() | st.just(NASTY), st.text() | st.just(NASTY))
def test_no_name_can_leave_its_label(name: str, detail: str, label: str) -> None:
    nodes = (Node(ref=_ref(name, kind=label), detail=detail), Node(ref=_ref("b")))
    source = mermaid.diagram(Topology(nodes=nodes, edges=(Edge(source=0, target=1, label=label),)))
    head, *lines = source.split("\n")
    assert head == "flowchart LR"
    assert [
        x for x in lines if not (BOX.fullmatch(x) or ARROW.fullmatch(x) or STYLE.fullmatch(x))
    ] == []
    assert not HIDDEN.search(source.replace("\n", ""))
    assert "<script" not in source


def test_fifty_objects_are_all_drawn() -> None:
    assert len(BOX.findall(mermaid.diagram(_crowd(50)))) == 50


def test_beyond_fifty_the_changed_are_drawn_and_the_rest_is_folded_by_kind() -> None:
    source = mermaid.diagram(_crowd(300, changed=5))
    assert len(BOX.findall(source)) == 41
    assert source.count(":::update") == 5
    assert "260 more: unchanged Pod" in source
    assert len(ARROW.findall(source)) == 40


def test_many_kinds_are_folded_into_few_boxes() -> None:
    nodes = tuple(Node(ref=_ref(f"x-{i}", kind=f"Kind{i % 40}")) for i in range(400))
    boxes = BOX.findall(mermaid.diagram(Topology(nodes=nodes)))
    assert len(boxes) <= mermaid.MOST_NODES


def test_namespaces_are_named_only_when_there_are_several() -> None:
    other = Node(ref=_ref("b").model_copy(update={"namespace": "till"}))
    both = mermaid.diagram(Topology(nodes=(Node(ref=_ref("a")), other)))
    assert "<br/>shop" in both
    assert "<br/>till" in both
    assert "<br/>shop" not in mermaid.diagram(Topology(nodes=(Node(ref=_ref("a")),)))


def test_nothing_to_draw_is_no_source() -> None:
    assert mermaid.diagram(Topology()) == ""


def test_the_bundle_has_exactly_the_types_that_jupyterlab_draws_and_stores() -> None:
    assert mermaid.bundle("x") == {"text/vnd.mermaid": "x", "text/plain": "x"}

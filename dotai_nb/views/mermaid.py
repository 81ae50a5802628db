"""What changes and what hangs on it, as a Mermaid flowchart."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dotai_nb.session.values import Action
from dotai_nb.views.escape import line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotai_nb.session.values import Node, Topology

MOST_NODES = 50
"""More than this and a diagram is no longer read; the rest is folded by kind."""

_GROUPS = 10
_LABEL_LENGTH = 90
_READ = re.compile(r"^[-+*]|(?<=\d)\.(?=\s)|[\"#&;<>\\`*_~|%{}\[\]$@]|:(?=//)")
_MIME = "text/vnd.mermaid"
_VERB = {
    Action.CREATE: "create",
    Action.UPDATE: "update",
    Action.DELETE: "delete",
    None: "unchanged",
}

# Half-transparent fills and no text colour: the theme's own text stays readable in light and dark.
_STYLES = (
    "classDef create fill:#2da44e33,stroke:#2da44e,stroke-width:2px",
    "classDef update fill:#bf870033,stroke:#bf8700,stroke-width:2px",
    "classDef delete fill:#cf222e33,stroke:#cf222e,stroke-width:2px,stroke-dasharray:5 3",
    "classDef unchanged fill:#8c959f1a,stroke:#8c959f,stroke-width:1px",
)


@dataclass(frozen=True, slots=True)
class _Box:
    label: str
    action: Action | None


def diagram(topology: Topology) -> str:
    """Mermaid source: a box an object, an arrow a relation; empty when there is no object.

    Ids are `n1`, `n2`, … and never come from names: an id that begins with `x` or `o` would be
    read as part of an arrow. Beyond 50 objects, those that change come first and the rest is
    folded into one box a kind.
    """
    if not topology.nodes:
        return ""
    boxes, place = _boxes(topology)
    body = [f'  n{i}["{box.label}"]:::{_VERB[box.action]}' for i, box in enumerate(boxes, 1)]
    styles = [f"  {style}" for style in _STYLES]
    return "\n".join(["flowchart LR", *body, *_arrows(topology, place), *styles])


def bundle(source: str) -> dict[str, str]:
    """The MIME bundle JupyterLab draws offline; another type beside these would win over it."""
    return {_MIME: source, "text/plain": source}


def _boxes(topology: Topology) -> tuple[list[_Box], dict[int, int]]:
    """The boxes, and for each node's position the 1-based number of its box."""
    nodes = topology.nodes
    several = len({node.ref.namespace for node in nodes if node.ref.namespace}) > 1
    order = sorted(range(len(nodes)), key=lambda position: nodes[position].action is None)
    kept = order if len(nodes) <= MOST_NODES else order[: MOST_NODES - _GROUPS]
    boxes = [_Box(_label(nodes[p], with_namespace=several), nodes[p].action) for p in kept]
    place = {position: number for number, position in enumerate(kept, start=1)}
    folded = order[len(kept) :]
    for members, box in _folded(topology, folded):
        boxes.append(box)
        place |= dict.fromkeys(members, len(boxes))
    return boxes, place


def _folded(topology: Topology, positions: list[int]) -> Iterator[tuple[list[int], _Box]]:
    """The commonest kinds as a box each, what remains as one."""
    groups: dict[tuple[str, Action | None], list[int]] = {}
    for position in positions:
        node = topology.nodes[position]
        groups.setdefault((node.ref.kind, node.action), []).append(position)
    sizes = Counter({group: len(members) for group, members in groups.items()})
    named = [group for group, _ in sizes.most_common(_GROUPS - 1 if len(sizes) > _GROUPS else None)]
    for kind, action in named:
        members = groups.pop((kind, action))
        yield members, _Box(_lines(f"{len(members)} more: {_VERB[action]} {kind}"), action)
    rest = [position for members in groups.values() for position in members]
    if rest:
        changes = {topology.nodes[position].action for position in rest}
        action = changes.pop() if len(changes) == 1 else Action.UPDATE
        yield rest, _Box(_lines(f"{len(rest)} more objects"), action)


def _arrows(topology: Topology, place: dict[int, int]) -> list[str]:
    arrows = []
    for edge in topology.edges:
        source, target = place.get(edge.source), place.get(edge.target)
        if source is None or target is None or source == target:
            continue
        text = f'|"{_text(edge.label)}"|' if line(edge.label) else ""
        arrows.append(f"  n{source} -->{text} n{target}")
    return list(dict.fromkeys(arrows))


def _label(node: Node, *, with_namespace: bool) -> str:
    verb = f"{_VERB[node.action]} " if node.action else ""
    where = node.ref.namespace if with_namespace else ""
    return _lines(f"{verb}{node.ref.kind}", node.ref.name, where, node.detail)


def _lines(*parts: str) -> str:
    return "<br/>".join(_text(part) for part in parts if part)


def _text(text: str) -> str:
    """Safe between quotes: anything that Mermaid, Markdown or HTML reads becomes an entity."""
    flat = line(text)
    short = flat if len(flat) <= _LABEL_LENGTH else flat[: _LABEL_LENGTH - 1] + "…"
    return _READ.sub(lambda match: f"#{ord(match[0])};", short)

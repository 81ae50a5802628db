"""What changes, and what hangs on it: a small graph for the review."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

from dotai_nb.cluster import relations
from dotai_nb.cluster.headline import headline
from dotai_nb.cluster.manifest import POD_TEMPLATES
from dotai_nb.cluster.request import Request
from dotai_nb.errors import ClusterError
from dotai_nb.session.values import Accepted, Edge, Node, ObjectRef, Topology

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dotai_nb.cluster.connection import Connection
    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.events import StepChecked

LARGEST = 50
"""Nodes of a graph; what doesn't fit is counted in one more."""

_PAGE = "500"
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")

READ: dict[str, tuple[str, str, str]] = {
    "Deployment": ("apps", "v1", "deployments"),
    "StatefulSet": ("apps", "v1", "statefulsets"),
    "DaemonSet": ("apps", "v1", "daemonsets"),
    "ReplicaSet": ("apps", "v1", "replicasets"),
    "Pod": ("", "v1", "pods"),
    "Service": ("", "v1", "services"),
    "Ingress": ("networking.k8s.io", "v1", "ingresses"),
    "HorizontalPodAutoscaler": ("autoscaling", "v2", "horizontalpodautoscalers"),
    "PodDisruptionBudget": ("policy", "v1", "poddisruptionbudgets"),
}
"""The kinds that are read around a change, with group, version and resource."""

_NAMED_ONLY: dict[str, tuple[str, str, str]] = {
    "ConfigMap": ("", "v1", "configmaps"),
    "Secret": ("", "v1", "secrets"),
    "PersistentVolumeClaim": ("", "v1", "persistentvolumeclaims"),
    "ServiceAccount": ("", "v1", "serviceaccounts"),
}

Around = dict[str, list["JsonObject"]]
"""The objects of a namespace by kind."""


async def around(c: Connection, steps: Sequence[StepChecked]) -> Topology:
    """The changed objects, their pods, and what routes to, scales, protects or is used by them.

    Kinds that may not be read are named in the changed object's detail. Objects are as they would
    be after the steps, or as they were for a deletion.
    """
    namespaces = sorted({checked.step.target.namespace for checked in steps} - {""})
    read = await asyncio.gather(*(_read(c, namespace) for namespace in namespaces))
    graph = _Graph()
    for checked in steps:
        _add_changed(graph, checked)
    for namespace, (objects, unread) in zip(namespaces, read, strict=True):
        for checked in steps:
            if checked.step.target.namespace == namespace:
                _update(objects, checked)
        for checked in steps:
            if checked.step.target.namespace == namespace:
                _connect(graph, checked, objects)
                graph.note(checked.step.target, unread)
    return graph.folded()


async def _read(c: Connection, namespace: str) -> tuple[Around, str]:
    """What is in a namespace, and a clause that says what could not be read."""
    partial: list[str] = []

    async def listed(kind: str) -> list[JsonObject] | None:
        group, version, resource = READ[kind]
        request = Request(
            verb="list",
            group=group,
            version=version,
            resource=resource,
            namespace=namespace,
            query={"limit": _PAGE},
        )
        try:
            body = (await c.investigate(request)).body
        except ClusterError:
            return None
        items: list[JsonObject] = body.get("items") or []
        if (body.get("metadata") or {}).get("continue"):
            partial.append(resource)
        # Items of a list don't say what they are.
        api_version = f"{group}/{version}" if group else version
        return [{"apiVersion": api_version, "kind": kind, **item} for item in items]

    found = dict(zip(READ, await asyncio.gather(*map(listed, READ)), strict=True))
    unread = [READ[kind][2] for kind, items in found.items() if items is None]
    clauses = [f"couldn't read: {', '.join(unread)}"] if unread else []
    clauses += [f"read only the first {_PAGE} {', '.join(sorted(partial))}"] if partial else []
    clause = "; ".join(clauses)
    return {kind: items or [] for kind, items in found.items()}, clause


_Key = tuple[str, str, str, str]


def _key(ref: ObjectRef) -> _Key:
    """Which object this is, in whatever version it was read."""
    return ref.group, ref.resource, ref.namespace, ref.name


class _Graph:
    """Nodes and edges, each once, in the order they were met."""

    def __init__(self) -> None:
        self._nodes: dict[_Key, Node] = {}
        self._edges: dict[tuple[_Key, _Key], str] = {}

    def put(self, node: Node) -> None:
        """Add a node; where two steps change one object, it tells the details of both."""
        known = self._nodes.setdefault(_key(node.ref), node)
        if node.action is not None:
            self.note(known.ref, node.detail)

    def join(self, source: ObjectRef, label: str, target: ObjectRef) -> None:
        """Add an edge, and its two nodes where they are new."""
        self.put(Node(ref=source))
        self.put(Node(ref=target))
        self._edges.setdefault((_key(source), _key(target)), label)

    def note(self, ref: ObjectRef, clause: str) -> None:
        """Add a clause to a node's detail."""
        node = self._nodes[_key(ref)]
        if clause and clause not in node.detail:
            detail = "; ".join(filter(None, (node.detail, clause)))
            self._nodes[_key(ref)] = node.model_copy(update={"detail": detail})

    def folded(self) -> Topology:
        """The graph, at most `LARGEST` nodes and one that counts the rest; changed ones first."""
        order = sorted(self._nodes.values(), key=lambda node: node.action is None)
        kept, rest = order[:LARGEST], order[LARGEST:]
        at = {_key(node.ref): position for position, node in enumerate(kept)}
        edges = tuple(
            Edge(source=at[source], target=at[target], label=label)
            for (source, target), label in self._edges.items()
            if source in at and target in at
        )
        if rest:
            first = rest[0].ref
            more = first.model_copy(update={"name": f"and {len(rest) - 1} more"})
            kept.append(Node(ref=more if len(rest) > 1 else first, detail=f"{len(rest)} objects"))
        return Topology(nodes=tuple(kept), edges=edges)


def _add_changed(graph: _Graph, checked: StepChecked) -> None:
    evidence = checked.evidence
    detail = headline(evidence) if isinstance(evidence, Accepted) else "not accepted"
    graph.put(Node(ref=checked.step.target, action=checked.step.action, detail=detail))


def _object(checked: StepChecked) -> JsonObject | None:
    evidence = checked.evidence
    if not isinstance(evidence, Accepted):
        return None
    return evidence.after or evidence.before


def _update(objects: Around, checked: StepChecked) -> None:
    """Put the object as the step leaves it in the place of what was read."""
    obj = _object(checked)
    kind = checked.step.target.kind
    if obj is None or kind not in objects or obj.get("kind") != kind:
        return
    name = obj["metadata"]["name"]
    others = [o for o in objects[kind] if o["metadata"]["name"] != name]
    objects[kind] = [*others, obj]


def _connect(graph: _Graph, checked: StepChecked, objects: Around) -> None:
    changed = checked.step.target
    for workload in _concerned(changed, _object(checked), objects):
        _connect_workload(graph, workload, objects)
    if changed.kind == "Service":
        _connect_ingresses(graph, changed.name, changed.namespace, objects)


def _concerned(changed: ObjectRef, obj: JsonObject | None, objects: Around) -> list[JsonObject]:
    """The workloads that a changed object is, serves, scales, protects or is used by."""
    workloads = [w for kind in _WORKLOADS for w in objects[kind]]
    if (changed.group, changed.kind) in POD_TEMPLATES:
        return [obj] if obj is not None and obj.get("kind") == changed.kind else []
    match changed.kind:
        case "Service" if obj:
            return [w for w in workloads if relations.serves(obj, w)]
        case "PodDisruptionBudget" if obj:
            return [w for w in workloads if relations.protects(obj, w)]
        case "HorizontalPodAutoscaler" if obj:
            kind, name = relations.scaled_by(obj)
            return [w for w in workloads if (w["kind"], w["metadata"]["name"]) == (kind, name)]
        case "Ingress" if obj:
            names = relations.routed_to(obj)
            services = [s for s in objects["Service"] if s["metadata"]["name"] in names]
            return [w for w in workloads if any(relations.serves(s, w) for s in services)]
        case kind:
            return [w for w in workloads if (kind, changed.name) in relations.uses(w)]


def _connect_workload(graph: _Graph, workload: JsonObject, objects: Around) -> None:
    ref = _ref(workload)
    graph.put(Node(ref=ref))
    _connect_pods(graph, workload, objects)
    for service in objects["Service"]:
        if relations.serves(service, workload):
            graph.join(_ref(service), "selects", ref)
            _connect_ingresses(graph, service["metadata"]["name"], ref.namespace, objects)
    for autoscaler in objects["HorizontalPodAutoscaler"]:
        if relations.scaled_by(autoscaler) == (ref.kind, ref.name):
            graph.join(_ref(autoscaler), "scales", ref)
    for budget in objects["PodDisruptionBudget"]:
        if relations.protects(budget, workload):
            graph.join(_ref(budget), "protects", ref)
    for kind, name in sorted(relations.uses(workload)):
        group, version, resource = _NAMED_ONLY[kind]
        used = ObjectRef(
            group=group,
            version=version,
            kind=kind,
            resource=resource,
            namespace=ref.namespace,
            name=name,
        )
        graph.join(ref, "uses", used)


def _connect_ingresses(graph: _Graph, service: str, namespace: str, objects: Around) -> None:
    _, version, resource = READ["Service"]
    ref = ObjectRef(
        version=version, kind="Service", resource=resource, namespace=namespace, name=service
    )
    for ingress in objects["Ingress"]:
        if service in relations.routed_to(ingress):
            graph.join(_ref(ingress), "routes to", ref)


def _connect_pods(graph: _Graph, workload: JsonObject, objects: Around) -> None:
    """One node for all pods of a workload: who replaces them is of no use in a review."""
    owned: dict[str, list[JsonObject]] = defaultdict(list)
    for obj in (*objects["ReplicaSet"], *objects["Pod"]):
        for owner in obj["metadata"].get("ownerReferences") or ():
            owned[owner["uid"]].append(obj)
    uid = workload["metadata"].get("uid", "")
    direct = owned.get(uid, [])
    below = [pod for obj in direct for pod in owned.get(obj["metadata"]["uid"], ())]
    pods = [obj for obj in (*direct, *below) if obj["kind"] == "Pod"]
    if not pods:
        return
    ref = _ref(pods[0])
    if len(pods) > 1:
        ref = ref.model_copy(update={"name": f"{workload['metadata']['name']}-…"})
    graph.put(Node(ref=ref, detail=f"{len(pods)} pod{'s' if len(pods) > 1 else ''}"))
    graph.join(_ref(workload), "runs", ref)


def _ref(obj: JsonObject) -> ObjectRef:
    group, _, version = obj["apiVersion"].rpartition("/")
    kind = obj["kind"]
    resource = READ[kind][2] if kind in READ else f"{kind.lower()}s"
    metadata = obj["metadata"]
    return ObjectRef(
        group=group,
        version=version,
        kind=kind,
        resource=resource,
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
    )

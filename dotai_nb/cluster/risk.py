"""The least risk of a plan, by rules in one table; the model can only raise it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dotai_nb.cluster.fields import Item, changed, value_at
from dotai_nb.cluster.manifest import pod_template
from dotai_nb.session.values import Accepted, Action, Risk, RiskLevel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dotai_nb.session.canonical import JsonObject
    from dotai_nb.session.events import StepChecked
    from dotai_nb.session.values import Topology

HOLDS_DATA = frozenset({
    "CustomResourceDefinition",
    "Namespace",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "StatefulSet",
})  # fmt: skip
"""Kinds whose deletion takes data or many other objects along."""

RBAC = "rbac.authorization.k8s.io"


class _Case(NamedTuple):
    """A step with its evidence, and what hangs on it."""

    checked: StepChecked
    before: JsonObject | None
    after: JsonObject | None
    topology: Topology

    @property
    def name(self) -> str:
        return str(self.checked.step.target)

    @property
    def deletes(self) -> bool:
        return self.checked.step.action is Action.DELETE


_Rule = tuple[RiskLevel, "Callable[[_Case], str]"]


def floor(steps: Sequence[StepChecked], topology: Topology) -> Risk:
    """The highest level that a rule gives to any step, with a sentence for each rule that holds."""
    level, reasons = RiskLevel.LOW, []
    for checked in steps:
        evidence = checked.evidence
        accepted = isinstance(evidence, Accepted)
        case = _Case(
            checked,
            evidence.before if isinstance(evidence, Accepted) else None,
            evidence.after if isinstance(evidence, Accepted) else None,
            topology,
        )
        for at_least, reason in RULES:
            if text := reason(case):
                level = max(level, at_least, key=lambda each: each.rank)
                reasons.append(text)
        if not accepted:
            reasons.append(f"The API server has not accepted the change of {case.name}.")
    if not reasons:
        reasons = ["Each step changes an object in place and can be undone by another step."]
    return Risk(level=level, reasons=tuple(dict.fromkeys(reasons)))


def worse(a: Risk, b: Risk) -> Risk:
    """The higher level of the two, with the reasons of both, those of the higher first."""
    first, second = (b, a) if b.level.rank > a.level.rank else (a, b)
    reasons = dict.fromkeys((*first.reasons, *second.reasons))
    return Risk(level=first.level, reasons=tuple(reasons))


def _deletes_data(case: _Case) -> str:
    if not case.deletes or case.checked.step.target.kind not in HOLDS_DATA:
        return ""
    return f"{case.name} is deleted, and what it holds can't be had back."


def _deletes(case: _Case) -> str:
    if not case.deletes:
        return ""
    evidence = case.checked.evidence
    count = len(evidence.dependents) if isinstance(evidence, Accepted) else 0
    return f"{case.name} is deleted" + (f", and {count} objects with it." if count else ".")


def _deletes_cluster_wide(case: _Case) -> str:
    return _cluster_wide(case) if case.deletes else ""


def _cluster_wide(case: _Case) -> str:
    target = case.checked.step.target
    if target.namespace or (target.kind == "Namespace" and not case.deletes):
        return ""
    return f"{case.name} belongs to the whole cluster."


def _system(case: _Case) -> str:
    target = case.checked.step.target
    namespace = target.name if target.kind == "Namespace" else target.namespace
    if not namespace.startswith("kube-"):
        return ""
    return f"{case.name} is in {namespace}, which the cluster itself needs."


def _permissions(case: _Case) -> str:
    if case.checked.step.target.group != RBAC:
        return ""
    return f"{case.name} changes who may do what."


def _to_zero(case: _Case) -> str:
    if _replicas(case.after) != 0 or _replicas(case.before) == 0:
        return ""
    return f"{case.name} is scaled to zero: nothing of it runs any more."


def _other_registry(case: _Case) -> str:
    moved = [f"{old} to {new}" for old, new in _images(case) if registry(old) != registry(new)]
    return f"{case.name} takes its image from another registry: {', '.join(moved)}." * bool(moved)


def _single_replica(case: _Case) -> str:
    if _replicas(case.before) != 1 or not _template_changes(case):
        return ""
    return f"{case.name} has one replica, so that its update may interrupt it."


def _unprotected(case: _Case) -> str:
    if (_replicas(case.after) or 0) <= 1 or not _template_changes(case):
        return ""
    target = case.checked.step.target
    nodes = case.topology.nodes
    protected = any(
        edge.label == "protects" and nodes[edge.target].ref == target
        for edge in case.topology.edges
    )
    return "" if protected else f"{case.name} has no PodDisruptionBudget."


def _managed_elsewhere(case: _Case) -> str:
    evidence = case.checked.evidence
    if not isinstance(evidence, Accepted) or not evidence.conflicts:
        return ""
    return f"{', '.join(evidence.conflicts)} also sets what changes in {case.name}."


def _warned(case: _Case) -> str:
    evidence = case.checked.evidence
    if not isinstance(evidence, Accepted) or not evidence.warnings:
        return ""
    return f"The API server warns about {case.name}: {'; '.join(evidence.warnings)}"


RULES: tuple[_Rule, ...] = (
    (RiskLevel.HIGH, _deletes_data),
    (RiskLevel.HIGH, _deletes_cluster_wide),
    (RiskLevel.HIGH, _system),
    (RiskLevel.HIGH, _permissions),
    (RiskLevel.HIGH, _to_zero),
    (RiskLevel.MEDIUM, _deletes),
    (RiskLevel.MEDIUM, _cluster_wide),
    (RiskLevel.MEDIUM, _other_registry),
    (RiskLevel.MEDIUM, _single_replica),
    (RiskLevel.MEDIUM, _managed_elsewhere),
    (RiskLevel.MEDIUM, _warned),
    (RiskLevel.LOW, _unprotected),
)
"""Each rule with the level it gives; the sentence is empty where it does not hold."""


def registry(image: str) -> str:
    """The registry of an image reference; `docker.io` where it names none.

    A first part with a dot, a colon, or `localhost` is a registry
    (https://github.com/distribution/reference).
    """
    first, slash, _ = image.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    return first if is_host else "docker.io"


def _replicas(obj: JsonObject | None) -> int | None:
    value = (obj or {}).get("spec", {}).get("replicas")
    return value if isinstance(value, int) else None


def _template_changes(case: _Case) -> bool:
    if case.before is None or case.after is None:
        return False
    return pod_template(case.before) != pod_template(case.after)


def _images(case: _Case) -> Iterator[tuple[str, str]]:
    if case.before is None or case.after is None:
        return
    for field, new in changed(case.before, case.after).items():
        of_container = len(field) > 1 and field[-1] == "image" and isinstance(field[-2], Item)
        old = value_at(case.before, field)
        if of_container and isinstance(old, str) and isinstance(new, str):
            yield old, new

"""How objects hang together: pure answers about plain objects, nothing is read here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotai_nb.cluster.manifest import pod_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dotai_nb.session.canonical import JsonObject

Named = tuple[str, str]
"""A kind and a name, of an object in the same namespace."""


def selects(selector: JsonObject | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector (`matchLabels`, `matchExpressions`) matches; none matches nothing."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or ()
    return all(labels.get(k) == v for k, v in wanted.items()) and all(
        _satisfies(expression, labels) for expression in expressions
    )


def _satisfies(expression: JsonObject, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def pod_labels(workload: JsonObject) -> dict[str, str]:
    """Labels of the pods that an object runs; empty for one that runs none."""
    template = pod_template(workload) or {}
    return dict(template.get("metadata", {}).get("labels") or {})


def serves(service: JsonObject, workload: JsonObject) -> bool:
    """Whether a Service sends traffic to a workload's pods."""
    selector = service.get("spec", {}).get("selector")
    return bool(selector) and selects({"matchLabels": selector}, pod_labels(workload))


def protects(budget: JsonObject, workload: JsonObject) -> bool:
    """Whether a PodDisruptionBudget covers a workload's pods (an empty selector: all pods)."""
    runs_pods = pod_template(workload) is not None
    return runs_pods and selects(budget.get("spec", {}).get("selector"), pod_labels(workload))


def scaled_by(autoscaler: JsonObject) -> Named:
    """What a HorizontalPodAutoscaler scales."""
    reference = autoscaler["spec"]["scaleTargetRef"]
    return reference["kind"], reference["name"]


def routed_to(ingress: JsonObject) -> set[str]:
    """The names of the Services that an Ingress sends traffic to."""
    spec = ingress.get("spec") or {}
    paths = (
        path
        for rule in spec.get("rules") or ()
        for path in (rule.get("http") or {}).get("paths") or ()
    )
    backends = [spec.get("defaultBackend") or {}, *(path["backend"] for path in paths)]
    return {b["service"]["name"] for b in backends if b.get("service")}


def uses(workload: JsonObject) -> set[Named]:
    """ConfigMaps, Secrets, claims and the ServiceAccount that a workload's pods need by name."""
    spec = (pod_template(workload) or {}).get("spec") or {}
    found = set(_in_volumes(spec))
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    for container in containers:
        found |= set(_in_environment(container))
    found |= {("Secret", secret["name"]) for secret in spec.get("imagePullSecrets") or ()}
    if account := spec.get("serviceAccountName"):
        found.add(("ServiceAccount", account))
    return {(kind, name) for kind, name in found if name}


def _in_volumes(spec: JsonObject) -> Iterator[Named]:
    for volume in spec.get("volumes") or ():
        projected = (volume.get("projected") or {}).get("sources") or ()
        for source in (volume, *projected):
            # A projected source calls its Secret `name`, a volume `secretName`.
            secret = source.get("secret") or {}
            yield "Secret", secret.get("secretName") or secret.get("name") or ""
            yield "ConfigMap", (source.get("configMap") or {}).get("name", "")
        claim = volume.get("persistentVolumeClaim") or {}
        yield "PersistentVolumeClaim", claim.get("claimName", "")


def _in_environment(container: JsonObject) -> Iterator[Named]:
    for source in container.get("envFrom") or ():
        yield "ConfigMap", (source.get("configMapRef") or {}).get("name", "")
        yield "Secret", (source.get("secretRef") or {}).get("name", "")
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        yield "ConfigMap", (source.get("configMapKeyRef") or {}).get("name", "")
        yield "Secret", (source.get("secretKeyRef") or {}).get("name", "")

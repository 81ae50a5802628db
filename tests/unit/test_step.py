from __future__ import annotations

import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dotai_nb.cluster.answers import in_words
from dotai_nb.cluster.difference import pointer
from dotai_nb.cluster.execution import said
from dotai_nb.cluster.fields import overlap, shown, touched
from dotai_nb.cluster.manifest import (
    APPLY_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    check_body,
    check_manifest,
    containers_of,
)
from dotai_nb.cluster.ownership import owners
from dotai_nb.cluster.redaction import LAST_APPLIED
from dotai_nb.cluster.request import JSON_PATCH
from dotai_nb.errors import StepRefused
from dotai_nb.session.values import Action, ObjectRef, Step

# A shell's argument can't hold NUL, nor can UTF-8 hold half a surrogate pair.
ARGUMENT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20
) | st.sampled_from(["it's", '"', "$(id)", "`id`", "a\nb", "EOF", "\\", "-f", "!!", "é"])
WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "replicas": 2,
        "template": {
            "spec": {
                "initContainers": [{"name": "setup", "image": "busybox:1"}],
                "containers": [{"name": "web", "image": "nginx:1.19"}, {"name": "log"}],
            }
        },
    },
}


def ref(kind: str = "Deployment", group: str = "apps") -> ObjectRef:
    return ObjectRef(
        group=group,
        version="v1",
        kind=kind,
        resource=f"{kind.lower()}s",
        namespace="shop",
        name="web",
    )


def step(body: Any = None, content_type: str = "", **fields: Any) -> Step:
    given = {"number": 1, "action": Action.UPDATE, "target": ref(), "method": "PATCH", "path": "/"}
    return Step(**{**given, "argv": ("kubectl",), **fields}, body=body, content_type=content_type)


@settings(max_examples=60, deadline=None)
@given(st.lists(ARGUMENT, min_size=1, max_size=4), st.none() | ARGUMENT)
def test_a_printed_command_gives_a_real_shell_the_same_arguments_and_manifest(
    arguments: list[str], manifest: str | None
) -> None:
    stdin = "" if manifest is None else f'{{"a": "{manifest}"}}\n'
    made = step(argv=("printf", "%s\\0", *arguments), stdin=stdin)

    command = made.command if stdin else f"{made.command} </dev/null"
    done = subprocess.run(
        ["bash", "-c", f"{command}\n"], capture_output=True, check=True, timeout=60
    )

    assert done.stdout.decode().split("\0")[:-1] == arguments


@settings(max_examples=60, deadline=None)
@given(st.lists(ARGUMENT | st.just("EOF_"), max_size=5))
def test_a_manifest_reaches_the_command_to_the_byte(lines: list[str]) -> None:
    text = "{" + "\n".join(lines) + "}\n"
    made = step(argv=("cat",), stdin=text)

    done = subprocess.run(["bash", "-c", made.command], capture_output=True, check=True, timeout=60)

    assert done.stdout.decode() == text


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({}, "no apiVersion or no kind"),
        ("apiVersion: v1", "no apiVersion or no kind"),
        ({"apiVersion": "v1", "kind": "Pod"}, "no metadata.name"),
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "a-"}}, "another name"),
        ({"apiVersion": "v1", "kind": "List", "items": []}, "one step an object"),
        (
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "resourceVersion": "1"}},
            "metadata.resourceVersion",
        ),
    ],
)
def test_a_manifest_that_is_not_one_new_or_known_object_is_refused(
    manifest: Any, message: str
) -> None:
    with pytest.raises(StepRefused, match=message):
        check_manifest(manifest)


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"k": "v"}},
        {"stringData": {}},
        [{"op": "replace", "path": "", "value": {}}],
        [{"op": "add", "path": "/data/k", "value": "v"}],
        [{"op": "move", "from": "/stringData/k", "path": "/metadata/labels/k"}],
    ],
)
def test_values_of_a_secret_are_refused_and_those_of_a_configmap_are_not(body: Any) -> None:
    with pytest.raises(StepRefused, match="Secret values never pass"):
        check_body(ref("Secret", ""), body)

    check_body(ref("ConfigMap", ""), body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"spec": {}, "status": {"phase": "x"}}, "set the status"),
        ([{"op": "add", "path": "/status/phase", "value": "x"}], "set the status"),
        ([{"op": "replace", "path": "", "value": {"status": {}}}], "set the status"),
        ({"metadata": {"annotations": {LAST_APPLIED: "{}"}}}, "kubectl keeps for itself"),
        ({"metadata": {"annotations": {LAST_APPLIED: None}}}, "kubectl keeps for itself"),
        (
            [{"op": "remove", "path": pointer(["metadata", "annotations", LAST_APPLIED])}],
            "kubectl keeps for itself",
        ),
    ],
)
def test_what_no_review_shows_is_refused(body: Any, message: str) -> None:
    with pytest.raises(StepRefused, match=message):
        check_body(ref("Deployment", "apps"), body)


def test_a_directive_that_takes_a_secrets_values_away_unnamed_is_refused() -> None:
    with pytest.raises(StepRefused, match="Secret values never pass"):
        check_body(ref("Secret", ""), {"$patch": "replace", "metadata": {"labels": {}}})


def test_a_secrets_labels_may_change() -> None:
    check_body(ref("Secret", ""), {"metadata": {"labels": {"data": "x"}}})
    check_body(ref("Secret", ""), [{"op": "add", "path": "/metadata/labels/data", "value": "x"}])


def test_a_placeholder_is_never_written() -> None:
    with pytest.raises(StepRefused, match="placeholder"):
        check_body(ref(), {"metadata": {"annotations": {"a": "«redacted»"}}})


ENV = {"spec": {"containers": [{"name": "a", "env": [{"name": "DB_PASSWORD", "value": "x"}]}]}}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (ENV, "secretKeyRef"),
        ({"metadata": {"annotations": {"api-token": "x"}}}, "secretKeyRef"),
        ({"data": {"url": "redis://:x@cache"}}, "secretKeyRef"),
        ([{"op": "add", "path": "/data/db.password", "value": "x"}], "secretKeyRef"),
        ([{"op": "replace", "path": "/spec/env/0/value", "value": "x"}], "by its position"),
        ([{"op": "add", "path": "/spec/args/-", "value": "x"}], "by its position"),
    ],
)
def test_a_secret_is_not_written_where_it_would_be_shown(body: Any, message: str) -> None:
    with pytest.raises(StepRefused) as caught:
        check_body(ref(), body)
    assert message in str(caught.value)


def test_what_only_speaks_of_a_secret_may_be_written() -> None:
    source = {"secretKeyRef": {"name": "db", "key": "password"}}
    check_body(ref(), {"env": [{"name": "DB_PASSWORD", "value": None, "valueFrom": source}]})
    check_body(ref(), {"env": [{"name": "TOKEN_TTL", "value": "5m"}]})
    check_body(ref(), {"metadata": {"annotations": {"api-token": None}}})
    check_body(ref(), [{"op": "add", "path": "/spec/args/-", "value": "--verbose"}])
    check_body(ref(), [{"op": "remove", "path": "/spec/env/0/value"}])


def test_strict_writes_no_variable_and_no_configmap_value() -> None:
    for target, body in (
        (ref(), {"env": [{"name": "LEVEL", "value": "debug"}]}),
        (ref("ConfigMap", ""), {"data": {"level": "debug"}}),
    ):
        check_body(target, body)
        with pytest.raises(StepRefused, match="secret value"):
            check_body(target, body, strict=True)


def test_containers_are_found_in_both_lists() -> None:
    assert containers_of(WEB) == {
        "setup": "initContainers",
        "web": "containers",
        "log": "containers",
    }


TEMPLATE = "spec.template.spec.containers"


@pytest.mark.parametrize(
    ("body", "content_type", "fields"),
    [
        ({"spec": {"replicas": 2}}, MERGE_PATCH, {"spec.replicas"}),
        ({"metadata": {"labels": {"app": None}}}, MERGE_PATCH, {"metadata.labels.app"}),
        (
            {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "x"}]}}}},
            MERGE_PATCH,
            {TEMPLATE},
        ),
        (
            {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "x"}]}}}},
            STRATEGIC_PATCH,
            {f"{TEMPLATE}[web].image", f"{TEMPLATE}[web].name"},
        ),
        (
            {"spec": {"template": {"spec": {"$patch": "replace", "containers": []}}}},
            STRATEGIC_PATCH,
            {"spec.template.spec"},
        ),
        (
            [{"op": "test", "path": "/spec/template/spec/containers/0/image", "value": "x"}],
            JSON_PATCH,
            {f"{TEMPLATE}[web].image"},
        ),
        (
            [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {}}],
            JSON_PATCH,
            {TEMPLATE},
        ),
        (
            {"apiVersion": "apps/v1", "spec": {"replicas": 3}},
            APPLY_PATCH,
            {"apiVersion", "spec.replicas"},
        ),
    ],
)
def test_a_request_touches_the_fields_that_it_speaks_of_even_when_they_are_so_already(
    body: Any, content_type: str, fields: set[str]
) -> None:
    assert {shown(field) for field in touched(step(body, content_type), WEB, WEB)} == fields


def test_a_field_overlaps_with_what_holds_it_and_with_what_it_holds() -> None:
    spec, replicas, labels = ("spec",), ("spec", "replicas"), ("metadata", "labels")

    assert overlap([spec, labels], [replicas]) == [spec]
    assert overlap([replicas, labels], [spec]) == [replicas]
    assert overlap([labels], [spec]) == []


def managed(manager: str, fields: dict[str, Any], **entry: str) -> dict[str, Any]:
    owned = [{"manager": manager, "operation": "Apply", "fieldsV1": fields, **entry}]
    return {**WEB, "metadata": {"name": "web", "managedFields": owned}}


IMAGE_OF_WEB = {
    "f:spec": {
        "f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {".": {}, "f:image": {}}}}}
    }
}


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (managed("flux", IMAGE_OF_WEB), ("flux",)),
        (managed("helm", IMAGE_OF_WEB, operation="Update"), ("helm",)),
        (managed("kubectl-edit", IMAGE_OF_WEB, operation="Update"), ()),
        (managed("dotai-nb", IMAGE_OF_WEB), ()),
        (managed("flux", {"f:spec": {"f:replicas": {}}}), ()),
        (managed("flux", {"f:spec": {}}), ("flux",)),
        (managed("flux", IMAGE_OF_WEB, subresource="status"), ()),
    ],
)
def test_only_those_who_keep_applying_a_changed_field_are_told(
    before: dict[str, Any], told: tuple[str, ...]
) -> None:
    containers = [{"name": "web", "image": "nginx:1.20"}, {"name": "log"}]
    spec = before["spec"]["template"]["spec"]
    template = {"spec": {**spec, "containers": containers}}
    after = {**before, "spec": {**before["spec"], "template": template}}

    assert owners(before, after) == told


def test_the_servers_sentence_is_kept_without_the_object_that_it_repeats() -> None:
    message = (
        r'"" is invalid: patch: Invalid value: "{\"data\":{\"k\":\"c2VjcmV0\"}}": '
        r'strict decoding error: unknown field "spec.foo"'
    )

    assert in_words(message) == (
        '"" is invalid: patch: Invalid value: "«cut»": '
        'strict decoding error: unknown field "spec.foo"'
    )
    assert in_words('pods "a{b" not found in "{}"') == 'pods "a{b" not found in "«cut»"'


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("kubectl", "scale", "x"), "deployment.apps/web scaled"),
        (("kubectl", "set", "image", "x"), "deployment.apps/web image updated"),
        (("kubectl", "rollout", "undo", "x"), "deployment.apps/web rolled back"),
        (("kubectl", "apply", "--server-side"), "deployment.apps/web serverside-applied"),
    ],
)
def test_a_step_that_is_done_is_told_in_kubectls_words(argv: tuple[str, ...], words: str) -> None:
    assert said(step({}, argv=argv)) == words


def test_a_deletion_is_told_in_kubectls_words() -> None:
    made = step(action=Action.DELETE, method="DELETE", argv=("kubectl", "delete", "x"))

    assert said(made) == 'deployment.apps "web" deleted from shop namespace'

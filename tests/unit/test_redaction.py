"""No secret of an object is shown: by its type, by its name, or by its shape."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotai_nb.cluster.redaction import (
    COPIES,
    LAST_APPLIED,
    LEFT_OUT,
    exposes,
    holds_placeholder,
    placeholder,
    redact,
    redact_value,
)

CANARY = "Y2FuYXJ5LTQ3MTE="
TOKEN = "eyJhbGciOiJub25lIn0.eyJjYW5hcnkiOiI0NzExIn0.c2lnbmF0dXJl"


def secret(**values: str) -> dict[str, Any]:
    manifest = json.dumps({"kind": "Secret", "data": values})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "annotations": {LAST_APPLIED: manifest, "team": "a"}},
        "type": "Opaque",
        "data": values,
    }


def pod(**container: Any) -> dict[str, Any]:
    return {"kind": "Pod", "spec": {"containers": [{"name": "web", **container}]}}


def test_a_secret_keeps_its_keys_and_loses_its_values() -> None:
    shown = redact({**secret(password=CANARY), "stringData": {"user": CANARY}})
    assert shown["data"] == {"password": placeholder(CANARY)}
    assert shown["stringData"] == {"user": placeholder(CANARY)}
    assert shown["metadata"]["annotations"] == {LAST_APPLIED: LEFT_OUT, "team": "a"}
    assert shown["type"] == "Opaque"


def test_the_object_given_is_left_as_it_is() -> None:
    original = secret(password=CANARY)
    before = copy.deepcopy(original)
    redact(original)
    assert original == before


def test_items_of_a_list_that_do_not_say_what_they_are_are_redacted() -> None:
    item = {key: value for key, value in secret(a=CANARY).items() if key in {"metadata", "data"}}
    assert CANARY not in json.dumps(redact({"kind": "SecretList", "items": [item]}))
    assert CANARY not in json.dumps(redact({"kind": "List", "items": [secret(a=CANARY)]}))


def test_a_watch_events_object_and_a_patch_of_a_secret_are_redacted() -> None:
    assert CANARY not in json.dumps(redact({"type": "ADDED", "object": secret(a=CANARY)}))
    patch = {"data": {"a": CANARY}, "metadata": {"annotations": {LAST_APPLIED: CANARY}}}
    assert CANARY not in json.dumps(redact(patch, kind="Secret"))


def test_other_objects_keep_their_data_and_lose_kubectls_copy() -> None:
    annotations = {LAST_APPLIED: "{}", "team": "a"}
    obj = {"kind": "ConfigMap", "metadata": {"annotations": annotations}, "data": {"a": "b"}}
    shown = redact(obj)
    assert shown["data"] == {"a": "b"}
    assert shown["metadata"]["annotations"] == {LAST_APPLIED: LEFT_OUT, "team": "a"}


def test_a_changed_value_is_seen_to_change_without_being_seen() -> None:
    before, after = redact(secret(a="b2xk", b="c2FtZQ==")), redact(secret(a=CANARY, b="c2FtZQ=="))
    assert before["data"]["a"] != after["data"]["a"]
    assert before["data"]["b"] == after["data"]["b"]
    assert CANARY not in json.dumps([before, after])


def test_null_data_stays_null() -> None:
    assert redact({"kind": "Secret", "data": None})["data"] is None


def test_data_of_no_known_shape_is_hidden_whole() -> None:
    assert CANARY not in json.dumps(redact({"kind": "Secret", "data": {"a": {"b": [CANARY]}}}))
    assert CANARY not in json.dumps(redact({"kind": "Secret", "data": CANARY}))


COVERED: list[Any] = [
    pod(env=[{"name": "DB_PASSWORD", "value": CANARY}]),
    pod(args=["--verbose", "--api-key", CANARY]),
    pod(args=[f"--token={CANARY}"]),
    pod(command=["sh", "-c", f"login --password {CANARY} && run"]),
    pod(env=[{"name": "DATABASE_URL", "value": f"postgres://app:{CANARY}@db:5432/app"}]),
    pod(readinessProbe={"httpGet": {"httpHeaders": [{"name": "Authorization", "value": CANARY}]}}),
    {"kind": "ConfigMap", "data": {"db.password": CANARY}},
    {"kind": "ConfigMap", "data": {"application.yaml": f"db:\n  password: {CANARY}\n  user: app"}},
    {"kind": "ConfigMap", "data": {"app.json": json.dumps({"auth": {"clientSecret": CANARY}})}},
    {"kind": "ConfigMap", "data": {"seed.yaml": f"kind: Secret\ndata:\n  a: {CANARY}\n"}},
    {"kind": "Thing", "metadata": {"annotations": {"example.com/api-token": CANARY}}},
    {"kind": "Thing", "spec": {"auth": {"password": CANARY, "tokens": [CANARY]}}},
    {"kind": "Secret", "type": "helm.sh/release.v1", "data": {"release": CANARY}},
    {"type": "helm.sh/release.v1", "data": {"release": CANARY}},
    {"kind": "ConfigMap", "metadata": {"name": "sh.helm.release.v1.app.v1"}, "data": {"r": CANARY}},
    *({"kind": "Deployment", "metadata": {"annotations": {key: CANARY}}} for key in COPIES),
    [{"op": "add", "path": "/data/password", "value": CANARY}],
    [{"op": "add", "path": "/data", "value": {"password": CANARY}}],
    [{"op": "replace", "path": "/spec/x/env/0/value", "value": CANARY}],
    [{"op": "add", "path": "/spec/x/args/1", "value": CANARY}],
    [{"op": "add", "path": "/spec/x/env/-", "value": {"name": "TOKEN", "value": CANARY}}],
]


@pytest.mark.parametrize("value", COVERED, ids=lambda v: json.dumps(v)[:60])
def test_a_secret_outside_secrets_is_hidden(value: Any) -> None:
    shown = redact_value(value)
    assert CANARY not in json.dumps(shown)
    assert holds_placeholder(shown)
    assert redact_value(shown) == shown


FACTS: list[Any] = [
    pod(env=[{"name": "TOKEN_TTL", "value": "1h"}, {"name": "MAX_TOKENS", "value": "4096"}]),
    pod(env=[{"name": "PASSWORD_FILE", "value": "/run/secrets/db"}]),
    pod(env=[{"name": "ALLOW_EMPTY_PASSWORD", "value": "yes"}, {"name": "TOKEN", "value": ""}]),
    pod(env=[{"name": "DB_PASSWORD", "value": "$(OTHER)"}]),
    pod(env=[{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "pw"}}}]),
    pod(args=["--token-ttl", "1h", "--secret-name=db", "--tokenfile=/var/run/token"]),
    pod(image="registry.example.com/vault/secret:1.2", imagePullPolicy="Always"),
    {"kind": "Pod", "spec": {"imagePullSecrets": [{"name": "regcred"}], "serviceAccount": "token"}},
    {
        "kind": "Pod",
        "spec": {
            "automountServiceAccountToken": True,
            "volumes": [
                {"name": "a", "secret": {"secretName": "db", "defaultMode": 420}},
                {
                    "name": "t",
                    "projected": {
                        "sources": [
                            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}
                        ]
                    },
                },
            ],
        },
    },
    {"kind": "Role", "rules": [{"resources": ["secrets"], "resourceNames": ["db-password"]}]},
    {"kind": "Ingress", "spec": {"tls": [{"hosts": ["a.example"], "secretName": "a-tls"}]}},
    {"kind": "Deployment", "metadata": {"annotations": {"checksum/secret": "0" * 64}}},
    {"kind": "ConfigMap", "data": {"nginx.conf": "server { listen 80; root /srv; }", "url": "http://a:80/@b"}},
    {"kind": "Event", "message": 'MountVolume.SetUp failed: secret "db-password" not found'},
    {"kind": "Event", "involvedObject": {"kind": "Secret", "name": "db"}},
    {"kind": "CRD", "properties": {"password": {"type": "string"}}, "required": ["password"]},
]  # fmt: skip


@pytest.mark.parametrize("value", FACTS, ids=lambda v: json.dumps(v)[:60])
def test_facts_about_secrets_stay(value: Any) -> None:
    assert redact_value(value) == value


def test_an_argument_behind_a_flag_is_hidden_and_the_flag_stays() -> None:
    shown = redact(pod(args=["run", "--password", CANARY, "--verbose"]))
    args = shown["spec"]["containers"][0]["args"]
    assert args == ["run", "--password", placeholder(CANARY), "--verbose"]


def test_strict_hides_every_variable_and_every_value_of_a_configmap() -> None:
    variables = [{"name": "LEVEL", "value": CANARY}, {"name": "A", "valueFrom": {"x": "y"}}]
    shown = redact(pod(env=variables, image="nginx:1.20"), strict=True)["spec"]["containers"][0]
    assert shown["env"] == [{"name": "LEVEL", "value": placeholder(CANARY)}, variables[1]]
    assert shown["image"] == "nginx:1.20"
    settings = {"kind": "ConfigMap", "data": {"a": CANARY}, "binaryData": {"b": CANARY}}
    assert redact(settings, strict=True)["data"] == {"a": placeholder(CANARY)}
    assert CANARY not in json.dumps(redact(settings, strict=True))
    assert redact(settings) == settings
    for path in ("/data/a", "/data"):
        value: Any = CANARY if path == "/data/a" else {"a": CANARY}
        patch = [{"op": "add", "path": path, "value": value}]
        assert CANARY not in json.dumps(redact_value(patch, kind="ConfigMap", strict=True))


def test_a_value_under_another_name_is_noticed() -> None:
    before = pod(env=[{"name": "DB_PASSWORD", "value": CANARY}])
    renamed = pod(env=[{"name": "GREETING", "value": CANARY}])
    copied = {**before, "metadata": {"annotations": {"x": CANARY}}}
    other = pod(env=[{"name": "DB_PASSWORD", "value": CANARY}], image="nginx:1.20")
    shown = redact(before)
    assert exposes(before, shown=(shown, redact(renamed)))
    assert exposes(before, shown=(shown, redact(copied)))
    assert not exposes(before, shown=(shown, redact(other)))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@given(wrapping=st.lists(st.sampled_from(["items", "object", "spec", "x"]), max_size=4))
def test_a_secret_is_redacted_at_any_depth(wrapping: list[str]) -> None:
    value: dict[str, object] = secret(a=CANARY)
    for key in wrapping:
        value = {key: [value] if key == "items" else value, "kind": "List"}
    shown = redact(value)
    assert CANARY not in json.dumps(shown)
    assert holds_placeholder(shown)


@given(value=_json)
def test_what_holds_no_secret_is_shown_as_it_is(value: object) -> None:
    obj = {"kind": "Thing", "spec": value}
    assert redact(obj) == obj
    assert not holds_placeholder(obj)


@given(value=_json)
def test_redacting_twice_is_redacting_once(value: object) -> None:
    obj = {"kind": "Thing", "password": "x", "spec": [value, {"token": [value, TOKEN]}, TOKEN]}
    shown = redact(obj)
    assert redact(shown) == shown
    assert "4711" not in json.dumps(shown)


def test_every_placeholder_is_known_again_anywhere() -> None:
    for mark in (placeholder("a"), "«redacted»", LEFT_OUT, "«cut: a list of 3»"):
        assert holds_placeholder({"a": [{"b": f"x {mark}"}]})
        assert holds_placeholder({mark: 1})
    assert not holds_placeholder({"a": "«other»", "b": ["redacted"]})


def test_other_tools_copies_of_a_secrets_manifest_are_hidden() -> None:
    original = secret(password=CANARY)
    notes = {
        "kapp.k14s.io/original": json.dumps(original),
        "objectset.rio.cattle.io/applied": CANARY,
        "someone.example/state": f' {{"data": "{CANARY}"}}',
    }
    shown = redact({**original, "metadata": {"name": "s", "annotations": {**notes, "team": "a"}}})
    assert CANARY not in json.dumps(shown)
    assert shown["metadata"]["annotations"]["team"] == "a"

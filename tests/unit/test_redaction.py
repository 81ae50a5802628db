"""No Secret value is shown, wherever the Secret stands."""

from __future__ import annotations

import copy
import json

from hypothesis import given
from hypothesis import strategies as st

from dotai_nb.cluster.redaction import (
    CHANGED,
    LAST_APPLIED,
    LEFT_OUT,
    PLACEHOLDER,
    holds_placeholder,
    redact,
    redact_change,
)

CANARY = "Y2FuYXJ5LTQ3MTE="


def secret(**values: str) -> dict[str, object]:
    manifest = json.dumps({"kind": "Secret", "data": values})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "annotations": {LAST_APPLIED: manifest, "team": "a"}},
        "type": "Opaque",
        "data": values,
    }


def test_a_secret_keeps_its_keys_and_loses_its_values() -> None:
    shown = redact({**secret(password=CANARY), "stringData": {"user": CANARY}})
    assert shown["data"] == {"password": PLACEHOLDER}
    assert shown["stringData"] == {"user": PLACEHOLDER}
    assert shown["metadata"]["annotations"] == {LAST_APPLIED: PLACEHOLDER, "team": "a"}
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
    before, after = redact_change(secret(a="b2xk", b="c2FtZQ=="), secret(a=CANARY, b="c2FtZQ=="))
    assert before["data"] == {"a": PLACEHOLDER, "b": PLACEHOLDER}
    assert after["data"] == {"a": CHANGED, "b": PLACEHOLDER}
    assert CANARY not in json.dumps([before, after])


def test_null_data_stays_null() -> None:
    assert redact({"kind": "Secret", "data": None})["data"] is None
    assert redact_change({"kind": "Secret", "data": None}, secret(a="x"))[1]["data"] == {
        "a": PLACEHOLDER
    }


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


def test_every_placeholder_is_known_again_anywhere() -> None:
    for mark in (PLACEHOLDER, CHANGED, LEFT_OUT, "«cut: a list of 3»"):
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

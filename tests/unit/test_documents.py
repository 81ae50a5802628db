"""YAML text becomes objects as kubectl reads them; what can't be read is told by its document."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dotai_nb.cluster.documents import LARGEST, MOST_VALUES, objects
from dotai_nb.errors import StepRefused

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["C"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc:#- '\"", min_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.text("abc.", min_size=1), JSON, max_size=3), max_size=3))
def test_what_is_dumped_is_read_again(values: list[dict[str, Any]]) -> None:
    assert list(objects(yaml.safe_dump_all(values))) == values


@given(st.dictionaries(st.text("abc.", min_size=1), JSON, max_size=3))
def test_json_is_yaml(value: dict[str, Any]) -> None:
    assert objects(json.dumps(value)) == (value,)


@given(st.text("ab:-{}[]&*!|>'\"#<? \n\t019.~%@`", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert all(isinstance(found, dict) for found in objects(text))
    except StepRefused as refused:
        assert refused.hint  # noqa: PT017 - the other way out of reading


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("2026-01-01", "2026-01-01"),
        ("12:30:45", "12:30:45"),
        ("22:22", "22:22"),
        ("0644", 0o644),
        ("0x1f", 31),
        ("1e3", 1000.0),
        ("1.20", 1.2),
        ("-1", -1),
        ("0", 0),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("nginx:1.20", "nginx:1.20"),
        ('"1.20"', "1.20"),
    ],
)
def test_a_scalar_is_what_kubectl_makes_of_it(scalar: str, value: object) -> None:
    (found,) = objects(f"a: {scalar}")
    assert found == {"a": value}
    assert type(found["a"]) is type(value)


def test_empty_documents_are_left_out() -> None:
    assert objects("") == objects("---\n# nothing\n---\n") == ()
    assert objects("---\na: 1\n---\n---\nb: 2\n...\n") == ({"a": 1}, {"b": 2})


def test_anchors_and_merges_are_copies() -> None:
    (found,) = objects(
        "a: &a {x: 1, y: 1}\nb: {c: &b {<<: *a, y: 2}}\nd: {<<: *b}\ne: {<<: *b, z: 3}\n"
    )
    assert found["b"]["c"] == found["d"] == {"x": 1, "y": 2}
    assert found["e"] == {"x": 1, "y": 2, "z": 3}
    (shared,) = objects("a: &a [1]\nb: *a\n")
    assert shared["a"] is not shared["b"]


BOMB = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n---\nb: [", "Document 2 .* in line 3"),
        ("a: 1\n---\n- b\n", "Document 2 .* is no object"),
        ("a: 1\n---\n\n---\nb: {c: 1, c: 2}", "Document 3 .* 'c' stands twice in one object in"),
        ("a: *b", "Document 1 .* undefined alias"),
        ("a: !!python/object:os.system {}", "Document 1 .* tag"),
        ("a: !secret x", "Document 1 .* tag"),
        ("a: .nan", "float, which JSON does not have"),
        ("a: 1e999", "float, which JSON does not have"),
        ("a: !!binary aGk=", "bytes, which JSON does not have"),
        ("1: a", "key 1 is not text: quote it"),
        ("on: push", "key True is not text: quote it"),
        ("a: &a [*a]", "nested deeper"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("a: " + "{b: " * 70 + "1" + "}" * 70, "nested deeper"),
        (BOMB, f"more than {MOST_VALUES:,} values"),
        ("a: \x00", "Document 1"),
        ("a: 0b_", "Document 1"),
        ('a: "\\ud800"', "half a surrogate pair"),
        ("#" * (LARGEST + 1), "larger than 3 MiB"),
    ],
    ids=lambda text: text[:20].encode("unicode_escape").decode(),
)
def test_what_is_no_manifest_is_refused_and_says_which(text: str, said: str) -> None:
    with pytest.raises(StepRefused, match=f"(?s){said}"):
        objects(text)


def test_a_refusal_repeats_nothing_of_the_text() -> None:
    with pytest.raises(StepRefused) as caught:
        objects("kind: Secret\ndata:\n  password: hunter2\n bad: [\n")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None

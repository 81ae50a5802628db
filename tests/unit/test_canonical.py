from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotai_nb.session.canonical import canonical, digest, readable

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_what_is_written_reads_back_the_same_and_writes_the_same_bytes(value: Any):
    for write in (canonical, readable):
        content = write(value)
        back = json.loads(content)
        assert back == value
        assert write(back) == content


@given(st.dictionaries(st.text(), st.integers(), max_size=8), st.randoms())
def test_the_order_of_keys_does_not_matter(value: dict[str, int], random: Any):
    items = list(value.items())
    random.shuffle(items)
    assert digest(dict(items)) == digest(value)


def test_integers_are_exact_up_to_what_python_reads_back():
    number = 10**4299 + 1
    assert json.loads(canonical({"n": number})) == {"n": number}


def test_characters_beyond_the_basic_plane_are_written_as_they_are():
    assert canonical("🚀é") == '"🚀é"'.encode()


def test_halves_of_a_character_that_meet_become_the_character():
    assert canonical("\ud83d" + "\ude80") == '"🚀"'.encode()


def test_a_lone_half_survives_as_an_escape():
    content = canonical({"text": "cut \ud83d here"})
    assert content == b'{"text":"cut \\ud83d here"}'
    assert json.loads(content) == {"text": "cut \ud83d here"}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_have_are_refused(number: float):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(number)

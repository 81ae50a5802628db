"""A request's parts reach the server to the byte."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from dotai_nb.cluster.request import Request

_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(namespace=_text, name=_text)
def test_each_part_is_one_segment_and_decodes_to_itself(namespace: str, name: str) -> None:
    request = Request(
        verb="get", group="apps", version="v1", resource="pods", namespace=namespace, name=name
    )
    segments = request.path.split("/")
    assert [unquote(part) for part in segments] == [
        "", "apis", "apps", "v1", "namespaces", namespace, "pods", name,
    ]  # fmt: skip
    assert request.path.isascii()
    assert not set(request.path) & set(" ?#'\"\n")


@given(query=st.dictionaries(_text, _text, max_size=3))
def test_a_query_decodes_to_itself_and_ends_with_the_dry_run(query: dict[str, str]) -> None:
    request = Request(verb="patch", version="v1", resource="pods", name="x", query=query)
    sent = urlsplit(request.as_dry_run().url).query
    assert parse_qsl(sent, keep_blank_values=True) == [*query.items(), ("dryRun", "All")]


def test_a_deletes_dry_run_does_not_rest_on_the_query_alone() -> None:
    request = Request(
        verb="delete", version="v1", resource="pods", name="x", body={"preconditions": {}}
    )
    assert request.payload == {"preconditions": {}}
    assert request.as_dry_run().payload == {"preconditions": {}, "dryRun": ["All"]}

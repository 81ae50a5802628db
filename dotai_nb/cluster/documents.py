"""Objects out of YAML text, read as kubectl reads it and never guessed at."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import yaml

from dotai_nb.errors import StepRefused

if TYPE_CHECKING:
    from dotai_nb.session.canonical import JsonObject

LARGEST = 3 * 1024 * 1024
"""Bytes; the API server takes no larger request (`MaxRequestBodyBytes` of its generic server)."""

MOST_VALUES = 200_000
"""Of one document, aliases counted wherever they stand: a few lines can stand for billions."""

DEEPEST = 64

_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """YAML as Go's library reads it for kubectl: no dates, no base 60, no key twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Here, since what `<<` merges in is put among a node's own keys later.
        node = super().compose_mapping_node(anchor)
        keys = [(k.tag, k.value) for k, _ in node.value if isinstance(k, yaml.ScalarNode)]
        if len(set(keys)) != len(keys):
            twice = next(value for tag, value in keys if keys.count((tag, value)) > 1)
            raise yaml.composer.ComposerError(
                None, None, f"the key {twice!r} stands twice in one object", node.start_mark
            )
        return node


_REPLACED = {f"{_TAG}{name}" for name in ("timestamp", "int", "float")}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    f"{_TAG}int",
    re.compile(r"^[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    f"{_TAG}float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def objects(text: str) -> tuple[JsonObject, ...]:
    """The objects in YAML text, of one or several documents; empty documents are left out.

    Raises:
        StepRefused: a document can't be read or is no object; says which, and never quotes it.
    """
    if len(text.encode(errors="replace")) > LARGEST:
        raise StepRefused(
            f"The YAML text is larger than {LARGEST >> 20} MiB, more than any request may be.",
            hint="Plan it in parts.",
        )
    found: list[JsonObject] = []
    number = 0
    documents = yaml.load_all(text, _Loader)
    while True:
        number += 1
        try:
            document = plain(next(documents))
        except StopIteration:
            return tuple(found)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise StepRefused(
                f"Document {number} of the YAML text can't be read: {_why(error)}.",
                hint="Correct it; nothing was sent.",
            ) from None  # the cause quotes the text, which may hold a password
        if document is None:
            continue
        if not isinstance(document, dict):
            raise StepRefused(
                f"Document {number} of the YAML text is no object.",
                hint="Each document is one object with apiVersion, kind and metadata.",
            )
        found.append(document)


def plain(document: Any) -> Any:
    """A copy without shared parts.

    Raises:
        ValueError: it is not JSON, or not of reasonable size; says why.
    """
    left = MOST_VALUES

    def copied(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise ValueError(f"it has more than {MOST_VALUES:,} values")
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        match value:
            case None | bool() | int():
                return value
            case str():
                return _text(value)
            case float() if math.isfinite(value):
                return value
            case list():
                return [copied(item, depth + 1) for item in value]
            case dict():
                return {_key(key): copied(item, depth + 1) for key, item in value.items()}
            case _:
                raise ValueError(f"it holds a {type(value).__name__}, which JSON does not have")

    return copied(document, 0)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError(f"the key {key!r} is not text: quote it")  # noqa: TRY004 - one kind here
    return _text(key)


def _text(text: str) -> str:
    """The text; what JSON escapes as a surrogate pair is one character."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError as error:
        raise ValueError("it holds half a surrogate pair, which is no character") from error


def _why(error: Exception) -> str:
    """What is wrong and where, without the text around it."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if not isinstance(error, yaml.MarkedYAMLError):
        return getattr(error, "reason", "") or str(error)
    mark = error.problem_mark or error.context_mark
    where = f" in line {mark.line + 1}" if mark else ""
    return f"{error.problem or error.context}{where}"

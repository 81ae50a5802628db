from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from dotai_nb import errors
from dotai_nb.errors import ApiError, DotAiError, ModelUnavailable

ALL = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, Exception)]


@pytest.mark.parametrize("cls", ALL, ids=lambda c: c.__name__)
def test_every_error_is_one_of_ours_and_drawn_in_the_tree(cls: type[Exception]) -> None:
    assert issubclass(cls, DotAiError)
    assert cls.__name__ in (errors.__doc__ or "")


def test_an_error_says_what_happened_and_what_to_do() -> None:
    error = DotAiError("The cluster is gone.", hint="Start it.")
    assert str(error) == "The cluster is gone. Start it."
    assert (error.message, error.hint) == ("The cluster is gone.", "Start it.")


@pytest.mark.parametrize(
    "error",
    [
        ApiError("no", code=403, reason="Forbidden", audit_id="a", hint="ask"),
        ModelUnavailable("busy", request_id="req_1", hint="wait"),
    ],
)
def test_an_error_survives_a_process_boundary(error: DotAiError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)

"""pytest plugin: `aimock`, which serves scripts to whoever asks with a provider's real SDK."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.wire.aimock import AimockError, Server, install, serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Aimock(Protocol):
    """Serves these fixtures until the end of the test."""

    def __call__(self, fixtures: Sequence[dict[str, Any]]) -> Server: ...


@pytest.fixture(scope="session")
def aimock_installed() -> None:
    """aimock in `node_modules`; the tests that need it are skipped where it can't be had."""
    try:
        install()
    except AimockError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"aimock can't be had: {error}")


@pytest.fixture
def aimock(aimock_installed: None) -> Iterator[Aimock]:
    """Start servers; each call one more, all stopped after the test."""
    with ExitStack() as running:
        yield lambda fixtures: running.enter_context(serve(fixtures))

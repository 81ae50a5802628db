"""Fixtures of every test: the cluster's, and an environment without the person's own settings."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["tests.cluster.fixtures", "tests.wire.fixtures"]

_ISOLATED = ("AI_", "ANTHROPIC_", "OPENAI_", "QDRANT_", "DOT_AI_", "JPY_SESSION_NAME", "KUBECONFIG")


@pytest.fixture(autouse=True)
def isolated_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, cluster or folder of the person's own is seen by a test."""
    for name in list(os.environ):
        if name.startswith(_ISOLATED):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DOT_AI_SESSION_DIR", str(tmp_path / "dot-ai"))


@pytest.fixture
def unused_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

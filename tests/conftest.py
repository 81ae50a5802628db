"""Fixtures of every test: the cluster's, and an environment without the person's own settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["tests.cluster.fixtures"]

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

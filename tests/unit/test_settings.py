from __future__ import annotations

import pytest

from dotai_nb.errors import SettingsError
from dotai_nb.settings import Settings

CANARY = "sk-canary-7f3a9c"


def test_defaults_hold_without_any_variable() -> None:
    settings = Settings.from_environment()
    assert settings.ai_provider == "anthropic"
    assert settings.capabilities_collection == "capabilities"
    assert settings.qdrant_url == ""
    assert settings.debug is False
    assert settings.read_only is False
    assert settings.allowed_namespaces == frozenset()


def test_a_key_is_in_no_repr_and_no_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "QDRANT_API_KEY"):
        monkeypatch.setenv(name, CANARY)
    settings = Settings.from_environment()
    assert CANARY not in repr(settings)
    assert CANARY not in str(settings.model_dump())
    assert CANARY not in settings.model_dump_json()
    assert settings.anthropic_api_key.get_secret_value() == CANARY


def test_a_wrong_value_is_named_by_its_variable_and_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOT_AI_CLUSTER_TIMEOUT", CANARY)
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment()
    assert "DOT_AI_CLUSTER_TIMEOUT" in str(caught.value)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_allowed_namespaces_are_a_comma_separated_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOT_AI_NAMESPACES", "shop, billing,,")
    assert Settings.from_environment().allowed_namespaces == {"shop", "billing"}

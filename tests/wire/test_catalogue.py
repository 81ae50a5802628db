"""The provider table: which model is asked, where, and with which key."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import SecretStr

from dotai_nb.errors import ModelKeyMissing, SettingsError
from dotai_nb.llm.catalogue import PROVIDERS, endpoint_of, model_for, model_name
from dotai_nb.settings import Settings
from tests.wire.listening import KEY, settings


def test_every_provider_of_the_settings_has_its_row() -> None:
    assert set(PROVIDERS) == set(get_args(Settings.model_fields["ai_provider"].annotation))


def test_the_default_model_is_one_that_the_sdk_knows() -> None:
    from anthropic.types.model import Model

    known, _ = get_args(Model)
    assert PROVIDERS["anthropic"].model in get_args(known)


def test_without_a_key_the_variable_and_the_way_without_one_are_named() -> None:
    with pytest.raises(ModelKeyMissing) as raised:
        model_for(Settings(anthropic_api_key=SecretStr(" \n")))
    assert str(raised.value) == (
        "ANTHROPIC_API_KEY is not set, so Anthropic can't be asked. "
        "Set ANTHROPIC_API_KEY, or run a recording, which needs no key."
    )


def test_a_name_beats_the_setting_and_the_setting_beats_the_default() -> None:
    set_to = settings("http://127.0.0.1:1", ai_model="claude-sonnet-5-5")
    assert model_for(set_to, "claude-haiku-5-5").name == "claude-haiku-5-5"
    assert model_for(set_to).name == "claude-sonnet-5-5"
    assert model_name(Settings()) == PROVIDERS["anthropic"].model


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", "https://api.anthropic.com"),
        ("https://gateway.example/claude/", "https://gateway.example/claude"),
        ("https://me:secret@gateway.example:8443/x?token=secret", "https://gateway.example:8443/x"),
    ],
)
def test_the_endpoint_that_is_shown_has_no_password(url: str, shown: str) -> None:
    assert endpoint_of(settings(url)) == shown
    assert model_for(settings(url)).endpoint == shown


@pytest.mark.parametrize(
    "url",
    [
        "gateway.example",
        "file:///etc/passwd",
        "https:///x",
        "http://me:secret@",
        "http://[::1",
        "http://gateway.example:many",
        "http://gateway.example:99999",
    ],
)
def test_a_url_that_cannot_be_asked_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^ANTHROPIC_BASE_URL is not a URL") as raised:
        model_for(settings(url))
    assert url not in str(raised.value)


@pytest.mark.parametrize("key", ["sk ant", "sk-ant\nX-Evil: 1", "sk-änt"])
def test_a_key_that_cannot_stand_in_a_header_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(SettingsError, match=r"^ANTHROPIC_API_KEY holds") as raised:
        model_for(settings("http://127.0.0.1:1", anthropic_api_key=key))
    assert key not in str(raised.value)


def test_the_newline_of_a_pasted_key_is_dropped() -> None:
    pasted = settings("http://127.0.0.1:1", anthropic_api_key=f"{KEY}\n")
    assert PROVIDERS["anthropic"].key_in(pasted).get_secret_value() == KEY


def test_no_repr_shows_the_key() -> None:
    asked = model_for(settings("http://127.0.0.1:1"))
    assert KEY not in f"{asked!r} {vars(asked)!r}"

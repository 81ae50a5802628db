"""Which providers there are, and what is used of each where nothing else is set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from dotai_nb.errors import ModelKeyMissing, SettingsError
from dotai_nb.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from dotai_nb.llm.conversation import Model

_PRINTABLE: Final = re.compile(r"[!-~]*")


@dataclass(frozen=True, slots=True)
class Provider:
    """One row of the table.

    Attributes:
        title: its name for people.
        model: id of the model that is asked when none is named.
        endpoint: URL that is asked when no other is set.
        key: the field of `Settings` with its key.
        base_url: the field of `Settings` with another URL, such as a gateway's.
        connect: makes the model; imports the provider's SDK no earlier than its first turn.
    """

    title: str
    model: str
    endpoint: str
    key: str
    base_url: str
    connect: Callable[[Settings, str], Model]

    @property
    def key_variable(self) -> str:
        """The environment variable that holds the key."""
        return _variable(self.key)

    @property
    def url_variable(self) -> str:
        """The environment variable that holds another URL."""
        return _variable(self.base_url)

    def key_in(self, settings: Settings) -> SecretStr:
        """The key, without the newline that a file or a paste leaves; empty if unset.

        Raises:
            SettingsError: it can't stand in an HTTP header; its value is not shown.
        """
        secret: SecretStr = getattr(settings, self.key)
        key = SecretStr(secret.get_secret_value().strip())
        if not _PRINTABLE.fullmatch(key.get_secret_value()):
            raise SettingsError(
                f"{self.key_variable} holds a space or a character that no key has.",
                hint="Copy the key again.",
            )
        return key

    def url_in(self, settings: Settings) -> str:
        """The URL that requests go to. It may hold a password: show `endpoint_of` instead.

        Raises:
            SettingsError: it is no URL to send requests to; its value is not shown.
        """
        url = (getattr(settings, self.base_url) or self.endpoint).strip()
        if not _can_be_asked(url):
            raise SettingsError(
                f"{self.url_variable} is not a URL that begins with http:// or https://.",
                hint="Correct it, or unset it to ask the provider itself.",
            )
        return url


def _can_be_asked(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half an IPv6 address, or a port that is no number
        return False


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _variable(field: str) -> str:
    return Settings.model_fields[field].alias or field.upper()


def _anthropic(settings: Settings, name: str) -> Model:
    from dotai_nb.llm.anthropic import AnthropicModel

    return AnthropicModel(settings, name)


PROVIDERS: dict[str, Provider] = {
    "anthropic": Provider(
        title="Anthropic",
        # Where https://platform.claude.com/docs/en/models says to start "for most workloads".
        model="claude-opus-5-5",
        endpoint="https://api.anthropic.com",
        key="anthropic_api_key",
        base_url="anthropic_base_url",
        connect=_anthropic,
    ),
}
"""By the value of `AI_PROVIDER`."""


def provider_of(settings: Settings) -> Provider:
    """The row that the settings choose."""
    return PROVIDERS[settings.ai_provider]


def model_name(settings: Settings, name: str = "") -> str:
    """The model's id: `name`, else `AI_MODEL`, else the provider's default."""
    return name.strip() or settings.ai_model.strip() or provider_of(settings).model


def endpoint_of(settings: Settings) -> str:
    """The URL that is sent data, for people and files: without user, password or query."""
    url = provider_of(settings).url_in(settings)
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, _host(url), parts.path.rstrip("/"), "", ""))


def model_for(settings: Settings, name: str = "") -> Model:
    """The model that the settings choose, by `name` where one is given.

    Raises:
        ModelKeyMissing: names the variable to set.
        SettingsError: the key or the URL can't be used.
    """
    provider = provider_of(settings)
    if not provider.key_in(settings).get_secret_value():
        raise ModelKeyMissing(
            f"{provider.key_variable} is not set, so {provider.title} can't be asked.",
            hint=f"Set {provider.key_variable}, or run a recording, which needs no key.",
        )
    return provider.connect(settings, model_name(settings, name))

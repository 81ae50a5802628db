"""The environment, read once, typed. Every setting and its default is on this page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dotai_nb.errors import SettingsError

DEFAULT_SESSION_DIR = Path("~/.dot-ai/sessions")

_IDENTITY = re.compile(r"system:serviceaccount:[a-z0-9-]+:[a-z0-9.-]+|(?:user|context):\S(?:.*\S)?")


class Settings(BaseSettings):
    """Settings from environment variables; each field's alias is the variable's name.

    Keys are `SecretStr`: no repr, log, file or output shows them.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, case_sensitive=True
    )

    ai_provider: Literal["anthropic"] = Field("anthropic", alias="AI_PROVIDER")
    ai_model: str = Field("", alias="AI_MODEL", description="empty: the provider's default")
    anthropic_api_key: SecretStr = Field(SecretStr(""), alias="ANTHROPIC_API_KEY")
    anthropic_base_url: str = Field("", alias="ANTHROPIC_BASE_URL")
    openai_api_key: SecretStr = Field(SecretStr(""), alias="OPENAI_API_KEY")
    model_timeout: float = Field(
        600, alias="DOT_AI_MODEL_TIMEOUT", gt=0, description="seconds for a turn"
    )
    model_retries: int = Field(4, alias="DOT_AI_MODEL_RETRIES", ge=0, le=10)

    qdrant_url: str = Field("", alias="QDRANT_URL", description="empty: embedded, on disk")
    qdrant_api_key: SecretStr = Field(SecretStr(""), alias="QDRANT_API_KEY")
    capabilities_collection: str = Field("capabilities", alias="QDRANT_CAPABILITIES_COLLECTION")

    kubeconfig: str = Field("", alias="KUBECONFIG", description="a list, as kubectl reads it")
    investigate_as: str = Field(
        "",
        alias="DOT_AI_INVESTIGATE_AS",
        description="system:serviceaccount:NAMESPACE:NAME, user:NAME or context:NAME; empty: "
        "investigations share the identity that executes",
    )
    read_only: bool = Field(False, alias="DOT_AI_READ_ONLY", description="no execution at all")
    namespaces: str = Field(
        "", alias="DOT_AI_NAMESPACES", description="comma-separated; empty: all the identity may"
    )
    cluster_timeout: float = Field(
        30, alias="DOT_AI_CLUSTER_TIMEOUT", gt=0, description="seconds for one request"
    )
    rollout_timeout: float = Field(
        300, alias="DOT_AI_ROLLOUT_TIMEOUT", gt=0, description="seconds for one rollout"
    )
    redact: Literal["standard", "strict"] = Field(
        "standard",
        alias="DOT_AI_REDACT",
        description="strict: no value of an environment variable or a ConfigMap either",
    )
    output_tokens: int = Field(
        4000, alias="DOT_AI_OUTPUT_TOKENS", ge=200, description="budget of one tool answer"
    )
    approval_minutes: float = Field(30, alias="DOT_AI_APPROVAL_MINUTES", gt=0)

    session_dir: str = Field(
        "", alias="DOT_AI_SESSION_DIR", description="empty: beside the notebook, see README"
    )
    prompts_dir: str = Field(
        "", alias="DOT_AI_PROMPTS_DIR", description="own templates; missing ones fall back to ours"
    )
    web_ui_base_url: str = Field(
        "", alias="WEB_UI_BASE_URL", description="of the DevOps AI Toolkit; nothing here uses it"
    )
    debug: bool = Field(False, alias="DEBUG_DOT_AI", description="a line an event on stderr")

    @field_validator("investigate_as")
    @classmethod
    def _names_an_identity(cls, value: str) -> str:
        # A value that is misunderstood must not mean "share the person's credentials".
        if value and not (value.isprintable() and _IDENTITY.fullmatch(value)):
            raise ValueError(
                "write system:serviceaccount:NAMESPACE:NAME, user:NAME or context:NAME"
            )
        return value

    @property
    def allowed_namespaces(self) -> frozenset[str]:
        """The namespaces requests may touch; empty means no restriction of ours."""
        return frozenset(part.strip() for part in self.namespaces.split(",") if part.strip())

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the environment now.

        Raises:
            SettingsError: names the variable and what is wrong with it; never shows its value.
        """
        try:
            return cls()
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}"
                for e in error.errors(include_input=False, include_context=False)
            )
            # The cause is dropped on purpose: pydantic's text would repeat the value.
            raise SettingsError(
                f"A setting can't be used: {problems}.", hint="Correct the variable and try again."
            ) from None

"""What went wrong at the provider, as one of our errors that says what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dotai_nb.errors import ModelError, ModelRejected, ModelStreamCut, ModelUnavailable
from dotai_nb.llm.retrying import Transient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anthropic import APIConnectionError, APIStatusError
    from pydantic import SecretStr

_STATUS_OF: Final = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""An error in mid-stream comes with status 200; its type says which status it would have been.

https://platform.claude.com/docs/en/api/errors
"""

_NEXT: Final = {
    400: "The provider's words say what it refused; a model of another name may take it.",
    401: "Check ANTHROPIC_API_KEY: it is wrong, revoked, or of another endpoint.",
    402: "Check the billing of the key's organisation.",
    403: "The key may not use this model or endpoint: choose another model, or another key.",
    404: "Check the model's name in AI_MODEL, and the URL in ANTHROPIC_BASE_URL.",
    413: "The conversation is too large: ask for less at once, or lower DOT_AI_OUTPUT_TOKENS.",
}
_LATER: Final = "Wait a few minutes, then start again."

_FIRST_ERROR: Final = 400
_FIRST_SERVER_ERROR: Final = 500
_PASSING: Final = (408, 409, 429)

_SPENT: Final = ("enforced_spend_limit_reached", "contract_spend_limit_reached")
"""Codes of a 429 that no waiting cures: the organisation's spend limit."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Makes the errors of one model; keeps its key out of them."""

    model: str
    endpoint: str
    key: SecretStr

    def of_status(self, error: APIStatusError) -> ModelError | Transient:
        """For an answer with an error status, or an error event in mid-stream."""
        headers = error.response.headers
        status = error.status_code
        if status < _FIRST_ERROR:
            status = _STATUS_OF.get(error.type or "", _FIRST_SERVER_ERROR)
        words = self._safe(error.api_message or error.message).rstrip(".")
        message = f"{self.endpoint} answered {status} for {self.model}: {words}."
        request_id = request_id_in(headers)
        if _may_pass(status, error):
            passing = ModelUnavailable(message, request_id=request_id, hint=_LATER)
            return Transient(passing, _retry_after(headers))
        return ModelRejected(message, request_id=request_id, hint=_next(status, error))

    def of_connection(self, error: APIConnectionError) -> Transient:
        """For a request that got no answer."""
        cause = error.__cause__ or error
        words = self._safe(str(cause)) or type(cause).__name__
        return Transient(
            ModelUnavailable(
                f"{self.endpoint} can't be reached: {words.rstrip('.')}.",
                hint="Check the network, the proxy, and the URL in ANTHROPIC_BASE_URL.",
            )
        )

    def of_cut(self, reason: str, request_id: str) -> Transient:
        """For a stream that ended, or stopped making sense, before its turn did."""
        return Transient(
            ModelStreamCut(
                f"The stream of {self.model} was cut: {self._safe(reason).rstrip('.')}.",
                request_id=request_id,
                hint="Start again; if it stays so, look at the proxy or gateway in between.",
            )
        )

    def of_time(self, seconds: float) -> ModelUnavailable:
        """For a turn that took longer than the settings allow."""
        return ModelUnavailable(
            f"{self.model} gave no whole turn within {seconds:g} seconds.",
            hint="Start again, or raise DOT_AI_MODEL_TIMEOUT.",
        )

    def cause(self, error: Exception) -> Exception | None:
        """The error to chain ours to; None when its own words hold the key."""
        said = f"{error!r} {error.__cause__!r}"
        return error if self._safe(said) == said else None

    def _safe(self, words: str) -> str:
        return words.replace(self.key.get_secret_value() or "\0", "**********")


def request_id_in(headers: Mapping[str, str]) -> str:
    """The provider's id of the request; gateways use the second name."""
    return headers.get("request-id") or headers.get("x-request-id") or ""


def _next(status: int, error: APIStatusError) -> str:
    if error.error_code in _SPENT:
        return "The spend limit is reached: raise it, or use another key."
    return _NEXT.get(status, _NEXT[400])


def _may_pass(status: int, error: APIStatusError) -> bool:
    if error.error_code in _SPENT or error.response.headers.get("x-should-retry") == "false":
        return False
    return status in _PASSING or status >= _FIRST_SERVER_ERROR


def _retry_after(headers: Mapping[str, str]) -> float | None:
    # HTTP allows a date too; that is left to our own back-off.
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None

"""Every error this package raises on purpose.

Each says what happened, with which object, and what to do next.

* DotAiError
  x SettingsError         a setting is missing or has a value that can't be used
  x IntentError           the intent is empty or too long; nothing was spent
  + SessionError
    x IllegalEvent        an event that the session's status does not allow
    x SessionCorrupt      a file whose chain, snapshot or bytes do not agree
    x SessionLocked       another process or kernel is running this session
    x SessionNotFound     no such session file
    x NotExecutable       executed, loaded from a file, or without a proposal
  + ApprovalError
    x ApprovalRequired    nobody approved, and nobody is there to ask
    x ApprovalMismatch    the digest is not the one of this plan
    x ApprovalSpent       the approval was used, voided, or has expired
  + ClusterError
    x ConnectionFailed    no kubeconfig, no such context, no route, TLS, timeout
    x CredentialsRejected 401, or a credential helper that failed
    x ImpersonationRefused  the login may not act as DOT_AI_INVESTIGATE_AS
    x RequestRefused      the guard refused a request before it was sent
    x StepRefused         the arguments can't make a step
    x PlanRefused         steps written by hand that the API server's dry run refused
    x ApiError            the API server answered with an error Status
    x WrongCluster        the fingerprint is not the one the session was pinned to
    x OutcomeUnknown      a write was sent and its answer never arrived
  + ModelError
    x ModelKeyMissing     no key, and no recording for this intent
    x ModelRejected       the provider refused the request (key, model name, size)
    x ModelUnavailable    rate limit, overload, or no connection, after retries
    x ModelStreamCut      the stream ended before the turn did
  x RecordingNotFound     no recording of that name or intent
  x RecordingEnded        the recording has no further turn
  x Cancelled             a person stopped it
"""

from __future__ import annotations

from typing import Any


class DotAiError(Exception):
    """The base of all errors here.

    Attributes:
        message: what happened, with which object.
        hint: what to do next; empty when the message says it all.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(cls: type[DotAiError], args: tuple[Any, ...], state: dict[str, Any]) -> DotAiError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class SettingsError(DotAiError):
    """A setting is missing or has a value that can't be used."""


class IntentError(DotAiError):
    """The intent is empty or too long; nothing was spent."""


class SessionError(DotAiError):
    """A session can't do what was asked."""


class IllegalEvent(SessionError):
    """An event that the session's status does not allow."""


class SessionCorrupt(SessionError):
    """A session file whose chain, snapshot or bytes do not agree."""


class SessionLocked(SessionError):
    """Another process or kernel is running this session."""


class SessionNotFound(SessionError):
    """No such session file."""


class NotExecutable(SessionError):
    """The session was executed already, was loaded from a file, or proposes nothing."""


class ApprovalError(DotAiError):
    """An execution has no valid approval."""


class ApprovalRequired(ApprovalError):
    """Nobody approved, and nobody is there to ask."""


class ApprovalMismatch(ApprovalError):
    """The digest given is not the digest of this plan."""


class ApprovalSpent(ApprovalError):
    """The approval was used, was voided, or has expired."""


class ClusterError(DotAiError):
    """The cluster could not be asked, or said no."""


class ConnectionFailed(ClusterError):
    """No kubeconfig, no such context, no route, a TLS failure or a timeout."""


class CredentialsRejected(ClusterError):
    """The API server answered 401, or the credential helper failed."""


class ImpersonationRefused(ClusterError):
    """The person's login may not act as the identity of `DOT_AI_INVESTIGATE_AS`."""


class RequestRefused(ClusterError):
    """The guard refused a request; nothing was sent."""


class StepRefused(ClusterError):
    """The arguments can't make a step that could be reviewed and run; nothing was asked."""


class PlanRefused(ClusterError):
    """Of the steps a person wrote some can't be done; nothing was changed.

    Attributes:
        refusals: a sentence a step, each with its place, the step, and the server's words.
    """

    def __init__(self, message: str, *, refusals: tuple[str, ...], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.refusals = refusals


class ApiError(ClusterError):
    """The API server answered with an error.

    Attributes:
        code: the HTTP status.
        reason: the Status object's `reason`, such as `Forbidden`; may be empty.
        audit_id: the request's Audit-ID.
    """

    def __init__(
        self, message: str, *, code: int, reason: str = "", audit_id: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.reason = reason
        self.audit_id = audit_id


class WrongCluster(ClusterError):
    """The context now leads to another cluster than the one the session was pinned to."""


class OutcomeUnknown(ClusterError):
    """A write was sent and its answer never arrived; it may or may not have happened."""


class ModelError(DotAiError):
    """The model could not be asked, or said no.

    Attributes:
        request_id: the provider's id of the request; empty if it never got one.
    """

    def __init__(self, message: str, *, request_id: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.request_id = request_id


class ModelKeyMissing(ModelError):
    """No key for the provider, and no recording for this intent."""


class ModelRejected(ModelError):
    """The provider refused the request: key, model name, size or content."""


class ModelUnavailable(ModelError):
    """Rate limit, overload or no connection, still so after the retries."""


class ModelStreamCut(ModelError):
    """The provider's stream ended before the turn did."""


class RecordingNotFound(DotAiError):
    """No recording of that name, or for that intent."""


class RecordingEnded(ModelError):
    """The recording has no further turn."""


class Cancelled(DotAiError):
    """A person stopped it, or the kernel was interrupted."""

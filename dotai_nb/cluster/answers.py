"""What came back: an answer, an error in the API server's words, or nothing that can be trusted."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.redaction import redact_text
from dotai_nb.cluster.request import Reply
from dotai_nb.errors import ApiError, ConnectionFailed, CredentialsRejected

if TYPE_CHECKING:
    import aiohttp
    from aiohttp import ClientResponse

    from dotai_nb.cluster.kubeconfig import Access

_WARNING = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')
# A Go-quoted string that is a JSON object, as after `Invalid value: `.
_ECHO = re.compile(r'"\{(?:\\.|[^"\\])*"')
_GATEWAYS = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}


LONGEST = 8_000
"""Characters of an error that are kept; an API server's own are shorter."""


class Unreachable(ConnectionFailed):
    """No connection could be made: nothing was sent."""


class Unanswered(ConnectionFailed):
    """It was sent, or may have been, and no whole answer came."""


class Rejected(CredentialsRejected):
    """The server answered 401."""


class Busy(ApiError):
    """The server answered 429; `wait` is how many seconds it asks for."""

    wait = 1.0


def reply_from(response: ClientResponse, body: bytes, *, audit_id: str, access: Access) -> Reply:
    """What an HTTP response says: a `Reply` for a success.

    Raises:
        Rejected: 401.
        ConnectionFailed: a redirect.
        Busy: 429.
        ApiError: any other error answer.
        Unanswered: a success that no API server answers, such as a login page.
    """
    server = access.cluster.server
    if response.status == HTTPStatus.UNAUTHORIZED:
        raise Rejected(
            f"{server} rejected the credentials of context {access.context!r} (401).",
            hint="Renew them, for example by logging in again with your provider's tool.",
        )
    if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
        raise ConnectionFailed(
            f"{server} answered with a redirect ({response.status}) to "
            f"{response.headers.get('Location', 'nowhere')!r}, which is not followed.",
            hint="Set the cluster's `server` to the API server itself.",
        )
    value = _decoded(response, body)
    if response.status >= HTTPStatus.BAD_REQUEST:
        error = api_error(value, code=response.status, audit_id=audit_id, text=body)
        if isinstance(error, Busy):
            error.wait = _seconds(response.headers.get("Retry-After", ""))
        raise error
    if value is None:
        raise Unanswered(
            f"{server} answered {response.content_type}, which no API server does.",
            hint="A proxy or a login page may be in between; check `server` and the proxy.",
        )
    warnings = _WARNING.findall(", ".join(response.headers.getall("Warning", [])))
    texts = tuple(redact_text(re.sub(r"\\(.)", r"\1", text)) for text in warnings)
    return Reply(code=response.status, body=value, audit_id=audit_id, warnings=texts)


def api_error(status: Any, *, code: int = 0, audit_id: str = "", text: bytes = b"") -> ApiError:
    """An error in the API server's words.

    Args:
        status: a `Status` object, or anything else that was answered.
        code: the HTTP status, where it is known.
        audit_id: of the request.
        text: the answer as it came, for one that is no `Status`.
    """
    said = status if isinstance(status, dict) and status.get("kind") == "Status" else {}
    plain = text.decode(errors="replace").strip() if not said else ""
    code = code or int(said.get("code") or 500)
    kind = Busy if code == HTTPStatus.TOO_MANY_REQUESTS else ApiError
    return kind(
        in_words(str(said.get("message") or plain))[:LONGEST] or f"The API server answered {code}.",
        code=code,
        reason=str(said.get("reason") or ""),
        audit_id=audit_id,
        hint=_HINTS.get(code, ""),
    )


def in_words(message: str) -> str:
    """The server's sentence without secrets, nor the whole object, which some errors repeat.

    It names the wrong field anyway, and the object may be a Secret.
    """
    return redact_text(_ECHO.sub('"«cut»"', message))


_HINTS = {
    403: "The identity lacks this permission; ask for it, or do without.",
    429: "The API server is busy; try again in a while.",
    503: "A part of the API server is away; try again in a while.",
}


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() else Busy.wait


def _decoded(response: ClientResponse, body: bytes) -> Any:
    """JSON parsed, plain text decoded; None for what no API server answers."""
    if response.content_type == "application/json":
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None
    return body.decode(errors="replace") if response.content_type == "text/plain" else None


def failure(error: aiohttp.ClientError, server: str) -> ConnectionFailed:
    """An error of aiohttp as ours, which says whether anything was sent."""
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Unreachable(
            f"The certificate of {server} is not trusted: {error.certificate_error}.",
            hint="Check certificate-authority and tls-server-name in the kubeconfig.",
        )
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Unreachable(
            f"No connection to {server}: {error}.",
            hint="Check that the cluster runs and that its network can be reached from here.",
        )
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Unreachable(
            f"The proxy on the way to {server} answered {error.status}: {error.message}.",
            hint="Check proxy-url in the kubeconfig, or HTTPS_PROXY and NO_PROXY.",
        )
    return Unanswered(f"The answer of {server} broke off: {error}.", hint="Try again.")


def in_doubt(error: ApiError) -> bool:
    """Whether a write may have been applied in spite of this answer.

    A gateway's own error, which is no Status with a reason, and the API server's when its storage
    did not answer in time.
    """
    if error.code in _GATEWAYS:
        return True
    if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR and not error.reason:
        return True
    words = ("etcdserver", "timed out", "timeout", "deadline exceeded")
    storage = any(word in error.message for word in words) and "webhook" not in error.message
    return error.code == HTTPStatus.INTERNAL_SERVER_ERROR and storage

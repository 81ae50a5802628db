"""The one client that sends: each call is one HTTP request, never repeated, never redirected."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.credentials import Credentials
from dotai_nb.cluster.network import proxy_for, tls_context
from dotai_nb.cluster.request import Reply
from dotai_nb.errors import ApiError, ConnectionFailed, CredentialsRejected

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator

    import aiohttp
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from dotai_nb.cluster.kubeconfig import Access
    from dotai_nb.cluster.request import Document, Request
    from dotai_nb.session.canonical import JsonObject

CONNECT_TIMEOUT = 10.0
"""Seconds to reach the server, TLS included; within the request's own timeout."""

_WARNING = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')


class Unreachable(ConnectionFailed):
    """No connection could be made: nothing was sent."""


class Unanswered(ConnectionFailed):
    """It was sent, or may have been, and no whole answer came."""


class Rejected(CredentialsRejected):
    """The server answered 401."""


class Busy(ApiError):
    """The server answered 429; `wait` is how many seconds it asks for."""

    wait = 1.0


class Transport:
    """A pool of connections to one API server.

    aiohttp by itself sends GET, PUT and DELETE again when a kept connection breaks; what a
    middleware raises instead of its own error, it does not know and does not repeat.
    """

    def __init__(self, access: Access, *, user_agent: str) -> None:
        self._access = access
        self._credentials = Credentials(access.user, access.cluster)
        self._proxy = proxy_for(access.cluster) or None
        self._user_agent = user_agent
        self._tls: tuple[tuple[bytes, bytes], ssl.SSLContext] | None = None
        self._pool: aiohttp.ClientSession | None = None
        self._single: aiohttp.ClientSession | None = None

    @property
    def renewable(self) -> bool:
        """Whether a rejected login can be replaced by a new one."""
        return self._credentials.renewable

    async def send(
        self,
        request: Request | Document,
        audit_id: str,
        *,
        timeout: float,  # noqa: ASYNC109 -- of the HTTP exchange, told from a cancellation
        fresh: bool = False,
    ) -> Reply:
        """Send once and read the answer.

        Args:
            request: judged already.
            audit_id: the `Audit-ID` to send.
            timeout: seconds for the whole exchange.
            fresh: on a new connection, so that a kept one that died can't leave it in doubt.

        Raises:
            Unreachable: no connection; nothing was sent.
            Unanswered: sent, and no whole answer came.
            CredentialsRejected: 401, or no login could be had.
            ApiError: any other error answer.
        """
        session = await self._session(fresh=fresh)
        options = await self._options(request, audit_id, timeout)
        import aiohttp

        try:
            async with session.request(request_method(request), **options) as response:
                body = await response.read()
        except aiohttp.ClientError as error:
            raise _failure(error, self._access.cluster.server) from error
        except TimeoutError as error:
            raise Unanswered(
                f"{self._access.cluster.server} did not answer within {timeout:g} s.",
                hint="Try again, or raise DOT_AI_CLUSTER_TIMEOUT.",
            ) from error
        return self._reply(response, body, audit_id)

    async def stream(
        self,
        request: Request,
        audit_id: str,
        *,
        timeout: float,  # noqa: ASYNC109 -- see send
    ) -> AsyncGenerator[JsonObject]:
        """The JSON lines of a watch as they come; ends with the server's end or the timeout.

        Raises:
            ConnectionFailed: no connection, or it broke.
            CredentialsRejected: 401.
            ApiError: any other error answer.
        """
        session = await self._session(fresh=False)
        options = await self._options(request, audit_id, timeout)
        import aiohttp

        try:
            async with session.request(request_method(request), **options) as response:
                if response.status >= 300:
                    self._reply(response, await response.read(), audit_id)
                rest = b""
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        if line.strip():
                            yield json.loads(line)
        except TimeoutError:
            return
        except aiohttp.ClientError as error:
            raise _failure(error, self._access.cluster.server) from error

    async def close(self) -> None:
        """Close the connections; the object can't be used afterwards."""
        for session in (self._pool, self._single):
            if session is not None:
                await session.close()

    async def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        if self._pool is None or self._single is None:
            aiohttp = await asyncio.to_thread(_aiohttp)
            self._pool = self._pool or _opened(aiohttp, keep=True)
            self._single = self._single or _opened(aiohttp, keep=False)
        return self._single if fresh else self._pool

    async def _options(
        self,
        request: Request | Document,
        audit_id: str,
        timeout: float,  # noqa: ASYNC109 -- see send
    ) -> dict[str, Any]:
        import aiohttp
        from yarl import URL

        cluster = self._access.cluster
        login = await self._credentials.login()
        headers = [
            ("Accept", request.accept),
            ("User-Agent", self._user_agent),
            ("Audit-ID", audit_id),
            *self._access.user.impersonate,
        ]
        if login.token:
            headers.append(("Authorization", f"Bearer {login.token}"))
        options: dict[str, Any] = {
            "url": URL(cluster.server + request_url(request), encoded=True),
            "headers": headers,
            "allow_redirects": False,
            "proxy": self._proxy,
            "timeout": aiohttp.ClientTimeout(
                total=timeout, sock_connect=min(timeout, CONNECT_TIMEOUT)
            ),
        }
        if cluster.server.startswith("https:"):
            if self._tls is None or self._tls[0] != (login.certificate, login.key):
                made = await asyncio.to_thread(tls_context, cluster, login)
                self._tls = ((login.certificate, login.key), made)
            options["ssl"] = self._tls[1]
            options["server_hostname"] = cluster.tls_server_name or None
        if (payload := getattr(request, "payload", None)) is not None:
            headers.append(("Content-Type", request_type(request)))
            options["data"] = json.dumps(payload, ensure_ascii=False).encode()
        return options

    def _reply(self, response: ClientResponse, body: bytes, audit_id: str) -> Reply:
        if response.status == 401:
            self._credentials.forget()
            raise Rejected(
                f"{self._access.cluster.server} rejected the credentials of context "
                f"{self._access.context!r} (401).",
                hint="Renew them, for example by logging in again with your provider's tool.",
            )
        if 300 <= response.status < 400:
            raise ConnectionFailed(
                f"{self._access.cluster.server} answered with a redirect ({response.status}) to "
                f"{response.headers.get('Location', 'nowhere')!r}, which is not followed.",
                hint="Set the cluster's `server` to the API server itself.",
            )
        value = _decoded(response, body)
        if response.status >= 400:
            error = api_error(value, code=response.status, audit_id=audit_id, text=body)
            if isinstance(error, Busy):
                error.wait = _seconds(response.headers.get("Retry-After", ""))
            raise error
        if value is None:
            raise Unanswered(
                f"{self._access.cluster.server} answered {response.content_type}, "
                "which no API server does.",
                hint="A proxy or a login page may be in between; check `server` and the proxy.",
            )
        warnings = _WARNING.findall(", ".join(response.headers.getall("Warning", [])))
        texts = tuple(re.sub(r"\\(.)", r"\1", text) for text in warnings)
        return Reply(code=response.status, body=value, audit_id=audit_id, warnings=texts)


def request_method(request: Request | Document) -> str:
    """The HTTP method; a document is only ever read."""
    return getattr(request, "method", "GET")


def request_url(request: Request | Document) -> str:
    """Path and query."""
    return str(getattr(request, "url", "") or request.path)


def request_type(request: Request | Document) -> str:
    """The body's content type."""
    return str(getattr(request, "content_type", "") or "application/json")


def api_error(status: Any, *, code: int = 0, audit_id: str = "", text: bytes = b"") -> ApiError:
    """An error in the API server's words.

    Args:
        status: a `Status` object, or anything else that was answered.
        code: the HTTP status, where it is known.
        audit_id: of the request.
        text: the answer as it came, for one that is no `Status`.
    """
    said = status if isinstance(status, dict) and status.get("kind") == "Status" else {}
    plain = text.decode(errors="replace").strip()[:500] if not said else ""
    code = code or int(said.get("code") or 500)
    kind = Busy if code == 429 else ApiError
    return kind(
        str(said.get("message") or plain or f"The API server answered {code}."),
        code=code,
        reason=str(said.get("reason") or ""),
        audit_id=audit_id,
        hint=_HINTS.get(code, ""),
    )


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
        except ValueError:
            return None
    return body.decode(errors="replace") if response.content_type == "text/plain" else None


def _aiohttp() -> Any:
    """Import it off the event loop: it takes a third of a second the first time."""
    import aiohttp

    return aiohttp


def _opened(aiohttp: Any, *, keep: bool) -> aiohttp.ClientSession:
    session: aiohttp.ClientSession = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=not keep, limit=32),
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(_never_again,),
        trust_env=False,
    )
    return session


async def _never_again(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Turn a broken connection into an error that aiohttp does not answer by sending again."""
    import aiohttp

    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except aiohttp.ClientConnectionError as error:
        raise Unanswered(
            f"{request.url.origin()} closed the connection without an answer: "
            f"{error or type(error).__name__}.",
            hint="Check that the API server is up, then try again.",
        ) from error


def _failure(error: aiohttp.ClientError, server: str) -> ConnectionFailed:
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

"""The one client that sends: each call is one HTTP request, never repeated, never redirected."""

from __future__ import annotations

import asyncio
import importlib
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.answers import Rejected, Unanswered, failure, reply_from
from dotai_nb.cluster.credentials import Credentials
from dotai_nb.cluster.network import proxy_for, tls_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator

    import aiohttp
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from dotai_nb.cluster.identities import Identities
    from dotai_nb.cluster.kubeconfig import Access
    from dotai_nb.cluster.request import Document, Reply, Request
    from dotai_nb.session.canonical import JsonObject

CONNECT_TIMEOUT = 10.0
"""Seconds to reach the server, TLS included; within the request's own timeout."""


class Transport:
    """A pool of connections to one API server.

    aiohttp by itself sends GET, PUT and DELETE again when a kept connection breaks; what a
    middleware raises instead of its own error, it does not know and does not repeat.
    """

    def __init__(
        self, access: Access, *, user_agent: str, credentials: Credentials | None = None
    ) -> None:
        self._access = access
        self._credentials = credentials or Credentials(access.user, access.cluster)
        self._proxy = proxy_for(access.cluster) or None
        self._user_agent = user_agent
        self._tls: tuple[tuple[bytes, bytes], ssl.SSLContext] | None = None
        self._pool: aiohttp.ClientSession | None = None
        self._single: aiohttp.ClientSession | None = None

    def investigating(self, identities: Identities) -> Transport:
        """The one to investigate with: this one where they share one identity.

        Else it has a pool and headers of its own, which nothing that is sent here can carry. An
        impersonation has the same login, which is then made once for both.
        """
        if identities.shared:
            return self
        login = self._credentials if identities.impersonated else None
        return Transport(identities.investigating, user_agent=self._user_agent, credentials=login)

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
            raise failure(error, self._access.cluster.server) from error
        except TimeoutError as error:
            raise Unanswered(
                f"{self._access.cluster.server} did not answer within {timeout:g} s.",
                hint="Try again, or raise DOT_AI_CLUSTER_TIMEOUT.",
            ) from error
        return self._told(response, body, audit_id)

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
                if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                    self._told(response, await response.read(), audit_id)
                rest = b""
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        if line.strip():
                            yield json.loads(line)
        except TimeoutError:
            return
        except aiohttp.ClientError as error:
            raise failure(error, self._access.cluster.server) from error

    async def close(self) -> None:
        """Close the connections; the object can't be used afterwards."""
        for session in (self._pool, self._single):
            if session is not None:
                await session.close()

    async def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        if self._pool is None or self._single is None:
            # Off the event loop: the first import takes a third of a second.
            await asyncio.to_thread(importlib.import_module, "aiohttp")
            self._pool = self._pool or _opened(keep=True)
            self._single = self._single or _opened(keep=False)
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

    def _told(self, response: ClientResponse, body: bytes, audit_id: str) -> Reply:
        try:
            return reply_from(response, body, audit_id=audit_id, access=self._access)
        except Rejected:
            self._credentials.forget()
            raise


def request_method(request: Request | Document) -> str:
    """The HTTP method; a document is only ever read."""
    return getattr(request, "method", "GET")


def request_url(request: Request | Document) -> str:
    """Path and query."""
    return str(getattr(request, "url", "") or request.path)


def request_type(request: Request | Document) -> str:
    """The body's content type."""
    return str(getattr(request, "content_type", "") or "application/json")


def _opened(*, keep: bool) -> aiohttp.ClientSession:
    import aiohttp

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=not keep, limit=32),
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(_never_again,),
        trust_env=False,
    )


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
            f"{str(error) or type(error).__name__}.",
            hint="Check that the API server is up, then try again.",
        ) from error

"""The very requests that ours sends, learnt from it, sent raw on one kept connection."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dotai_nb.cluster.connection import Connection
from dotai_nb.cluster.request import Document, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.shop import Shop
    from dotai_nb.cluster.kubeconfig import Access
    from dotai_nb.settings import Settings

Raw = tuple[str, str, bytes | None, dict[str, str]]
"""Method, URL, body, headers: all made before the clock runs."""


class Learning(Connection):
    """A connection that keeps what it is asked to send; never one that is measured.

    Attributes:
        seen: in the order in which they were asked for.
    """

    def __init__(self, settings: Settings, access: Access) -> None:
        self.seen: list[Request | Document] = []
        super().__init__(settings, access)

    async def investigate(
        self,
        request: Request | Document,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 -- the base class's
    ) -> Reply:
        """As the base class does."""
        self.seen.append(request)
        return await super().investigate(request, timeout=timeout)


class KeepAlive:
    """One connection of `http.client`, as the agent; answers are read and not decoded."""

    def __init__(self, shop: Shop) -> None:
        server = urlsplit(shop.cluster.server)
        assert server.hostname is not None
        trusted = ssl.create_default_context(cafile=shop.cluster.ca_file)
        self._connection = http.client.HTTPSConnection(
            server.hostname, server.port, context=trusted
        )
        self._login = {"Authorization": f"Bearer {shop.agent.token}"}

    def prepare(self, requests: Sequence[Request | Document]) -> list[Raw]:
        """Everything that can be done before sending."""
        return [self._raw(request) for request in requests]

    async def send(self, prepared: Sequence[Raw]) -> None:
        """One after the other; blocks, as nothing else runs beside it.

        Raises:
            AssertionError: the server refused one, so the comparison would not be one.
        """
        for method, url, body, headers in prepared:
            self._connection.request(method, url, body=body, headers=headers)
            response = self._connection.getresponse()
            text = response.read()
            assert response.status < http.client.BAD_REQUEST, (method, url, text)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _raw(self, request: Request | Document) -> Raw:
        headers = {"Accept": request.accept, **self._login}
        if isinstance(request, Document):
            return "GET", request.path, None, headers
        if request.payload is None:
            return request.method, request.url, None, headers
        headers["Content-Type"] = request.content_type or "application/json"
        return request.method, request.url, json.dumps(request.payload).encode(), headers


def told(prepared: Sequence[Raw]) -> str:
    """A peer's name in the table."""
    noun = "request" if len(prepared) == 1 else "requests"
    return f"its {len(prepared)} {noun}, raw"

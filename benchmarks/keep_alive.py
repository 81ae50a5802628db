"""The very requests that ours sends, learnt from it, sent raw on one kept connection."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dotai_nb.cluster.connection import Connection
from dotai_nb.cluster.request import Request
from dotai_nb.cluster.transport import request_method, request_type, request_url
from dotai_nb.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.shop import Shop
    from dotai_nb.cluster.kubeconfig import Access
    from dotai_nb.cluster.request import Document, Reply
    from dotai_nb.settings import Settings

    Seen = tuple[Request | Document, int]

Raw = tuple[str, str, bytes | None, dict[str, str], int]
"""Method, URL, body, headers, all made before the clock runs; and the status ours was answered."""


class Learning(Connection):
    """A connection that keeps what it is asked to send; never one that is measured.

    Attributes:
        seen: requests with the status of their answers, in the order in which these came.
    """

    def __init__(self, settings: Settings, access: Access) -> None:
        self.seen: list[Seen] = []
        super().__init__(settings, access)

    @classmethod
    async def begin(cls, shop: Shop) -> Learning:
        """Open one as the shop's agent; what that sends is seen too."""
        opened = await cls.open(shop.settings)
        assert isinstance(opened, cls)
        return opened

    async def investigate(
        self,
        request: Request | Document,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 -- the base class's
    ) -> Reply:
        """As the base class does."""
        try:
            reply = await super().investigate(request, timeout=timeout)
        except ApiError as error:
            self.seen.append((request, error.code))
            raise
        self.seen.append((request, reply.code))
        return reply


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

    def prepare(self, seen: Sequence[Seen]) -> list[Raw]:
        """Everything that can be done before sending."""
        return [self._raw(request, status) for request, status in seen]

    async def send(self, prepared: Sequence[Raw]) -> None:
        """One after the other; blocks, as nothing else runs beside it.

        Raises:
            AssertionError: one was answered otherwise than ours, so there is nothing to compare.
        """
        for method, url, body, headers, status in prepared:
            self._connection.request(method, url, body=body, headers=headers)
            response = self._connection.getresponse()
            text = response.read()
            assert response.status == status, (method, url, text)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _raw(self, request: Request | Document, status: int) -> Raw:
        headers = {"Accept": request.accept, **self._login}
        body: bytes | None = None
        if isinstance(request, Request) and request.payload is not None:
            headers["Content-Type"] = request_type(request)
            body = json.dumps(request.payload).encode()
        return request_method(request), request_url(request), body, headers, status


def told(prepared: Sequence[Raw]) -> str:
    """A peer's name in the table."""
    noun = "request" if len(prepared) == 1 else "requests"
    return f"its {len(prepared)} {noun}, raw"

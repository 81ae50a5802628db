"""A proxy between us and the real API server, to hold or lose answers as a network does."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

import aiohttp
from aiohttp import web

from tests.cluster.controlplane.kubeconfig import Endpoint, write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.cluster.controlplane.plane import Cluster
    from tests.cluster.fixtures import Agent


class Between:
    """Forwards everything; what becomes of the answers to real writes can be chosen.

    Attributes:
        answers: `given`, `held` until `release` is set, or `lost`: the connection is closed.
        written: set when the API server has answered a write that is no dry run.
        writes: how many such writes came through.
        reads: how many reads were answered.
        disturb: awaited once, before a dry run goes on to the API server.
    """

    def __init__(self) -> None:
        self.answers: Literal["given", "held", "lost"] = "given"
        self.release = asyncio.Event()
        self.written = asyncio.Event()
        self.writes = 0
        self.reads = 0
        self.disturb: Callable[[], Awaitable[None]] | None = None

    async def forward(self, request: web.Request, session: aiohttp.ClientSession) -> web.Response:
        """Pass a request on, and its answer back."""
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _OF_A_CONNECTION}
        body = await request.read()
        if "dryRun" in request.query and self.disturb is not None:
            disturb, self.disturb = self.disturb, None
            await disturb()
        async with session.request(
            request.method, request.raw_path, headers=headers, data=body or None
        ) as answer:
            content = await answer.read()
            status, content_type = answer.status, answer.headers.get("Content-Type", "")
        self.reads += request.method == "GET"
        if request.method not in {"GET", "POST"} and "dryRun" not in request.query:
            self.writes += 1
            self.written.set()
            if self.answers == "lost" and request.transport is not None:
                request.transport.abort()
            if self.answers == "held":
                await self.release.wait()
        return web.Response(status=status, body=content, headers={"Content-Type": content_type})


_OF_A_CONNECTION = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}


@asynccontextmanager
async def between(
    cluster: Cluster, agent: Agent, folder: Path
) -> AsyncIterator[tuple[Between, Path]]:
    """A running proxy, and the agent's kubeconfig that leads through it."""
    assert cluster.ca_file is not None
    proxy = Between()
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(cluster.ca_file)))
    async with aiohttp.ClientSession(cluster.server, connector=connector) as session:

        async def handle(request: web.Request) -> web.Response:
            return await proxy.forward(request, session)

        application = web.Application()
        application.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        kubeconfig = folder / "through-a-proxy.yaml"
        endpoint = Endpoint(f"http://{host}:{port}", None)
        user = {"token": agent.token}
        write_kubeconfig(kubeconfig, "between", endpoint, user, namespace=agent.namespace)
        try:
            yield proxy, kubeconfig
        finally:
            proxy.release.set()
            await runner.cleanup()

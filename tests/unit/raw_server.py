"""A real TCP server that answers HTTP by hand, or reads a request and drops the connection."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dotai_nb.cluster.connection import Connection
from dotai_nb.cluster.identities import Identities
from dotai_nb.cluster.kubeconfig import Access, Cluster, User
from dotai_nb.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

DROP = b""
"""An answer that is none: the connection is closed."""


@dataclass(frozen=True)
class Received:
    """A request as it came in; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class RawServer:
    """What was received, in order, and on how many connections."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    connections: int = 0

    def of(self, method: str, target: str = "") -> list[Received]:
        return [r for r in self.received if r.method == method and r.target.startswith(target)]

    def access(self, user: User | None = None) -> Access:
        return Access("raw", "default", Cluster(server=self.url), user or User())

    def connection(self, settings: Settings | None = None, user: User | None = None) -> Connection:
        access = self.access(user)
        return Connection(settings or Settings(), Identities(access, access))


def answer(
    code: int, body: Any = None, *, media: str = "application/json", **headers: str
) -> bytes:
    """The bytes of an HTTP response; `Retry_After` becomes `Retry-After`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {code} X", f"Content-Type: {media}", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def status(code: int, reason: str, message: str) -> dict[str, Any]:
    """A Kubernetes `Status` of a failure."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


@asynccontextmanager
async def serving(reply: Callable[[Received], bytes]) -> AsyncIterator[RawServer]:
    """Serve until the block ends; `reply` gives the answer's bytes, or `DROP`."""
    server = RawServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            while True:
                request = await _read(reader)
                server.received.append(request)
                said = reply(request)
                if said == DROP:
                    break
                writer.write(said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = head[0].split(" ")
    pairs = (line.split(": ", 1) for line in head[1:] if line)
    headers = {name.lower(): value for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(method, target, headers, body)


def operations(root: str, *names: str) -> dict[str, Any]:
    """An OpenAPI document in which every write on these resources lists `dryRun`."""
    listed = {"parameters": [{"name": "dryRun", "in": "query"}]}
    paths = {}
    for name in names:
        base = f"/{root}/namespaces/{{namespace}}/{name}"
        paths[base] = {"post": listed}
        paths[f"{base}/{{name}}"] = {"put": listed, "patch": listed, "delete": listed}
    return {"paths": paths}

"""Interrupt in a real kernel: the run ends, the cell says so, the session too."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from jupyter_client.manager import AsyncKernelManager

from dotai_nb.session.store import load
from dotai_nb.session.values import Outcome, Status
from tests.wire import provider as wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from jupyter_client.asynchronous import AsyncKernelClient

    from tests.cluster.fixtures import Agent

HELD = wire.Streamed(wire.flat(wire.begun(), wire.text(0, "One moment")), end="held")
WAITING = {
    "awaited": "import dotai_nb\nop = await dotai_nb.operate('x')",
    "blocking": "import dotai_nb\nop = dotai_nb.sync.operate('x')",
    "magic": "%load_ext dotai_nb\nget_ipython().run_cell_magic('operate', '', 'x')",
}


@asynccontextmanager
async def kernel(
    environment: dict[str, str], folder: Path
) -> AsyncIterator[tuple[AsyncKernelManager, AsyncKernelClient]]:
    manager = AsyncKernelManager()
    await manager.start_kernel(env={**os.environ, **environment}, cwd=str(folder))
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        yield manager, client
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


async def asked(served: wire.Provider, *, times: int = 1) -> None:
    async with asyncio.timeout(60):
        while len(served.requests) < times:
            await asyncio.sleep(0.02)


async def reply(client: AsyncKernelClient, sent: str) -> dict[str, object]:
    while True:
        message = await client.get_shell_msg(timeout=60)
        if message["parent_header"]["msg_id"] == sent:
            content: dict[str, object] = message["content"]
            return content


@pytest.mark.parametrize("code", WAITING.values(), ids=WAITING.keys())
async def test_an_interrupted_cell_leaves_no_live_run(
    code: str, agent: Agent, tmp_path: Path
) -> None:
    async with wire.provider(HELD) as served:
        environment = {
            "KUBECONFIG": str(agent.kubeconfig),
            "ANTHROPIC_API_KEY": "test-key",
            "ANTHROPIC_BASE_URL": served.url,
        }
        async with kernel(environment, tmp_path) as (manager, client):
            sent = client.execute(code)
            await asked(served)
            await manager.interrupt_kernel()
            ended = await reply(client, sent)
            assert ended["status"] == "error"
            await asyncio.wait_for(served.hung_up.wait(), 20)
            (path,) = tmp_path.rglob("opr-*.json")
            session = load(path).session
    assert (session.status, session.outcome) == (Status.FAILED, Outcome.CANCELLED)
    assert not list(tmp_path.rglob("*.jsonl"))


async def test_a_cell_run_again_ends_what_it_had_started(agent: Agent, tmp_path: Path) -> None:
    code = "import dotai_nb\nop = await dotai_nb.start('x')\nprint(op.id)"
    async with wire.provider(HELD, HELD) as served:
        environment = {
            "KUBECONFIG": str(agent.kubeconfig),
            "ANTHROPIC_API_KEY": "test-key",
            "ANTHROPIC_BASE_URL": served.url,
            "DOT_AI_SESSION_DIR": str(tmp_path),
        }
        async with kernel(environment, tmp_path) as (_, client):
            for run in range(2):
                message = client.session.msg("execute_request", _request(code))
                # What JupyterLab adds, so that a kernel knows the cell.
                message["metadata"] = {"cellId": "cell-1"}
                client.shell_channel.send(message)
                await reply(client, message["header"]["msg_id"])
                await asked(served, times=run + 1)
            async with asyncio.timeout(20):
                while True:
                    states = [load(p).session for p in tmp_path.rglob("opr-*.json")]
                    if sorted(s.at_rest for s in states) == [False, True]:
                        break
                    await asyncio.sleep(0.05)
    first, second = sorted(states, key=lambda s: s.created_at)
    assert (first.outcome, second.status) == (Outcome.CANCELLED, Status.ANALYZING)


def _request(code: str) -> dict[str, object]:
    return {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }

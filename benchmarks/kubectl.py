"""One get, describe and patch dry run beside the kubectl process and beside the bare requests."""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.keep_alive import KeepAlive, Learning, told
from benchmarks.report import Faster, Row, Within
from benchmarks.shop import NAME
from benchmarks.timing import interleaved
from dotai_nb.cluster import reading, step
from dotai_nb.cluster.connection import Connection
from dotai_nb.cluster.evidence import check
from dotai_nb.cluster.transport import request_url
from dotai_nb.session.values import Accepted
from tests.cluster.controlplane import read_audit_log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from benchmarks.keep_alive import Seen
    from benchmarks.shop import Shop

    Act = Callable[[Connection], Awaitable[object]]

_BESIDE_KUBECTL = 25
_BESIDE_RAW = 300
_BUDGET = 4000

_PATCH: dict[str, Any] = {
    "spec": {
        "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"spec": {"containers": [{"name": NAME, "image": "nginx:1.20"}]}},
    }
}


async def _get(c: Connection) -> None:
    found = await reading.get(c, resource="deployments", budget=_BUDGET)
    assert NAME in found.text


async def _describe(c: Connection) -> None:
    found = await reading.describe(c, resource="deployment", name=NAME, budget=_BUDGET)
    assert NAME in found.text


async def _patch(c: Connection) -> None:
    made = await step.build_patch(
        c,
        number=1,
        call_id="bench",
        resource="deployment",
        name=NAME,
        namespace=c.namespace,
        patch=_PATCH,
        patch_type="strategic",
    )
    assert isinstance(await check(c, made, ()), Accepted)


_ACTS: dict[str, tuple[Act, tuple[str, ...]]] = {
    "get": (_get, ("get", "deployments")),
    "describe": (_describe, ("describe", "deployment", NAME)),
    "patch dry run": (
        _patch,
        ("patch", "deployment", NAME, "--dry-run=server", "-o", "json", "-p", json.dumps(_PATCH)),
    ),
}


async def rows(shop: Shop) -> AsyncIterator[Row]:
    """All on one open connection of ours, and one of `http.client`."""
    raw = KeepAlive(shop)
    c = await Connection.open(shop.settings)
    try:
        for name, (act, arguments) in _ACTS.items():
            requests = raw.prepare(await learnt(act, shop))
            ours = partial(act, c)
            kubectl = partial(_kubectl, shop, arguments)
            fast, process = await interleaved(ours, kubectl, rounds=_BESIDE_KUBECTL)
            yield Row(f"one {name}", fast, "the kubectl process", process, Faster(15))
            bare = partial(raw.send, requests)
            alone, same = await interleaved(ours, bare, rounds=_BESIDE_RAW, warm_up=20)
            yield Row(f"one {name}", alone, told(requests), same, Within(2))
    finally:
        await c.close()
        raw.close()


async def learnt(act: Act, shop: Shop) -> list[Seen]:
    """What an act sends once the connection knows the types; the server's audit log agrees."""
    assert shop.cluster.audit_log is not None
    c = await Learning.begin(shop)
    try:
        await act(c)
        c.seen.clear()
        with c.trail() as audit_ids:
            await act(c)
    finally:
        await c.close()
    records = read_audit_log(shop.cluster.audit_log)
    answered = {r.audit_id: r.uri for r in records if r.audit_id in audit_ids}
    asked = [request_url(request) for request, _ in c.seen]
    assert sorted(answered.values()) == sorted(asked), (answered, asked)
    return c.seen


async def _kubectl(shop: Shop, arguments: tuple[str, ...]) -> None:
    """The process as a person starts it, its discovery cache warm."""
    home = shop.folder / "home"
    environment = {**os.environ, "KUBECONFIG": str(shop.agent.kubeconfig), "HOME": str(home)}
    command = [str(shop.cluster.kubectl), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: ASYNC221 - nothing else runs
    assert NAME in done.stdout

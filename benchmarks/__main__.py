"""`make bench`: everything, one after the other, as one table and in artifacts/bench.json."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks import analysis, append, first_paint, kubectl
from benchmarks.report import Row, machine, save, table
from benchmarks.shop import open_shop

ARTIFACTS = Path(__file__).parents[1] / "artifacts"


def main() -> None:
    """Measure and print; a missed aim is marked, and is no error."""
    before = machine()
    print(before, flush=True)
    ARTIFACTS.mkdir(exist_ok=True)
    # Beside the checkout and not in /tmp, which may be memory, where fsync costs nothing.
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ARTIFACTS) as folder:
        rows = asyncio.run(_measured(Path(folder)))
    print(f"\n{table(rows)}\n\nafterwards: {machine()}")
    save(ARTIFACTS / "bench.json", rows, before=before)


async def _measured(folder: Path) -> list[Row]:
    _say("sessions of 10 to 10,000 events")
    rows = list(append.rows(folder))
    _say("a control plane")
    with open_shop(folder) as shop:
        _say("imports in fresh processes")
        rows = [*first_paint.rows(shop.agent.kubeconfig), *rows]
        _say("kubectl and raw requests")
        rows += [row async for row in kubectl.rows(shop)]
        _say("whole analyses")
        rows += [row async for row in analysis.rows(shop)]
    return rows


def _say(what: str) -> None:
    print(f"  {what} …", file=sys.stderr)


if __name__ == "__main__":
    main()

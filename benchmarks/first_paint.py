"""The package's import, and the way to a panel that can be shown, beside `import ipywidgets`."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.report import Row
from benchmarks.timing import Timing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ROUNDS = 15

_CLOCK = """
import time
begun = time.perf_counter()
{code}
print(time.perf_counter() - begun)
"""
_PACKAGE = "import dotai_nb"
_PANEL = "import dotai_nb; dotai_nb.panel().widget._repr_mimebundle_()"
_WIDGETS = "import ipywidgets"


def rows(kubeconfig: Path) -> Iterator[Row]:
    """Each in processes of its own, which start in turn; the clock runs inside."""
    codes = (_PACKAGE, _PANEL, _WIDGETS)
    seconds: dict[str, list[float]] = {code: [] for code in codes}
    for code in codes:
        _fresh(code, kubeconfig)  # writes bytecode, fills the page cache
    for turn in range(_ROUNDS):
        for code in codes if turn % 2 else reversed(codes):
            seconds[code].append(_fresh(code, kubeconfig))
    package, panel, widgets = (Timing.of(seconds[code]) for code in codes)
    yield Row("import dotai_nb", package, _WIDGETS, widgets)
    yield Row("import and first paint of the panel", panel, _WIDGETS, widgets)


def _fresh(code: str, kubeconfig: Path) -> float:
    command = [sys.executable, "-c", _CLOCK.format(code=code)]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)

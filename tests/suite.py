"""`make test`: every part of the suite, one after the other, with what is missing said plainly.

Parts are invocations of their own: pytest-playwright's loop and pytest-asyncio's don't share one.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable

PARTS: tuple[tuple[str, list[str]], ...] = (
    ("format", ["-m", "ruff", "format", "--check", "--quiet", "."]),
    ("lint", ["-m", "ruff", "check", "--quiet", "."]),
    ("types", ["-m", "mypy"]),
    ("a real Kubernetes", ["-m", "tests.cluster.controlplane", "build"]),
    ("unit, wire and cluster tests", ["-m", "pytest", "-q"]),
    ("a browser", ["-m", "tests.browser.chromium"]),
    ("notebooks without a screen", ["-m", "pytest", "-q", "--nbmake", "notebooks"]),
    ("JupyterLab in Chromium", ["-m", "pytest", "-q", "tests/browser"]),
)


def main() -> int:
    failed = []
    for name, command in PARTS:
        print(f"== {name}", flush=True)
        begun = time.monotonic()
        code = subprocess.run([PYTHON, *command], cwd=ROOT, check=False).returncode
        print(f"   {name}: {'ok' if code == 0 else 'FAILED'}, {time.monotonic() - begun:.0f} s")
        if code:
            failed.append(name)
    print("everything passed" if not failed else f"failed: {'; '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Finds Chromium for the browser tests, or installs it: `python -m tests.browser.chromium`.

It always comes from the system, never from a download of Playwright's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
MISSING: Final = (
    "Chromium is missing, so the browser tests can't run: install it (on Debian: apt install "
    "chromium), or put chromium, chromium-browser or google-chrome on the PATH."
)


def find() -> Path | None:
    """The first of chromium, chromium-browser and google-chrome on the PATH."""
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    return None


def main() -> int:
    """Find or install it; returns the exit status, 1 only where `CI=true` demands one."""
    found = find() or _install()
    if found:
        print(f"Chromium: {found}")
        return 0
    print(MISSING)
    return 1 if os.environ.get("CI") == "true" else 0


def _install() -> Path | None:
    """Chromium from apt-get, as root or through a sudo that asks nothing; None without either."""
    apt_get = _apt_get()
    if not apt_get:
        return None
    print("Chromium is missing: installing Debian's with apt-get.", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
        done = subprocess.run(
            [*apt_get, "--quiet", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}"
            print(f"apt-get {arguments[0]} failed: {last}")
            return None
    return find()


def _apt_get() -> list[str]:
    if not shutil.which("apt-get"):
        return []
    if os.geteuid() == 0:
        return ["apt-get"]
    sudo = ["sudo", "-n", "apt-get"]
    if not shutil.which("sudo"):
        return []
    may = subprocess.run([*sudo, "--version"], capture_output=True, check=False).returncode == 0
    return sudo if may else []


if __name__ == "__main__":
    sys.exit(main())

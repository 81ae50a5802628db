"""Fixtures of the browser tests: JupyterLab, Chromium, the practice application, notebooks.

They use Playwright's own API, which keeps an event loop of its own in this thread; so these tests
are an invocation of their own: `python -m pytest tests/browser`.
"""

from __future__ import annotations

import json
import os
import shutil
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest
from playwright.sync_api import sync_playwright

from tests.browser import chromium, lab
from tests.browser.page import SECONDS, Notebook
from tests.cluster.fixtures import Agent, create_agent
from tests.cluster.practice import create_application, remove_application

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from tests.browser.lab import Lab
    from tests.cluster.admin import Admin
    from tests.cluster.controlplane import Cluster

ROOT: Final = Path(__file__).parents[2]
NOTEBOOK: Final = ROOT / "notebooks" / "01-operate.ipynb"
ARTIFACTS: Final = ROOT / "artifacts" / "browser"
NAMESPACE: Final = "shop"

_FLAGS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
_numbers: Final = count(1)
_FAILED: Final = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Remember a failure, for what is kept of it."""
    report: pytest.TestReport = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium with a fresh profile; without one tests are skipped, with `CI=true` they fail."""
    program = chromium.find()
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail(chromium.MISSING, pytrace=False)
        pytest.skip(chromium.MISSING)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=list(_FLAGS))
        yield running
        running.close()


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for all of them; each test has a folder and kernels of its own."""
    with lab.serve(tmp_path_factory.mktemp("jupyter") / "lab") as running:
        yield running


class OpenNotebook(Protocol):
    """Opens a copy of the operate notebook, with its recordings beside it."""

    def __call__(self, environment: dict[str, str] | None = ..., *, theme: str = ...) -> Notebook:
        """`environment`: what its kernel has beside the system's own."""


@pytest.fixture
def notebook(
    request: pytest.FixtureRequest, browser: Browser, jupyter: Lab
) -> Iterator[OpenNotebook]:
    """Opens notebooks; on failure keeps the page, its console and the server's log."""
    name = request.node.name.removeprefix("test_")
    context = browser.new_context(viewport={"width": 1280, "height": 1400})
    context.set_default_timeout(SECONDS * 1_000)
    opened: list[Notebook] = []

    def start(environment: dict[str, str] | None = None, *, theme: str = "Light") -> Notebook:
        kernel = f"kernel-{next(_numbers)}"
        jupyter.add_kernel(kernel, environment or {})
        jupyter.choose_theme(f"JupyterLab {theme}")
        path = _copy(jupyter.root / kernel, kernel)
        one = Notebook(context.new_page(), jupyter, path, kernel, ARTIFACTS)
        one.page.on("console", lambda message: one.console.append(message.text))
        opened.append(one)
        one.open()
        return one

    yield start
    if request.node.stash.get(_FAILED, False):
        for one in opened:
            one.screenshot(f"failed-{name}")
            (ARTIFACTS / f"failed-{name}.console.log").write_text("\n".join(one.console))
        shutil.copyfile(jupyter.log, ARTIFACTS / f"failed-{name}.jupyter.log")
    context.close()
    jupyter.end_kernels()


def _copy(folder: Path, kernel: str) -> Path:
    """The notebook as it is shipped, but for the name of its kernel."""
    recordings = NOTEBOOK.with_suffix(".recordings")
    shutil.copytree(recordings, folder / recordings.name)
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    content["metadata"]["kernelspec"] |= {"name": kernel, "display_name": kernel}
    path = folder / NOTEBOOK.name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def practice_agent(
    control_plane: Cluster, admin: Admin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Agent]:
    """An identity that may work on the practice application, and on nothing else."""
    create_application(control_plane)
    yield create_agent(control_plane, admin, NAMESPACE, tmp_path_factory.mktemp("agent"))
    remove_application(control_plane)


@pytest.fixture
def agent(practice_agent: Agent, control_plane: Cluster, admin: Admin) -> Agent:
    """The same, with my-api as it was at first."""
    admin.delete("apps/v1", "Deployment", "my-api", NAMESPACE)
    mine = "app.kubernetes.io/name=my-api"
    admin.wait_for(
        "my-api is gone", lambda: not admin.list("v1", "Pod", NAMESPACE, label_selector=mine)
    )
    create_application(control_plane)
    return practice_agent


@pytest.fixture
def image(admin: Admin) -> Callable[[], str]:
    """Returns the image that my-api has now."""

    def read() -> str:
        deployment = admin.get("apps/v1", "Deployment", "my-api", NAMESPACE)
        container: dict[str, str] = deployment["spec"]["template"]["spec"]["containers"][0]
        return container["image"]

    return read

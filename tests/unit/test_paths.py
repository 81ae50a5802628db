from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jupyter_client.manager import start_new_kernel

from dotai_nb.session.paths import (
    new_id,
    notebook_path,
    recordings_directories,
    session_directory,
)
from dotai_nb.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    for variable in ("JPY_SESSION_NAME", "DOT_AI_SESSION_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return Settings.from_environment()


@pytest.fixture
def told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path | str], None]:
    def tell(name: Path | str) -> None:
        monkeypatch.setenv("JPY_SESSION_NAME", str(name))

    return tell


def test_a_new_id_has_its_time_and_eight_hex_digits():
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"opr-\d{13}-[0-9a-f]{8}", each) for each in ids)


def test_the_setting_wins_over_everything(settings: Settings, told, tmp_path: Path):
    told(tmp_path / "nb.ipynb")
    chosen = settings.model_copy(update={"session_dir": str(tmp_path / "mine")})
    for kernel in (True, False):
        found = session_directory(chosen, interactive_kernel=kernel)
        assert found == tmp_path / "mine" / "opr-sessions"


def test_a_home_directory_in_the_setting_is_meant(settings: Settings):
    chosen = settings.model_copy(update={"session_dir": "~/kept"})
    assert session_directory(chosen) == Path.home() / "kept" / "opr-sessions"


def test_plain_python_keeps_sessions_at_home(settings: Settings, told, tmp_path: Path):
    told(tmp_path / "the-notebook-that-started-this-script.ipynb")
    home = Path.home() / ".dot-ai" / "sessions" / "opr-sessions"
    assert session_directory(settings) == home
    assert session_directory(settings, interactive_kernel=False) == home


def test_a_kernel_that_is_not_told_its_notebook_keeps_them_here(settings: Settings, tmp_path: Path):
    assert session_directory(settings, interactive_kernel=True) == tmp_path / "dotai-sessions"


@pytest.mark.parametrize(
    "name", ["{here}/01-operate.ipynb", "01-operate.ipynb", "/srv/elsewhere/01-operate.ipynb"]
)
def test_a_notebook_has_them_beside_it(name: str, settings: Settings, told, tmp_path: Path):
    (tmp_path / "01-operate.ipynb").touch()
    told(name.format(here=tmp_path))
    assert session_directory(settings, interactive_kernel=True) == tmp_path / "01-operate.sessions"
    assert recordings_directories(interactive_kernel=True) == (tmp_path / "01-operate.recordings",)


def test_a_notebook_in_another_folder_has_them_there(settings: Settings, told, tmp_path: Path):
    (tmp_path / "deep").mkdir()
    told(tmp_path / "deep" / "my.nb.v2.ipynb")
    assert notebook_path() == tmp_path / "deep" / "my.nb.v2.ipynb"
    found = session_directory(settings, interactive_kernel=True)
    assert found == tmp_path / "deep" / "my.nb.v2.sessions"


def test_a_name_below_the_servers_root_is_found_from_the_notebooks_folder(
    settings: Settings, told, tmp_path: Path
):
    (tmp_path / "nb.ipynb").touch()
    told("team/notebooks/nb.ipynb")
    assert notebook_path() == tmp_path / "nb.ipynb"


def test_a_name_below_the_working_directory_is_found_there(told, tmp_path: Path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "nb.ipynb").touch()
    told("deep/nb.ipynb")
    assert notebook_path() == tmp_path / "deep" / "nb.ipynb"


def test_a_notebook_may_be_a_text_file(told, tmp_path: Path):
    (tmp_path / "runbook.md").touch()
    told(tmp_path / "runbook.md")
    assert notebook_path() == tmp_path / "runbook.md"


@pytest.mark.parametrize("name", ["Console 1", "/somewhere/Console 1", "x.py"])
def test_a_console_is_no_notebook(name: str, settings: Settings, told, tmp_path: Path):
    told(name)
    assert notebook_path() is None
    assert session_directory(settings, interactive_kernel=True) == tmp_path / "dotai-sessions"


def test_without_a_notebook_every_recordings_folder_here_is_searched(
    settings: Settings, tmp_path: Path
):
    for name in ("b.recordings", "a.recordings", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "c.recordings").touch()
    for kernel in (True, False):
        found = recordings_directories(interactive_kernel=kernel)
        assert found == (tmp_path / "a.recordings", tmp_path / "b.recordings")


def test_a_real_kernel_knows_that_it_is_one(settings: Settings, tmp_path: Path):
    notebook = tmp_path / "real.ipynb"
    environment = {
        **os.environ,
        "JPY_SESSION_NAME": str(notebook),
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    code = (
        "from dotai_nb.session.paths import session_directory\n"
        "from dotai_nb.settings import Settings\n"
        "print(session_directory(Settings.from_environment()))"
    )
    printed: list[str] = []

    def hear(message: dict) -> None:
        if message["header"]["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    manager, client = start_new_kernel(env=environment, cwd=str(tmp_path))
    try:
        reply = client.execute_interactive(code, output_hook=hear, timeout=60)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok"
    assert "".join(printed) == f"{tmp_path / 'real.sessions'}\n"

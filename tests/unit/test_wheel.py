"""The built wheel stands alone: prompts inside, a session replayed from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dotai_nb.session.canonical import readable
from dotai_nb.session.fold import fold
from dotai_nb.session.snapshot import document
from tests.unit import sessions as sample

ROOT = Path(__file__).parents[2]
REPLAY = """
import json, sys, dotai_nb
from dotai_nb.settings import Settings
from dotai_nb.workflow.prompts import Prompts
op = dotai_nb.sync.operate(sys.argv[1], recording="sample")
op.approve()
op.execute()
print(json.dumps({"home": dotai_nb.__file__, "status": op.status, "replayed": op.replayed,
                  "prompts": sorted(Prompts(Settings()).hashes())}))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_the_prompts_the_types_and_no_tests(unpacked: Path) -> None:
    shipped = {p.name for p in (ROOT / "prompts").glob("*.md")}
    assert {p.name for p in (unpacked / "dotai_nb" / "prompts").iterdir()} == shipped
    assert (unpacked / "dotai_nb" / "py.typed").exists()
    assert not (unpacked / "tests").exists()


def test_a_session_is_replayed_from_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    recorded = sample.executed_session()
    session = fold(recorded)
    folder = tmp_path / "book.recordings"
    folder.mkdir()
    (folder / "sample.json").write_bytes(readable(document(session, recorded)))
    done = subprocess.run(
        [sys.executable, "-c", REPLAY, session.intent],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert Path(said["home"]).is_relative_to(unpacked)
    assert said["replayed"] is True
    assert said["status"] == session.status
    assert "operate-system" in said["prompts"]

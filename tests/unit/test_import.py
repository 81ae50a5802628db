from __future__ import annotations

import subprocess
import sys

HEAVY = ("anthropic", "openai", "kubernetes", "pandas", "itables", "qdrant_client", "ipywidgets")


def _loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_heavy() -> None:
    loaded = _loaded_after("import dotai_nb")
    assert loaded.isdisjoint(HEAVY)


def test_the_operation_imports_no_widget_and_no_sdk() -> None:
    loaded = _loaded_after("import dotai_nb; dotai_nb.operate; dotai_nb.sync")
    assert loaded.isdisjoint(HEAVY)


def test_every_public_name_can_be_imported() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "import dotai_nb\nfor name in dotai_nb.__all__: getattr(dotai_nb, name)\n"
                "import dotai_nb.widgets.panel\nassert callable(dotai_nb.panel)"
            ),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

"""Who may import whom: the house's walls, read from the code itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "dotai_nb"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Higher may import lower, never the other way round, and never its own level's neighbour.
LEVELS = {
    "errors": 0,
    "settings": 1,
    "session": 2,
    "steps": 3,
    "cluster": 3,
    "llm": 3,
    "knowledge": 4,
    "workflow": 5,
    "views": 5,
    "portal": 1,
    "cell": 1,
    "tracing": 3,
    "engine": 2,
    "surroundings": 6,
    "asking": 6,
    "progress": 6,
    "facts": 7,
    "operation": 8,
    "planning": 9,
    "sync": 10,
    "magics": 11,
    "widgets": 11,
    "": 12,
}
OWNERS = {
    "ipywidgets": "widgets",
    "anthropic": "llm",
    "openai": "llm",
    "kubernetes": "cluster",
    "aiohttp": "cluster",
    "qdrant_client": "knowledge",
}


def _part(path: Path) -> str:
    relative = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if relative == ("__init__",) else relative[0]


def _imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _without_type_checking(tree: ast.Module) -> ast.Module:
    class Strip(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                return None
            return self.generic_visit(node)

    return ast.fix_missing_locations(Strip().visit(tree))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_what_lies_below_it(path: Path) -> None:
    part = _part(path)
    tree = _without_type_checking(ast.parse(path.read_text()))
    for name in _imports(tree):
        if not name.startswith("dotai_nb."):
            continue
        other = name.split(".")[1]
        if other == part or other not in LEVELS:
            continue
        assert LEVELS[other] < LEVELS[part], f"{part} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_library_is_known_in_one_place_only(path: Path) -> None:
    part = _part(path)
    for name in _imports(ast.parse(path.read_text())):
        owner = OWNERS.get(name.split(".")[0])
        assert owner in (None, part), f"{part} imports {name}, which belongs to {owner}"


def test_every_part_of_the_package_has_its_level() -> None:
    assert {_part(path) for path in MODULES} <= LEVELS.keys()

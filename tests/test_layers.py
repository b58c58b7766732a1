"""Imports point one way. The order of layers is in pyproject.toml."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

LAYERS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["promptlib"]["layers"]
FILES = [*sorted((CHECKOUT / "promptlib").rglob("*.py")), *sorted((CHECKOUT / "cli").glob("*.py"))]


def layer_of(path: Path) -> str | None:
    parts = path.relative_to(CHECKOUT).with_suffix("").parts
    return "cli" if parts[0] == "cli" else None if parts[1] == "__init__" else parts[1]


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module imported anywhere, inside functions too, but for type checkers' sake alone."""
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            if node.module == "promptlib":
                yield from (f"promptlib.{name.name}" for name in node.names)


def wrong_imports(path: Path, source: str) -> list[str]:
    mine = layer_of(path)
    if mine is None:
        return []
    wrong = []
    for module in imported(ast.parse(source)):
        package, _, rest = module.partition(".")
        if package == "cli" and mine != "cli":
            wrong.append(module)
        if package == "promptlib" and mine != "cli":
            target = rest.partition(".")[0]
            if target not in LAYERS or LAYERS.index(target) > LAYERS.index(mine):
                wrong.append(module)
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_imports_point_one_way(path: Path) -> None:
    assert wrong_imports(path, path.read_text()) == []


def test_every_module_has_a_layer() -> None:
    assert {layer for path in FILES if (layer := layer_of(path))} == set(LAYERS)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("promptlib/errors.py", "def f():\n    from promptlib.project import Project"),
        ("promptlib/store/store.py", "import promptlib.index.vector"),
        ("promptlib/prompt.py", "from promptlib import open"),
        ("promptlib/project.py", "import cli.main"),
    ],
)
def test_a_wrong_import_is_seen(file: str, source: str) -> None:
    assert wrong_imports(CHECKOUT / file, source)

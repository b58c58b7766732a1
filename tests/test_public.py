"""The one door: what `import promptlib` gives, and what it doesn't load."""

import subprocess
import sys

import pytest

import promptlib
from promptlib import errors
from tests.conftest import CHECKOUT

HEAVY = (
    "torch", "transformers", "sentence_transformers", "faiss", "onnxruntime", "sklearn", "pandas",
    "sqlalchemy", "numpy", "jinja2", "pydantic", "tiktoken", "rich",
)  # fmt: skip


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_all_names_are_there_and_sorted() -> None:
    assert promptlib.__all__ == sorted(promptlib.__all__)
    for name in promptlib.__all__:
        assert getattr(promptlib, name) is not None
    assert dir(promptlib) == promptlib.__all__


def test_the_whole_error_tree_is_public() -> None:
    tree = {name for name in vars(errors) if name.endswith("Error")}
    assert tree <= {*promptlib.__all__}
    assert all(issubclass(getattr(errors, name), errors.PromptlibError) for name in tree)
    drawn = {name for name in tree if name in (errors.__doc__ or "")}
    assert drawn == tree


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        _ = promptlib.opne


def test_import_is_light() -> None:
    loaded = python("import sys, promptlib; print(*sys.modules)").split()
    assert {module.partition(".")[0] for module in loaded}.isdisjoint(HEAVY)


def test_import_stays_under_50_ms() -> None:
    code = "import time; t = time.perf_counter(); import promptlib; print(time.perf_counter() - t)"
    assert min(float(python(code)) for _ in range(5)) < 0.050


def test_the_command_starts_without_the_heavy_parts() -> None:
    code = "import sys, cli.main as m; m.cli(['template', '--help'], standalone_mode=False)"
    loaded = python(f"{code}; print(*sys.modules)").split()
    heavy = {*HEAVY} - {"rich"}
    assert {module.partition(".")[0] for module in loaded}.isdisjoint(heavy)

"""What a wheel must hold."""

import tomllib

from tests.conftest import CHECKOUT

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


def test_every_package_is_listed() -> None:
    folders = {
        ".".join(path.parent.relative_to(CHECKOUT).parts)
        for path in (CHECKOUT / "promptlib").rglob("__init__.py")
    }
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    mapped = set(PROJECT["tool"]["setuptools"]["package-dir"])
    assert folders == listed - mapped


def test_every_dependency_is_pinned_and_used() -> None:
    pins = (CHECKOUT / "constraints.txt").read_text().lower().replace("_", "-")
    files = [*(CHECKOUT / "promptlib").rglob("*.py"), *(CHECKOUT / "cli").glob("*.py")]
    sources = "".join(path.read_text() for path in files)
    modules = {"faiss-cpu": "faiss", "pyyaml": "yaml", "scikit-learn": "sklearn"}
    for requirement in PROJECT["project"]["dependencies"]:
        name = requirement.partition(">=")[0]
        assert f"\n{name}==" in pins, name
        module = modules.get(name, name.replace("-", "_"))
        used = f"import {module}" in sources or f"from {module}" in sources
        assert used or name == "onnx", name  # which torch's exporter imports by itself
    assert "\ntorch==2.13.0" in pins


def test_the_package_says_that_it_is_typed() -> None:
    assert (CHECKOUT / "promptlib" / "py.typed").is_file()

"""What the documents promise: their snippets run, their links lead somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from promptlib.project import Project
from tests.conftest import CHECKOUT

README = (CHECKOUT / "README.md").read_text()
DOCUMENTS = [CHECKOUT / "README.md", CHECKOUT / "CHANGELOG.md", CHECKOUT / "benchmarks/README.md"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_first_screen_has_what_and_how() -> None:
    first = README.splitlines()[:25]
    assert "$ make demo" in first and "import promptlib" in first


@pytest.mark.parametrize("code", blocks("python"))
def test_python_snippets_run(code: str, real_root: Path, real_project: Project) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=real_root, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "lost_or_stolen_card" in done.stdout and "tokens of 580" in done.stdout


COMMANDS = [
    line.removeprefix("$ ").partition("  #")[0]
    for block in blocks("console")
    for line in block.splitlines()
    if "promptlib " in line and not line.startswith(("$ pip", "$ promptlib init"))
]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_run(line: str, real_root: Path, real_project: Project) -> None:
    shim = real_root / "bin" / "promptlib"
    if not shim.exists():
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli "$@"\n')
        shim.chmod(0o755)
        (real_root / "README.md").write_text("x")
        (real_root / "tickets.jsonl").write_text(blocks("json")[0])
    path = f"{shim.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        line, shell=True, cwd=real_root, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "PATH": path}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_template_shown_is_the_starter() -> None:
    assert (CHECKOUT / "templates/banking/intent.j2").read_text() in blocks("jinja")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target

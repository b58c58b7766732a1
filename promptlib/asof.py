"""A project as one of its stores stood after an earlier revision."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promptlib.project import Project
from promptlib.store.database import Database
from promptlib.store.rewinding import rewind


@contextmanager
def project_at(project: Project, store: str, revision: int) -> Iterator[Project]:
    """Open a copy of a project in which a store stands as it did after a revision.

    Prompts built there have the manifest they would have had then. The copy is gone with the
    context; what is written to it is lost. Raises StoreError for a revision that never was.
    """
    project.store(store)  # a starter is imported, or it is said that there is none
    with tempfile.TemporaryDirectory(prefix="promptlib-") as folder:
        project.database.copy_to(Path(folder) / "then.db")
        database = Database("sqlite:///then.db", root=folder)
        with database.write() as connection:
            then = project.store(store).state(connection)
            rewind(connection, then, revision)
        past = Project(
            project.root, project.config, embedder=project.embedder, database=database,
            index_folder=Path(folder) / "index", progress=project.progress, usage=False,
        )  # fmt: skip
        with past:
            yield past

"""Destroy rows of a project's store wherever it keeps them: database, its log, and index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promptlib.project import Project
from promptlib.store.purging import Purged, purge_examples


@dataclass(frozen=True)
class Purge:
    """What was destroyed, and which files of the project still have it."""

    done: Purged
    files: Sequence[Path]
    """Starter files with these rows, which importing would bring back: they are the user's."""


def purge(
    project: Project, store: str, ids: Sequence[str], *, by: str | None = None, note: str = ""
) -> Purge:
    """Destroy rows of a store, whatever state they are in; that it happened is logged.

    The database is written anew and the store's index made anew: no file of theirs has a trace of
    the rows. Raises ExampleNotFoundError for rows that never were, and StoreError while another
    process reads the database's log, which then still has them.
    """
    done = purge_examples(project.store(store), ids, by=by, note=note)
    project.drop_index(store)
    project.registry.forget()
    project.database.rewrite()
    return Purge(done, _files(project, store, done.ids))


def _files(project: Project, store: str, ids: Sequence[str]) -> list[Path]:
    """Find the starter file, if it has one of the rows."""
    from promptlib.files.reading import read_examples

    starter = project.starter(store)
    if starter is None:
        return []
    wanted = set(ids)
    return [starter.file] if any(e.id in wanted for e in read_examples(starter.file)) else []

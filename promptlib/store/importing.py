"""Merge the examples of a file into a store: all of them become visible at once, or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select, update

from promptlib.embedding.embedder import Progress
from promptlib.store.files import ExamplesFile
from promptlib.store.merge import Merge, merge
from promptlib.store.reports import StoreState
from promptlib.store.rows import COLUMNS, read_row, rows_by_id, write_rows
from promptlib.store.settings import StoreSettings, check_name, guess_label_field
from promptlib.store.tables import examples, stores

if TYPE_CHECKING:
    from promptlib.store.store import ExampleStore


@dataclass(frozen=True)
class ImportReport:
    """What an import did."""

    merge: Merge
    repeats: int
    """Rows that repeat another row of the file exactly; they are kept."""
    problems: tuple[tuple[int, str], ...]
    """(line, reason) of the lines left out."""
    drafts: int
    gone: int
    """Rows that a file once brought and this one doesn't have; they stay."""
    embedded: int
    """Texts that had no vector yet."""
    label_guess: str | None
    """The field decided on as the label by this import, if it decided."""
    revision: int


def import_examples(
    store: ExampleStore,
    file: ExamplesFile,
    *,
    settings: StoreSettings | None = None,
    restore: bool = False,
    seed: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    by: str | None = None,
    reason: str = "import",
) -> ImportReport:
    """Merge examples that were read from a file; `seed` describes it when it is the starter.

    Vectors are committed first, in short batches that a later run can use again; the rows and
    their log follow in one transaction, and so does the store, with `settings`, if it is new.
    """
    check_name(store.name)
    absent = StoreState.absent(settings or StoreSettings())
    with store.database.read() as connection:
        before = store.find_state(connection) or absent
        planned = _plan(connection, before, file, restore)
        gone = _gone(connection, before.key, file)
    to_embed = {after.id for _, after in planned.changes}
    embedded = store.embed(
        (e for e in file.examples if e.id in to_embed), _in_rows(progress, len(to_embed))
    )
    decided = _decided(before.settings, file)
    values: dict[str, Any] = {}
    if decided != before.settings:
        values["settings"] = decided.to_dict()
    if seed is not None and seed != before.seed:
        values["seed"] = dict(seed)
    revision = before.revision
    if planned.changes or values:
        with store.database.write() as connection:
            now = store.find_state(connection) or store.create_in(connection, absent.settings)
            revision = now.revision
            if now.revision != before.revision:  # someone wrote meanwhile
                planned = _plan(connection, now, file, restore)
                if now.settings.label is not None:
                    values.pop("settings", None)
            if planned.changes:
                revision = write_rows(
                    connection, now.key, planned.changes, reason=reason, by=by, values=values
                )
            elif values:
                connection.execute(update(stores).where(stores.c.key == now.key).values(**values))
    drafts = sum(example.status == "draft" for example in file.examples)
    guess = decided.label if "settings" in values else None
    return ImportReport(
        planned, file.repeats, file.problems, drafts, gone, embedded, guess, revision
    )


def _in_rows(progress: Progress | None, rows: int) -> Progress | None:
    """Report texts embedded as rows done: a text that several rows share is embedded once."""
    if progress is None:
        return None
    return lambda done, total: progress(rows * done // total, rows)


def _decided(settings: StoreSettings, file: ExamplesFile) -> StoreSettings:
    """Say where labels are, if that is still open: the first import decides."""
    if settings.label is not None:
        return settings
    return replace(settings, label=guess_label_field(file.examples))


def _plan(connection: Connection, state: StoreState, file: ExamplesFile, restore: bool) -> Merge:
    settings = _decided(state.settings, file)
    existing = rows_by_id(connection, state.key, (e.id for e in file.examples))
    planned = merge(file.examples, existing, settings, restore=restore)
    if settings == state.settings or state.revision == 0:
        return planned
    # Rows from before the decision get their labels with it.
    planned_ids = {after.id for _, after in planned.changes}
    query = select(*COLUMNS).where(examples.c.store == state.key)
    older = (read_row(row) for row in connection.execute(query) if row.id not in planned_ids)
    relabelled = [(row, replace(row, label=settings.label_of(row.example))) for row in older]
    changed = [(row, after) for row, after in relabelled if row != after]
    return replace(planned, changes=(*planned.changes, *changed))


def _gone(connection: Connection, store: int, file: ExamplesFile) -> int:
    """Count live rows that came from a file and that this one doesn't have."""
    ids = {example.id for example in file.examples}
    query = select(examples.c.id).where(
        examples.c.store == store, ~examples.c.deleted, examples.c.source_hash.is_not(None)
    )
    return sum(id not in ids for id in connection.scalars(query))

"""A store of labelled examples: the truth that indexes are replicas of."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Unpack

from sqlalchemy import Connection, insert

from promptlib.embedding.embedder import Coverage, Embedder, Progress
from promptlib.errors import StoreError
from promptlib.example import Example, Recipe, retrieval_text
from promptlib.store.author import author
from promptlib.store.database import Database, batched
from promptlib.store.planning import Edit, Plan, Planned, plan_edits
from promptlib.store.reader import StoreReader
from promptlib.store.reports import StoreState
from promptlib.store.rows import RevisionWriter, now, row_of, rows_by_id
from promptlib.store.settings import StoreSettings, check_name
from promptlib.store.tables import revisions, stores
from promptlib.store.undoing import newest_undoable, plan_undo
from promptlib.store.vectors import ROWS, embed_missing
from promptlib.text import text_hash

if TYPE_CHECKING:
    from promptlib.store.importing import ImportReport
    from promptlib.store.intake import ImportOptions


class ExampleStore(StoreReader):
    """Examples under a name in a database.

    Every write is one transaction, one revision and an entry in the change log, and is done only
    when the vectors of its rows are stored too. Nothing is ever overwritten without a trace.
    """

    @classmethod
    def create(
        cls,
        database: Database,
        name: str,
        embedder: Embedder,
        settings: StoreSettings | None = None,
    ) -> ExampleStore:
        """Create an empty store; raises StoreError if the name is taken or can't be one."""
        store = cls(database, name, embedder)
        with database.write() as connection:
            if store.find_state(connection) is not None:
                raise StoreError(f"there is a store {name!r} already")
            store.create_in(connection, settings or StoreSettings())
        return store

    def create_in(self, connection: Connection, settings: StoreSettings) -> StoreState:
        """Create the store as part of a write transaction."""
        check_name(self.name)
        fresh = {"uid": secrets.token_hex(8), "revision": 0, "token": secrets.token_hex(8)}
        row = insert(stores).values(name=self.name, settings=settings.to_dict(), **fresh)
        key = connection.execute(row.returning(stores.c.key)).scalar_one()
        first = {"number": 0, "token": fresh["token"], "at": now(), "by": author()}
        connection.execute(insert(revisions).values(store=key, reason="create", note="", **first))
        return self.state(connection)

    def add(self, *new: Example, by: str | None = None, note: str = "") -> int:
        """Add examples; returns the revision. Raises StoreError if an id is taken."""
        if len({example.id for example in new}) < len(new):
            raise StoreError("two of the examples have one id: give each its own")

        def plan(connection: Connection, state: StoreState) -> Planned:
            taken = rows_by_id(connection, state.key, (e.id for e in new))
            if live := [id for id, row in taken.items() if not row.deleted]:
                raise StoreError(
                    f"store {self.name!r} has {', '.join(sorted(live))} already; "
                    "edit it, or give the new example another id"
                )
            return Planned([(taken.get(e.id), row_of(e, state.settings)) for e in new])

        return self.write(plan, reason="add", by=by, note=note)

    def update(self, *edited: Example, by: str | None = None, note: str = "") -> int:
        """Replace the examples that have these ids, whatever they were; returns the revision."""

        def plan(connection: Connection, state: StoreState) -> Planned:
            rows = [self._row(connection, state.key, example.id) for example in edited]
            pairs = [
                (row, row_of(example, state.settings, source_hash=row.source_hash))
                for row, example in zip(rows, edited, strict=True)
            ]
            return Planned([(before, after) for before, after in pairs if before != after])

        return self.write(plan, reason="edit", by=by, note=note)

    def delete(self, *ids: str, by: str | None = None, note: str = "") -> int:
        """Take examples out of use; the log keeps them. Returns the revision."""

        def plan(connection: Connection, state: StoreState) -> Planned:
            found = [self._row(connection, state.key, id) for id in dict.fromkeys(ids)]
            return Planned([(row, replace(row, deleted=True)) for row in found])

        return self.write(plan, reason="delete", by=by, note=note)

    def edit(
        self, edits: Sequence[Edit], *, reason: str = "edit", by: str | None = None,
        note: str = "", force: bool = False, log_all: bool = False,
    ) -> int:  # fmt: skip
        """Change or take out rows, all of them or none, as one revision; returns its number.

        Raises ConflictError, which names them, for rows that aren't any more as they were seen;
        with `force` what they are now is written over. With `log_all`, rows that stay as they are
        get an entry in the log too.
        """
        return self.write(
            lambda connection, state: plan_edits(
                connection, state, edits, force=force, log_all=log_all
            ),
            reason=reason, by=by, note=note,
        )  # fmt: skip

    def undo(self, revision: int | None = None, *, by: str | None = None, note: str = "") -> int:
        """Take a revision back, the last one by default, as a new one; returns its number.

        An undo can be undone. Raises ConflictError, with the list, when rows of it have been
        changed since, and StoreError for what can't be taken back.
        """
        with self.database.read() as connection:
            state = self.state(connection)
            number = newest_undoable(connection, state) if revision is None else revision
        return self.write(
            lambda connection, state: plan_undo(connection, state, number),
            reason=f"undo {number}", by=by, note=note,
        )  # fmt: skip

    def import_file(
        self, path: Path | str | BinaryIO, **options: Unpack[ImportOptions]
    ) -> ImportReport:
        """Merge a file by the rule of `merge`: all of it becomes visible at once, or none.

        Raises BadExamplesError when rows are bad, unless `skip_bad`.
        """
        from promptlib.store.intake import import_file

        return import_file(self, path, options)

    def write(self, plan: Plan, *, reason: str, by: str | None = None, note: str = "") -> int:
        """Do what is planned, as one revision; returns its number, the present one for nothing.

        Vectors are stored before the transaction begins, so that no other writer waits for them.
        """
        with self.database.read() as connection:
            planned = plan(connection, self.state(connection))
        self.embed(after.example for _, after in planned.changes if not after.deleted)
        with self.database.write() as connection:
            state = self.state(connection)
            planned = plan(connection, state)
            writer = RevisionWriter(connection, state.key, reason=reason, by=by, note=note)
            writer.put(planned.changes)
            if planned.settings is not None and planned.settings != state.settings:
                writer.set_settings(state.settings, planned.settings)
            return writer.revision or state.revision

    def embed(
        self,
        new: Iterable[Example],
        recipe: Recipe | None = None,
        progress: Progress | None = None,
        total: int = 0,
    ) -> Coverage:
        """Store the vectors that retrieval needs of these examples; returns what was embedded.

        It goes a part at a time, and holds texts alone. Progress is told in examples, of `total`.
        """
        recipe = recipe if recipe is not None else self.settings.embed
        texts = (retrieval_text(e.input, recipe) if e.status == "approved" else None for e in new)
        coverage, done = Coverage(), 0
        for part in batched(texts, ROWS):
            by_hash = {text_hash(text): text for text in part if text is not None}
            step = _in_rows(progress, done, len(part), total)
            coverage += embed_missing(self.database, self.embedder, by_hash, step)
            done += len(part)
        if progress is not None and coverage.texts:
            progress(total, total)
        return coverage

    def embed_missing(self, progress: Progress | None = None, recipe: Recipe | None = None) -> int:
        """Embed the rows that have no vector for this store's embedder; returns how many texts."""
        rows = chain.from_iterable(self.approved())
        total = 0 if progress is None else self.stats().volume.rows
        return self.embed(rows, recipe, progress, total).texts


def _in_rows(progress: Progress | None, before: int, rows: int, total: int) -> Progress | None:
    """Report texts embedded as rows: a text that several share is embedded once.

    The last row is left to who knows that all is done.
    """
    if progress is None:
        return None
    return lambda done, texts: progress(min(before + rows * done // texts, total - 1), total)

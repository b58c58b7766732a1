"""A store of labelled examples: the truth that indexes are replicas of."""

from __future__ import annotations

import builtins
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Unpack

from sqlalchemy import Connection, bindparam, func, insert, select

from promptlib.embedding.embedder import Coverage, Embedder, Progress
from promptlib.errors import ExampleNotFoundError, StoreError, StoreNotFoundError, did_you_mean
from promptlib.example import Example, Recipe, Status, retrieval_text
from promptlib.filtering import Matcher, Where
from promptlib.store.database import Database
from promptlib.store.importing import ImportReport
from promptlib.store.intake import ImportOptions, import_file
from promptlib.store.lookups import examples_by_keys, read_position
from promptlib.store.reports import LoggedChange, StoreState, StoreStats, read_log, read_stats
from promptlib.store.rows import (
    COLUMNS,
    Change,
    RevisionWriter,
    StoredRow,
    author,
    now,
    read_page,
    read_row,
    row_of,
    rows_by_id,
)
from promptlib.store.settings import StoreSettings, check_name
from promptlib.store.tables import examples, revisions, stores
from promptlib.store.vectors import embed_missing
from promptlib.text import text_hash

Plan = Callable[[Connection, StoreState], list[Change]]
"""Decides inside the write transaction which rows to change."""


class ExampleStore:
    """Examples under a name in a database.

    Every write is one transaction, one revision and an entry in the change log, and is done only
    when the vectors of its rows are stored too. Nothing is ever overwritten without a trace.
    """

    def __init__(self, database: Database, name: str, embedder: Embedder) -> None:
        self.database = database
        self.name = name
        self.embedder = embedder

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
        connection.execute(insert(revisions).values(store=key, reason="create", **first))
        return self.state(connection)

    @staticmethod
    def names(database: Database) -> list[str]:
        """List the stores of a database."""
        with database.read() as connection:
            return list(connection.scalars(select(stores.c.name).order_by(stores.c.name)))

    # -- reading ---------------------------------------------------------------------------------

    def state(self, connection: Connection | None = None) -> StoreState:
        """Read where the store stands; raises StoreNotFoundError."""
        if connection is None:
            with self.database.read() as connection:
                return self.state(connection)
        state = self.find_state(connection)
        if state is None:
            known = connection.scalars(select(stores.c.name))
            raise StoreNotFoundError(f"no store {self.name!r}; {did_you_mean(self.name, known)}")
        return state

    def find_state(self, connection: Connection) -> StoreState | None:
        """Read where the store stands; None if there is no store of this name."""
        row = connection.execute(_STATE, {"store_name": self.name}).first()
        if row is None:
            return None
        key, uid, revision, token, settings, seed = row
        return StoreState(key, uid, revision, token, StoreSettings.from_dict(settings), seed)

    def position(self, connection: Connection) -> tuple[int, str, int, str]:
        """Read the store's key, uid, revision and token: the little that every prompt asks for."""
        found = read_position(connection, self.name)
        if found is None:
            raise StoreNotFoundError(f"store {self.name!r} isn't there any more")
        return found

    @property
    def revision(self) -> int:
        """The number of writes so far."""
        return self.state().revision

    @property
    def settings(self) -> StoreSettings:
        """What the store knows of itself."""
        return self.state().settings

    @property
    def exists(self) -> bool:
        """Whether the database has a store of this name."""
        if not self.database.exists:
            return False
        with self.database.read() as connection:
            return self.find_state(connection) is not None

    def rows(
        self,
        *,
        status: Status | None = None,
        where: Where | Mapping[str, Any] | Sequence[str] | None = None,
    ) -> Iterator[StoredRow]:
        """Go through the rows that aren't deleted, by id, in one snapshot.

        Raises ConfigError, at the end, for a condition on a field that no row has.
        """
        matcher = Matcher(Where.parse(where))
        with self.database.read() as connection:
            query = select(*COLUMNS).where(
                examples.c.store == self.state(connection).key, ~examples.c.deleted
            )
            if status is not None:
                query = query.where(examples.c.status == status)
            for row in map(read_row, connection.execute(query.order_by(examples.c.id))):
                if not matcher.where or matcher.matches(row.example, row.label):
                    yield row
        matcher.check()

    def approved(self) -> Iterator[builtins.list[Example]]:
        """Go through the examples that prompts may show, a page at a time, each a snapshot."""
        shown = (examples.c.status == "approved", ~examples.c.deleted)
        after = 0
        while True:
            with self.database.read() as connection:
                key = self.state(connection).key
                page, after = read_page(connection, key, after, *shown)
            if not page:
                return
            yield [row.example for row in page]

    def list(self, *, status: Status | None = None) -> list[Example]:
        """List the examples, by id."""
        return [row.example for row in self.rows(status=status)]

    def __iter__(self) -> Iterator[Example]:
        return (row.example for row in self.rows())

    def __len__(self) -> int:
        with self.database.read() as connection:
            mine = examples.c.store == self.state(connection).key
            query = select(func.count()).where(mine, ~examples.c.deleted)
            return connection.scalar(query) or 0

    def __contains__(self, id: str) -> bool:
        try:
            return bool(self.get(id))
        except ExampleNotFoundError:
            return False

    def get(self, id: str) -> Example:
        """Read one example; raises ExampleNotFoundError."""
        with self.database.read() as connection:
            return self._row(connection, self.state(connection).key, id).example

    def stats(self) -> StoreStats:
        """Count the rows, in one snapshot."""
        with self.database.read() as connection:
            return read_stats(connection, self.state(connection))

    def by_keys(
        self, keys: Sequence[int], connection: Connection | None = None
    ) -> builtins.list[Example]:
        """Read examples by their row keys, in that order."""
        if connection is None:
            with self.database.read() as connection:
                return self.by_keys(keys, connection)
        return examples_by_keys(connection, keys)

    def log(self, id: str | None = None) -> builtins.list[LoggedChange]:
        """List the changes, oldest first: of one example, or of all."""
        with self.database.read() as connection:
            return read_log(connection, self.state(connection).key, id)

    # -- writing ---------------------------------------------------------------------------------

    def add(self, *new: Example, by: str | None = None) -> int:
        """Add examples; returns the revision. Raises StoreError if an id is taken."""

        def plan(connection: Connection, state: StoreState) -> list[Change]:
            taken = rows_by_id(connection, state.key, (e.id for e in new))
            if live := [id for id, row in taken.items() if not row.deleted]:
                raise StoreError(
                    f"store {self.name!r} has {', '.join(sorted(live))} already; "
                    "edit it, or give the new example another id"
                )
            return [(taken.get(e.id), row_of(e, state.settings)) for e in new]

        return self._write(plan, new, reason="add", by=by)

    def update(self, *edited: Example, by: str | None = None) -> int:
        """Replace the examples that have these ids; returns the revision."""

        def plan(connection: Connection, state: StoreState) -> list[Change]:
            pairs = []
            for example in edited:
                before = self._row(connection, state.key, example.id)
                after = row_of(example, state.settings, source_hash=before.source_hash)
                pairs.append((before, after))
            return [(before, after) for before, after in pairs if before != after]

        return self._write(plan, edited, reason="edit", by=by)

    def delete(self, *ids: str, by: str | None = None) -> int:
        """Take examples out of use; the log keeps them. Returns the revision."""

        def plan(connection: Connection, state: StoreState) -> list[Change]:
            found = [self._row(connection, state.key, id) for id in dict.fromkeys(ids)]
            return [(row, replace(row, deleted=True)) for row in found]

        return self._write(plan, (), reason="delete", by=by)

    def import_file(
        self, path: Path | str | BinaryIO, **options: Unpack[ImportOptions]
    ) -> ImportReport:
        """Merge a file by the rule of `merge`: all of it becomes visible at once, or none.

        Raises BadExamplesError when rows are bad, unless `skip_bad`.
        """
        return import_file(self, path, options)

    def embed(
        self,
        new: Iterable[Example],
        recipe: Recipe | None = None,
        progress: Progress | None = None,
    ) -> Coverage:
        """Store the vectors that retrieval needs of these examples; returns what was embedded."""
        recipe = recipe if recipe is not None else self.settings.embed
        texts = (retrieval_text(e.input, recipe) for e in new if e.status == "approved")
        by_hash = {text_hash(text): text for text in texts}
        if not by_hash:
            return Coverage()
        return embed_missing(self.database, self.embedder, by_hash, progress)

    def embed_missing(self, progress: Progress | None = None) -> int:
        """Embed the rows that have no vector for this store's embedder; returns how many texts."""
        made = done = 0
        recipe, total = self.settings.embed, self.stats().volume.rows
        for page in self.approved():
            made += self.embed(page, recipe).texts
            done += len(page)
            if progress is not None:
                progress(min(done, total), total)
        return made

    # -- parts -----------------------------------------------------------------------------------

    def _write(self, plan: Plan, new: Iterable[Example], *, reason: str, by: str | None) -> int:
        self.embed(new)
        with self.database.write() as connection:
            state = self.state(connection)
            changed = plan(connection, state)
            if not changed:
                return state.revision
            writer = RevisionWriter(connection, state.key, reason=reason, by=by)
            writer.put(changed)
            return writer.touch()

    def _row(self, connection: Connection, key: int, id: str) -> StoredRow:
        row = rows_by_id(connection, key, [id]).get(id)
        if row is None or row.deleted:
            mine = (examples.c.store == key, ~examples.c.deleted)
            starts = examples.c.id.startswith(id[:4], autoescape=True)
            near = connection.scalars(select(examples.c.id).where(*mine, starts).limit(3)).all()
            tail = f"; near it: {', '.join(near)}" if near else ""
            raise ExampleNotFoundError(f"no example {id!r} in store {self.name!r}{tail}")
        return row


_STATE = select(
    stores.c.key, stores.c.uid, stores.c.revision, stores.c.token, stores.c.settings, stores.c.seed
).where(stores.c.name == bindparam("store_name"))

"""Reading a store of labelled examples: rows, counts and history, each in one snapshot."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from promptlib.embedding.embedder import Embedder
from promptlib.errors import ExampleNotFoundError, StoreNotFoundError, did_you_mean
from promptlib.example import Example, Status
from promptlib.filtering import Matcher, Where
from promptlib.store.database import Database
from promptlib.store.history import Revision, read_reviewed, read_revisions, rows_at
from promptlib.store.lookups import examples_by_keys, read_position
from promptlib.store.reports import LoggedChange, StoreState, StoreStats, read_log, read_stats
from promptlib.store.rows import StoredRow, read_page, rows_by_id
from promptlib.store.settings import StoreSettings
from promptlib.store.tables import examples, stores


class StoreReader:
    """What can be asked of the examples under a name in a database."""

    def __init__(self, database: Database, name: str, embedder: Embedder) -> None:
        self.database = database
        self.name = name
        self.embedder = embedder

    @staticmethod
    def names(database: Database) -> list[str]:
        """List the stores of a database."""
        with database.read() as connection:
            return list(connection.scalars(select(stores.c.name).order_by(stores.c.name)))

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
        at: int | None = None,
    ) -> Iterator[StoredRow]:
        """Go through the rows that aren't deleted, by id, in one snapshot.

        With `at` they are as they stood after that revision. Raises StoreError for one that never
        was, and ConfigError, at the end, for a condition on a field that no row has.
        """
        matcher = Matcher(Where.parse(where))
        with self.database.read() as connection:
            state = self.state(connection)
            found = rows_at(connection, state, state.revision if at is None else at)
            for row in found:
                if status is not None and row.status != status:
                    continue
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

    def get(self, id: str, *, at: int | None = None) -> Example:
        """Read one example, as it stands or stood after a revision; raises ExampleNotFoundError."""
        with self.database.read() as connection:
            state = self.state(connection)
            if at is None:
                return self._row(connection, state.key, id).example
            found = next((row for row in rows_at(connection, state, at) if row.id == id), None)
        if found is None:
            raise ExampleNotFoundError(f"store {self.name!r} had no {id!r} at revision {at}")
        return found.example

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

    def revisions(self, most: int | None = None) -> builtins.list[Revision]:
        """List what was done to the store, the newest first."""
        with self.database.read() as connection:
            return read_revisions(connection, self.state(connection).key, most)

    def reviewed(self) -> frozenset[str]:
        """Name the rows that somebody has looked at, and that nobody has changed since."""
        with self.database.read() as connection:
            return read_reviewed(connection, self.state(connection).key)

    def log(self, id: str | None = None) -> builtins.list[LoggedChange]:
        """List the changes, oldest first: of one example, or of all."""
        with self.database.read() as connection:
            return read_log(connection, self.state(connection).key, id)

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

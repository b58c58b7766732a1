"""What every prompt asks of a store: queries compiled once and run by the driver itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, bindparam, func, select
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from promptlib.example import Example
from promptlib.store.sqlite import begun
from promptlib.store.tables import examples, stores


class Prepared:
    """A query that takes a third of the time SQLAlchemy's own execution does.

    Parameters are given in the order in which the query names them.
    """

    def __init__(self, query: Select[Any]) -> None:
        self.sql = str(query.compile(dialect=sqlite_dialect()))

    def all(self, connection: Connection, *parameters: Any) -> list[Any]:
        """Run the query in the connection's transaction; returns its rows as tuples."""
        rows: list[Any] = begun(connection).execute(self.sql, parameters).fetchall()
        return rows


def items_of(parameter: str) -> Select[Any]:
    """Select the items of a JSON list: one parameter for as many as there are."""
    return select(func.json_each(bindparam(parameter)).table_valued("value").c.value)


def read_position(connection: Connection, name: str) -> tuple[int, str, int, str] | None:
    """Read the key, uid, revision and token of the store of this name, if there is one."""
    found = _POSITION.all(connection, name)
    return tuple(found[0]) if found else None


def examples_by_keys(connection: Connection, keys: Sequence[int]) -> list[Example]:
    """Read examples by their row keys, in that order."""
    rows = _by_keys(len(keys)).all(connection, *keys) if keys else ()
    found = {key: Example.from_stored(*parts) for key, *parts in rows}
    return [found[key] for key in keys]


class ReadOnce:
    """Reads examples by their row keys, in that order, in one snapshot: each of them once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[int, Example] = {}

    def __call__(self, keys: Sequence[int]) -> list[Example]:
        """Give the examples with these keys."""
        if missing := [key for key in keys if key not in self._known]:
            read = examples_by_keys(self._connection, missing)
            self._known.update(zip(missing, read, strict=True))
        return [self._known[key] for key in keys]


_POSITION = Prepared(
    select(stores.c.key, stores.c.uid, stores.c.revision, stores.c.token).where(
        stores.c.name == bindparam("store_name")
    )
)


@lru_cache
def _by_keys(count: int) -> Prepared:
    columns = examples.c.key, examples.c.id, examples.c.content, examples.c.content_hash
    keys: list[BindParameter[int]] = [bindparam(f"key{n}") for n in range(count)]
    return Prepared(select(*columns, examples.c.status).where(examples.c.key.in_(keys)))

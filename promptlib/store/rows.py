"""A row as the database holds it, and the one way in which rows are written."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from promptlib.example import Example, Status, retrieval_text, source_hash
from promptlib.store.author import author
from promptlib.store.lookups import Prepared, items_of
from promptlib.store.settings import StoreSettings
from promptlib.store.tables import changes, examples, revisions, stores
from promptlib.text import text_hash


@dataclass(frozen=True)
class StoredRow:
    """The state of one row. `source_hash` is of the row as its source last had it, if any."""

    id: str
    content: str
    content_hash: str
    label: str | None
    status: Status
    deleted: bool
    source_hash: str | None
    text_hash: str

    @property
    def example(self) -> Example:
        """The example that the row holds."""
        return Example.from_stored(self.id, self.content, self.content_hash, self.status)

    @property
    def source_state(self) -> str | None:
        """The `source_hash` that the row would have as it is now; None when deleted."""
        if self.deleted:
            return None
        return source_hash(self.content, self.content_hash, self.status)


COLUMNS = tuple(examples.c[name] for name in StoredRow.__dataclass_fields__)


def row_of(
    example: Example, settings: StoreSettings, *, source_hash: str | None = None
) -> StoredRow:
    """Make the row that holds an example."""
    return StoredRow(
        id=example.id,
        content=example.content,
        content_hash=example.content_hash,
        label=settings.label_of(example),
        status=example.status,
        deleted=False,
        source_hash=source_hash,
        text_hash=text_hash(retrieval_text(example.input, settings.embed)),
    )


def read_row(row: Sequence[Any]) -> StoredRow:
    """Read a result row that starts with COLUMNS; the driver itself gives 0 and 1 for booleans."""
    id, content, content_hash, label, status, deleted, *hashes = row[: len(COLUMNS)]
    return StoredRow(id, content, content_hash, label, status, bool(deleted), *hashes)


def rows_by_id(connection: Connection, store: int, ids: Iterable[str]) -> dict[str, StoredRow]:
    """Read the rows with these ids, deleted ones too."""
    found = _BY_IDS.all(connection, store, json.dumps([*ids]))
    return {row[0]: read_row(row) for row in found}


_BY_IDS = Prepared(
    select(*COLUMNS).where(
        examples.c.store == bindparam("its_store"), examples.c.id.in_(items_of("ids"))
    )
)

PAGE = 2_000
"""Rows that are read, looked up, embedded or written together."""


def read_page(
    connection: Connection, store: int, after: int, *conditions: Any
) -> tuple[list[StoredRow], int]:
    """Read the next rows of a store by key; returns them and the last key.

    Between pages nothing is held, so that rows may be written meanwhile.
    """
    query = select(*COLUMNS, examples.c.key).where(
        examples.c.store == store, examples.c.key > after, *conditions
    )
    found = connection.execute(query.order_by(examples.c.key).limit(PAGE)).all()
    return [read_row(row) for row in found], found[-1].key if found else after


def sourced_ids(connection: Connection, store: int) -> Iterator[str]:
    """Go through the ids of live rows that came from a file, a page at a time."""
    after = 0
    from_file = ~examples.c.deleted & examples.c.source_hash.is_not(None)
    query = select(examples.c.key, examples.c.id).where(examples.c.store == store, from_file)
    while True:
        page = connection.execute(
            query.where(examples.c.key > after).order_by(examples.c.key).limit(PAGE)
        ).all()
        if not page:
            return
        after = page[-1].key
        yield from (id for _, id in page)


Change = tuple[StoredRow | None, StoredRow]
"""A row before (None: it wasn't there) and after."""


class RevisionWriter:
    """Writes rows and their change log as one revision of a store, in parts.

    The revision begins with the first change: without any, the store stays where it was.
    """

    def __init__(
        self, connection: Connection, store: int, *, reason: str, by: str | None = None,
        note: str = "",
    ) -> None:  # fmt: skip
        self.connection = connection
        self.store = store
        self.reason = reason
        self.by = by
        self.note = note
        self.revision: int | None = None

    def touch(self) -> int:
        """Begin the revision, if it hasn't begun; returns its number."""
        if self.revision is None:
            token = secrets.token_hex(8)
            step = (
                update(stores)
                .where(stores.c.key == self.store)
                .values(revision=stores.c.revision + 1, token=token)
                .returning(stores.c.revision)
            )
            self.revision = int(self.connection.execute(step).scalar_one())
            self.connection.execute(
                insert(revisions).values(
                    store=self.store, number=self.revision, token=token, at=now(),
                    by=self.by or author(), reason=self.reason, note=self.note,
                )
            )  # fmt: skip
        return self.revision

    def set_seed(self, seed: Mapping[str, Any]) -> None:
        """Remember which starter file was merged."""
        mine = stores.c.key == self.store
        self.connection.execute(update(stores).where(mine).values(seed=dict(seed)))

    def set_settings(self, before: StoreSettings, after: StoreSettings) -> None:
        """Change what the store knows of itself, which is part of what a revision stands for."""
        mine = stores.c.key == self.store
        self.connection.execute(update(stores).where(mine).values(settings=after.to_dict()))
        this = (revisions.c.store == self.store, revisions.c.number == self.touch())
        self.connection.execute(
            update(revisions)
            .where(*this)
            .values(settings_before=before.to_dict(), settings_after=after.to_dict())
        )

    def put(self, changed: Sequence[Change]) -> None:
        """Write some rows."""
        if not changed:
            return
        stamp = {"store": self.store, "revision": self.touch()}
        added = [vars(after) | stamp for before, after in changed if before is None]
        edited = [vars(after) | stamp for before, after in changed if before is not None]
        if added:
            self.connection.execute(insert(examples), added)
        if edited:
            by_id = (examples.c.store == self.store, examples.c.id == bindparam("row_id"))
            self.connection.execute(
                update(examples).where(*by_id), [row | {"row_id": row["id"]} for row in edited]
            )
        log = [
            stamp | {"example": after.id, "before": _logged(before), "after": _logged(after)}
            for before, after in changed
        ]
        self.connection.execute(insert(changes), log)


def now() -> str:
    """Give the time of a write: UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _logged(row: StoredRow | None) -> str | None:
    if row is None:
        return None
    return _compact(vars(row))


_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

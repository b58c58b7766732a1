"""A row as the database holds it, and the one way in which rows are written."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from getpass import getuser
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from promptlib.example import Example, Status, retrieval_text, source_hash, text_hash
from promptlib.store.database import chunks
from promptlib.store.settings import StoreSettings
from promptlib.store.tables import changes, examples, revisions, stores


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
        text_hash=text_hash(retrieval_text(example.input)),
    )


def read_row(row: Row[Any]) -> StoredRow:
    """Read a result row that starts with COLUMNS."""
    return StoredRow(*row[: len(COLUMNS)])


def rows_by_id(connection: Connection, store: int, ids: Iterable[str]) -> dict[str, StoredRow]:
    """Read the rows with these ids, deleted ones too."""
    wanted = list(dict.fromkeys(ids))
    found: dict[str, StoredRow] = {}
    for part in chunks(wanted):
        query = select(*COLUMNS).where(examples.c.store == store, examples.c.id.in_(part))
        found.update((row.id, read_row(row)) for row in connection.execute(query))
    return found


Change = tuple[StoredRow | None, StoredRow]
"""A row before (None: it wasn't there) and after."""


def write_rows(
    connection: Connection,
    store: int,
    changed: Sequence[Change],
    *,
    reason: str,
    by: str | None = None,
    values: Mapping[str, Any] | None = None,
) -> int:
    """Write rows, their change log and the store's next revision; returns that revision.

    `values` are further columns of the store's row to set in the same step.
    """
    token = secrets.token_hex(8)
    step = (
        update(stores)
        .where(stores.c.key == store)
        .values(revision=stores.c.revision + 1, token=token, **(values or {}))
        .returning(stores.c.revision)
    )
    revision = connection.execute(step).scalar_one()
    connection.execute(
        insert(revisions).values(
            store=store, number=revision, token=token, at=now(), by=by or author(), reason=reason
        )
    )
    stamp = {"store": store, "revision": revision}
    added = [asdict(after) | stamp for before, after in changed if before is None]
    edited = [asdict(after) | stamp for before, after in changed if before is not None]
    if added:
        connection.execute(insert(examples), added)
    if edited:
        by_id = (examples.c.store == store, examples.c.id == bindparam("row_id"))
        connection.execute(
            update(examples).where(*by_id), [row | {"row_id": row["id"]} for row in edited]
        )
    if changed:
        log = [
            stamp | {"example": after.id, "before": _logged(before), "after": _logged(after)}
            for before, after in changed
        ]
        connection.execute(insert(changes), log)
    return int(revision)


def now() -> str:
    """Give the time of a write: UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def author() -> str:
    """Name who writes: PROMPTLIB_USER, or the user of the machine."""
    try:
        return os.environ.get("PROMPTLIB_USER") or getuser()
    except (OSError, KeyError):  # a container without a user database
        return "unknown"


def _logged(row: StoredRow | None) -> str | None:
    if row is None:
        return None
    return json.dumps(asdict(row), ensure_ascii=False, separators=(",", ":"))

"""What a write is going to do, decided from one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, select

from promptlib.errors import ConflictError
from promptlib.example import Example
from promptlib.store.database import batched
from promptlib.store.reports import StoreState
from promptlib.store.rows import Change, StoredRow, row_of, rows_by_id
from promptlib.store.settings import StoreSettings
from promptlib.store.tables import changes, revisions


@dataclass(frozen=True)
class Planned:
    """Rows to write, and what the store is to know of itself where that changes."""

    changes: Sequence[Change]
    settings: StoreSettings | None = None


Plan = Callable[[Connection, StoreState], Planned]
"""Decides, and may be asked twice: for what must be embedded, then inside the transaction."""


@dataclass(frozen=True)
class Edit:
    """A row as somebody saw it, and as it is to be; `after` None takes it out."""

    before: Example
    after: Example | None


def plan_edits(
    connection: Connection, state: StoreState, edits: Sequence[Edit], *, force: bool = False,
    log_all: bool = False,
) -> Planned:  # fmt: skip
    """Plan edits; raises ConflictError if a row isn't as it was seen, unless `force`.

    With `log_all`, a row that stays as it is gets an entry in the log too: that somebody looked.
    """
    rows = rows_by_id(connection, state.key, (edit.before.id for edit in edits))
    stale = [edit.before.id for edit in edits if not _is_as_seen(edit.before, rows)]
    if stale and not force:
        raise ConflictError(_who(connection, state, stale))
    planned = []
    for edit in edits:
        row = rows.get(edit.before.id)
        if edit.after is not None:
            after = row_of(edit.after, state.settings, source_hash=row.source_hash if row else None)
        elif row is not None:
            after = replace(row, deleted=True)
        else:
            continue
        if after != row or log_all:
            planned.append((row, after))
    return Planned(planned)


def latest_changes(
    connection: Connection, state: StoreState, ids: Iterable[str]
) -> list[tuple[str, int, str, str]]:
    """Say who has last changed rows: (id, revision, by, at)."""
    of_revision = (revisions.c.store == changes.c.store) & (
        revisions.c.number == changes.c.revision
    )
    facts = (changes.c.example, changes.c.revision, revisions.c.by, revisions.c.at)
    found: list[tuple[str, int, str, str]] = []
    for part in batched(ids):
        mine = (changes.c.store == state.key, changes.c.example.in_(part))
        newest = select(func.max(changes.c.key)).where(*mine).group_by(changes.c.example)
        query = select(*facts).join(revisions, of_revision).where(changes.c.key.in_(newest))
        found += [
            (id, n, by, at) for id, n, by, at in connection.execute(query.order_by(changes.c.key))
        ]
    return found


def told(latest: Sequence[tuple[str, int, str, str]], most: int = 10) -> str:
    """List who has changed what, in words."""
    named = [f"{id} (revision {number}, by {by})" for id, number, by, _ in latest[:most]]
    more = f" and {len(latest) - most:,} more" if len(latest) > most else ""
    return ", ".join(named) + more


def _is_as_seen(seen: Example, rows: Mapping[str, StoredRow]) -> bool:
    row = rows.get(seen.id)
    return (
        row is not None
        and not row.deleted
        and (row.content_hash, row.status) == (seen.content_hash, seen.status)
    )


def _who(connection: Connection, state: StoreState, ids: Sequence[str]) -> str:
    changed = told(latest_changes(connection, state, ids))
    return f"changed by somebody else meanwhile: {changed}; look at them again, or use --force"

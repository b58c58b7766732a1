"""What a store was at any revision, and what each revision did."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, case, func, select

from promptlib.errors import StoreError
from promptlib.store.database import batched
from promptlib.store.reports import StoreState
from promptlib.store.rows import COLUMNS, StoredRow, read_row
from promptlib.store.tables import changes, examples, revisions


@dataclass(frozen=True)
class Revision:
    """One write: who did what to how many rows, when and why."""

    number: int
    at: str
    by: str
    reason: str
    note: str
    added: int
    """Rows that came, or came back."""
    edited: int
    removed: int
    settings: bool
    """Whether it changed what the store knows of itself."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return dict(vars(self))


def read_revisions(connection: Connection, store: int, most: int | None = None) -> list[Revision]:
    """Read the revisions of a store, the newest first."""
    # A row is logged as JSON in which the text of a field can't have an unescaped quote.
    was = and_(changes.c.before.is_not(None), ~changes.c.before.contains(_DELETED))
    stays = ~changes.c.after.contains(_DELETED)
    kinds = [(~was & stays), (was & stays), (was & ~stays)]
    counts = [func.coalesce(func.sum(case((kind, 1), else_=0)), 0) for kind in kinds]
    of_revision = and_(
        changes.c.store == revisions.c.store, changes.c.revision == revisions.c.number
    )
    facts = [revisions.c[name] for name in ("number", "at", "by", "reason", "note")]
    columns: list[Any] = [*facts, *counts, revisions.c.settings_after.is_not(None)]
    query = (
        select(*columns)
        .join(changes, of_revision, isouter=True)
        .where(revisions.c.store == store)
        .group_by(revisions.c.number)
        .order_by(revisions.c.number.desc())
        .limit(most)
    )  # fmt: skip
    return [Revision(*row) for row in connection.execute(query)]


def read_reviewed(connection: Connection, store: int) -> frozenset[str]:
    """Name the rows whose last change was a review."""
    newest = (
        select(func.max(changes.c.key)).where(changes.c.store == store).group_by(changes.c.example)
    )
    of_revision = and_(
        changes.c.store == revisions.c.store, changes.c.revision == revisions.c.number
    )
    query = (
        select(changes.c.example)
        .join(revisions, of_revision)
        .where(changes.c.key.in_(newest), revisions.c.reason == REVIEW)
    )
    return frozenset(connection.scalars(query))


def rows_at(connection: Connection, state: StoreState, revision: int) -> Iterator[StoredRow]:
    """Go through the rows as they stood after a revision, by id; raises StoreError."""
    check_revision(state, revision)
    untouched = select(*COLUMNS).where(
        examples.c.store == state.key, examples.c.revision <= revision, ~examples.c.deleted
    )
    mine = and_(changes.c.store == state.key, changes.c.revision > revision)
    first = select(func.min(changes.c.key)).where(mine).group_by(changes.c.example)
    touched = select(changes.c.before).where(changes.c.key.in_(first))
    now = map(read_row, connection.execute(untouched.order_by(examples.c.id)))
    then = (logged_row(text) for text in connection.scalars(touched.order_by(changes.c.example)))
    there = (row for row in then if row is not None and not row.deleted)
    return heapq.merge(now, there, key=lambda row: row.id)


def rows_as_of(
    connection: Connection, state: StoreState, read: Mapping[str, int]
) -> dict[str, StoredRow]:
    """Give rows as they stood after a revision each (id -> its number), where they have changed."""
    found: dict[str, StoredRow] = {}
    columns = changes.c.example, changes.c.revision, changes.c.before
    for part in batched(read):
        mine = (changes.c.store == state.key, changes.c.example.in_(part))
        query = select(*columns).where(*mine).order_by(changes.c.key)
        for id, revision, before in connection.execute(query):
            if revision > read[id] and id not in found and (row := logged_row(before)) is not None:
                found[id] = row
    return found


def check_revision(state: StoreState, revision: int) -> None:
    """Raise StoreError for a revision that the store has never had."""
    if not 0 <= revision <= state.revision:
        raise StoreError(
            f"there is no revision {revision}: the store is at {state.revision}; "
            "promptlib store log lists them"
        )


def logged_row(text: str | None) -> StoredRow | None:
    """Read a row as the change log has it."""
    return StoredRow(**json.loads(text)) if text is not None else None


REVIEW = "review"
"""The reason of a revision in which somebody has looked at rows."""

_DELETED = '"deleted":true'

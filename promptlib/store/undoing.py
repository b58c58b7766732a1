"""Take one revision back, as a new one: what it changed stands again as it stood before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select

from promptlib.errors import ConflictError, StoreError
from promptlib.store.history import check_revision, logged_row
from promptlib.store.planning import Planned, latest_changes, told
from promptlib.store.reports import StoreState
from promptlib.store.rows import Change, StoredRow, rows_by_id
from promptlib.store.settings import StoreSettings
from promptlib.store.tables import changes, revisions


def plan_undo(connection: Connection, state: StoreState, number: int) -> Planned:
    """Plan to take a revision back.

    Raises ConflictError that lists the rows which later revisions have left otherwise than this
    one did, and StoreError for a revision that can't be taken back.
    """
    check_revision(state, number)
    log = _rows_of(connection, state.key, number)
    settings = _settings_before(connection, state, number)
    if not log and settings is None:
        raise StoreError(
            f"revision {number} has changed nothing that could be taken back: what is purged is "
            "gone for good; name another, of promptlib store log"
        )
    now = rows_by_id(connection, state.key, log)
    if later := [id for id, (_, after) in log.items() if not _stands(now.get(id), after)]:
        if all(_stood(now.get(id), before) for id, (before, _) in log.items()):
            raise StoreError(f"revision {number} is taken back: its rows are as they were before")
        raise ConflictError(
            f"later revisions have changed {len(later):,} of its {len(log):,} rows: "
            f"{told(latest_changes(connection, state, later))}; undo those first"
        )
    undone: list[Change] = []
    for before, after in log.values():
        # A row that wasn't there is as if its source had never had it: an import brings it again.
        gone = replace(after, deleted=True, source_hash=None)
        undone.append((after, before if before is not None else gone))
    return Planned(undone, settings)


def newest_undoable(connection: Connection, state: StoreState) -> int:
    """Name the revision that is taken back where none is named: the last one."""
    if not state.revision:
        raise StoreError("nothing has been done to the store that could be taken back")
    return state.revision


def _stands(row: StoredRow | None, after: StoredRow) -> bool:
    """Whether a row is still as a revision left it; gone is gone, whatever it held."""
    return row == after or (row is not None and row.deleted and after.deleted)


def _stood(row: StoredRow | None, before: StoredRow | None) -> bool:
    """Whether a row is as it was before a revision; what wasn't there may be a deleted row."""
    gone = before is None or before.deleted
    return row is None or row.deleted if gone else row == before


def _rows_of(
    connection: Connection, store: int, number: int
) -> dict[str, tuple[StoredRow | None, StoredRow]]:
    """Read what a revision made of each row: before its first change, and after its last."""
    query = (
        select(changes.c.example, changes.c.before, changes.c.after)
        .where(changes.c.store == store, changes.c.revision == number)
        .order_by(changes.c.key)
    )
    found: dict[str, tuple[StoredRow | None, StoredRow]] = {}
    for id, before, after in connection.execute(query):
        left = logged_row(after)
        if left is not None:
            found[id] = (found[id][0] if id in found else logged_row(before), left)
    return found


def _settings_before(
    connection: Connection, state: StoreState, number: int
) -> StoreSettings | None:
    """Give the store's settings with those keys as they were that the revision changed."""
    query = select(revisions.c.settings_before, revisions.c.settings_after).where(
        revisions.c.store == state.key, revisions.c.number == number
    )
    before, after = connection.execute(query).one()
    if after is None:
        return None
    now: dict[str, Any] = state.settings.to_dict()
    for key in before.keys() | after.keys():
        if before.get(key) == after.get(key):
            continue
        if now.get(key) != after.get(key):
            raise ConflictError(f"the store's {key} has been changed since: undo that first")
        now = _with(now, key, before)
    return StoreSettings.from_dict(now)


def _with(values: Mapping[str, Any], key: str, source: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in values.items() if name != key}
    return rest | ({key: source[key]} if key in source else {})

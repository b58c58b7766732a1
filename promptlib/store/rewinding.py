"""Put a store back to a revision, in a copy of its database: later ones are gone from the copy."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, delete, select, update

from promptlib.store.database import batched
from promptlib.store.history import check_revision, logged_row
from promptlib.store.reports import StoreState
from promptlib.store.settings import StoreSettings
from promptlib.store.tables import changes, examples, revisions, stores


def rewind(connection: Connection, state: StoreState, revision: int) -> None:
    """Make a store what it was after a revision; raises StoreError for one that never was."""
    check_revision(state, revision)
    mine = (changes.c.store == state.key, changes.c.revision > revision)
    earlier = select(changes).where(*mine).order_by(changes.c.key.desc())
    for part in batched(connection.execute(earlier)):
        for change in part:  # the last of a row to be put back is the oldest
            _put_back(connection, state.key, change.example, change.before, revision)
    settings = _settings_at(connection, state, revision)
    at = (revisions.c.store == state.key, revisions.c.number == revision)
    token = connection.scalar(select(revisions.c.token).where(*at))
    now = {"revision": revision, "token": token, "settings": settings.to_dict()}
    connection.execute(update(stores).where(stores.c.key == state.key).values(**now))
    connection.execute(delete(changes).where(*mine))
    later = (revisions.c.store == state.key, revisions.c.number > revision)
    connection.execute(delete(revisions).where(*later))


def _put_back(
    connection: Connection, store: int, id: str, before: str | None, revision: int
) -> None:
    this = (examples.c.store == store, examples.c.id == id)
    row = logged_row(before)
    if row is None:
        connection.execute(delete(examples).where(*this))
        return
    values = asdict(row) | {"revision": revision}
    connection.execute(update(examples).where(*this).values(**values))


def _settings_at(connection: Connection, state: StoreState, revision: int) -> StoreSettings:
    later = (
        select(revisions.c.settings_before)
        .where(
            revisions.c.store == state.key,
            revisions.c.number > revision,
            revisions.c.settings_after.is_not(None),
        )
        .order_by(revisions.c.number)
        .limit(1)
    )
    before = connection.scalar(later)
    return state.settings if before is None else StoreSettings.from_dict(before)

"""What a store can say of itself: where it stands, what it holds, what has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from promptlib.hint import Volume
from promptlib.store.settings import StoreSettings
from promptlib.store.tables import changes, examples, revisions


@dataclass(frozen=True)
class StoreState:
    """Where a store stands: one snapshot of its row."""

    key: int
    uid: str
    revision: int
    token: str
    settings: StoreSettings
    seed: Mapping[str, Any] | None

    @classmethod
    def absent(cls, settings: StoreSettings) -> StoreState:
        """Stand for a store that the first import will make: it has no rows."""
        return cls(0, "", 0, "", settings, None)


@dataclass(frozen=True)
class StoreStats:
    """How many rows a store has, and of what kind."""

    revision: int
    label: str
    """Where labels come from: "output", a metadata field, or "" for the rows' own alone."""
    statuses: Mapping[str, int]
    """Status -> rows that aren't deleted."""
    deleted: int
    volume: Volume


@dataclass(frozen=True)
class LoggedChange:
    """One entry of the change log; a state of None means that the row wasn't there."""

    revision: int
    at: str
    by: str
    reason: str
    note: str
    id: str
    before: str | None
    after: str | None


def read_stats(connection: Connection, state: StoreState) -> StoreStats:
    """Count a store's rows."""
    mine, count = examples.c.store == state.key, func.count()
    kind = examples.c.status, examples.c.deleted
    groups = connection.execute(select(*kind, count).where(mine).group_by(*kind)).all()
    statuses = {status: number for status, deleted, number in groups if not deleted}
    shown = (mine, examples.c.status == "approved", ~examples.c.deleted)
    texts = select(func.count(examples.c.text_hash.distinct())).where(*shown)
    label = examples.c.label
    labelled = select(label, count).where(*shown, label.is_not(None))
    classes = connection.execute(labelled.group_by(label).order_by(label))
    return StoreStats(
        revision=state.revision,
        label=state.settings.label or "",
        statuses=statuses,
        deleted=sum(number for _, deleted, number in groups if deleted),
        volume=Volume(
            rows=statuses.get("approved", 0),
            distinct=connection.scalar(texts) or 0,
            classes={name: number for name, number in classes},  # noqa: C416
        ),
    )


def read_log(connection: Connection, store: int, id: str | None) -> list[LoggedChange]:
    """Read the changes of one example, or of all, oldest first."""
    of_revision = (revisions.c.store == changes.c.store) & (
        revisions.c.number == changes.c.revision
    )
    query = (
        select(
            changes.c.revision, revisions.c.at, revisions.c.by, revisions.c.reason,
            revisions.c.note, changes.c.example, changes.c.before, changes.c.after,
        )
        .join(revisions, of_revision)
        .where(changes.c.store == store)
        .order_by(changes.c.key)
    )  # fmt: skip
    if id is not None:
        query = query.where(changes.c.example == id)
    return [LoggedChange(*row) for row in connection.execute(query)]

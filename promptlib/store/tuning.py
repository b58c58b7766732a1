"""Remember with a store which way of choosing was measured to be the best for it."""

from __future__ import annotations

from promptlib.store.rows import RevisionWriter
from promptlib.store.settings import Tuned
from promptlib.store.store import ExampleStore


def save_tuned(store: ExampleStore, tuned: Tuned | None, *, by: str | None = None) -> int:
    """Make `auto` follow a measurement, or none; returns the store's revision, one step on."""
    with store.database.write() as connection:
        state = store.state(connection)
        writer = RevisionWriter(connection, state.key, reason="tune", by=by)
        settings = state.settings.model_copy(update={"tuned": tuned})
        writer.set(settings=settings.to_dict())
        return writer.touch()

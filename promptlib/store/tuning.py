"""Remember with a store which way of choosing was measured to be the best for it."""

from __future__ import annotations

from promptlib.store.rows import RevisionWriter
from promptlib.store.settings import Tuned
from promptlib.store.store import ExampleStore


def save_tuned(
    store: ExampleStore, tuned: Tuned | None, *, model: str | None = None, by: str | None = None
) -> int:
    """Make `auto` follow a measurement, or none; returns the store's revision, one step on.

    With `model` it does so in prompts for that language model alone.
    """
    with store.database.write() as connection:
        state = store.state(connection)
        writer = RevisionWriter(connection, state.key, reason="tune", by=by)
        kept = {name: t for name, t in state.settings.tuned_for.items() if name != model}
        if model is None:
            changed: dict[str, object] = {"tuned": tuned}
        else:
            changed = {"tuned_for": kept | ({model: tuned} if tuned is not None else {})}
        settings = state.settings.model_copy(update=changed)
        writer.set_settings(state.settings, settings)
        return writer.touch()

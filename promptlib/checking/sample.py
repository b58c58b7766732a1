"""A few rows of a store, to see how templates show them: some at random, and the longest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from promptlib.example import Example
from promptlib.files.reading import read_examples
from promptlib.store.starter import Starter
from promptlib.store.store import ExampleStore
from promptlib.store.tables import examples

DRAWN, LONGEST = 32, 64


@dataclass(frozen=True)
class StoreSample:
    """What a check looks at of a store."""

    drawn: Sequence[Example]
    longest: Sequence[Example]
    """The longest first."""
    labels: tuple[str, ...]
    label_definitions: Mapping[str, str]


def sample_store(store: ExampleStore) -> StoreSample:
    """Read a sample of a store's rows, always the same one."""
    with store.database.read() as connection:
        state = store.state(connection)
        shown = (
            examples.c.store == state.key, examples.c.status == "approved", ~examples.c.deleted,
        )  # fmt: skip
        columns = (examples.c[name] for name in ("id", "content", "content_hash", "status"))
        rows = select(*columns).where(*shown)
        drawn = connection.execute(rows.order_by(examples.c.content_hash).limit(DRAWN)).all()
        by_length = func.length(examples.c.content).desc(), examples.c.id
        longest = connection.execute(rows.order_by(*by_length).limit(LONGEST)).all()
        labels = select(examples.c.label).where(*shown, examples.c.label.is_not(None)).distinct()
        return StoreSample(
            [Example.from_stored(*row) for row in drawn],
            [Example.from_stored(*row) for row in longest],
            tuple(sorted(connection.scalars(labels))),
            state.settings.label_definitions,
        )


def sample_starter(starter: Starter) -> StoreSample:
    """Read a sample of a store that waits to be imported."""
    settings = starter.settings
    found = [each for each in read_examples(starter.file) if each.status == "approved"]
    labels = (settings.label_of(example) if settings.label else example.output for example in found)
    return StoreSample(
        sorted(found, key=lambda example: example.content_hash)[:DRAWN],
        sorted(found, key=lambda example: (-len(example.content), example.id))[:LONGEST],
        tuple(sorted({label for label in labels if isinstance(label, str)})),
        settings.label_definitions,
    )

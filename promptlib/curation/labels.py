"""The labels of a store: how many rows have each, and giving them other names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from promptlib.errors import ConflictError, ExampleError, StoreError, did_you_mean
from promptlib.store.planning import Planned
from promptlib.store.reports import StoreState
from promptlib.store.rows import Change, row_of, rows_by_id
from promptlib.store.store import ExampleStore
from promptlib.store.tables import examples


@dataclass(frozen=True)
class LabelCount:
    """A label, how many rows have it, and what it means."""

    label: str
    approved: int
    draft: int
    rejected: int
    definition: str

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return dict(vars(self))


def label_counts(store: ExampleStore) -> list[LabelCount]:
    """Count the rows of each label in effect, the largest first; defined ones without rows too."""
    with store.database.read() as connection:
        state = store.state(connection)
        counts = _counts(connection, state)
    definitions = state.settings.label_definitions
    found = [
        LabelCount(
            label, counts[label, "approved"], counts[label, "draft"], counts[label, "rejected"],
            definitions.get(label, ""),
        )
        for label in dict.fromkeys([*(label for label, _ in counts), *definitions])
    ]  # fmt: skip
    return sorted(found, key=lambda each: (-each.approved, -each.draft, each.label))


def rename_labels(
    store: ExampleStore, names: Mapping[str, str], *, merge: bool = False, by: str | None = None,
    note: str = "",
) -> int:  # fmt: skip
    """Give labels other names, old -> new, as one revision; returns its number.

    Every row changes where its label is: of its own, in its output, or in its metadata. Raises
    StoreError for a label that no row has, and for a new name that others have, unless `merge`.
    """

    def plan(connection: Connection, state: StoreState) -> Planned:
        present = {label for label, _ in _counts(connection, state)}
        for old, new in names.items():
            if old not in present:
                raise StoreError(f"no row has the label {old!r}; {did_you_mean(old, present)}")
            if not new.strip():
                raise StoreError("a label can't be empty")
            if new in present - names.keys() and not merge:
                raise StoreError(f"there are rows with {new!r} already: to make them one, merge")
        really = {old: new for old, new in names.items() if old != new}
        query = select(examples.c.id).where(
            examples.c.store == state.key, ~examples.c.deleted, examples.c.label.in_([*really])
        )
        rows = rows_by_id(connection, state.key, connection.scalars(query))
        changed: list[Change] = []
        for row in rows.values():
            try:
                example = state.settings.with_label(row.example, names[row.label or ""])
            except ExampleError as error:
                raise ConflictError(f"{row.id}: {error}") from None
            after = row_of(example, state.settings, source_hash=row.source_hash)
            changed.append((row, after))
        definitions = dict(state.settings.label_definitions)
        for old, new in really.items():
            if old in definitions:
                definitions.setdefault(new, definitions.pop(old))
        settings = state.settings.model_copy(update={"label_definitions": definitions})
        return Planned(changed, settings)

    note = note or ", ".join(f"{old} -> {new}" for old, new in names.items())
    return store.write(plan, reason="merge labels" if merge else "rename labels", by=by, note=note)


def define_label(
    store: ExampleStore, label: str, definition: str, *, by: str | None = None, note: str = ""
) -> int:
    """Say in a line what a label means, for templates; an empty line takes it back."""

    def plan(connection: Connection, state: StoreState) -> Planned:
        present = {label for label, _ in _counts(connection, state)}
        definitions = dict(state.settings.label_definitions)
        if label not in present | definitions.keys():
            raise StoreError(f"no row has the label {label!r}; {did_you_mean(label, present)}")
        definitions.pop(label, None)
        if definition.strip():
            definitions[label] = " ".join(definition.split())
        return Planned([], state.settings.model_copy(update={"label_definitions": definitions}))

    return store.write(plan, reason="define labels", by=by, note=note)


def _counts(connection: Connection, state: StoreState) -> Counter[tuple[str, str]]:
    """Count rows by label in effect and status."""
    kind = examples.c.label, examples.c.status
    query = (
        select(*kind, func.count())
        .where(examples.c.store == state.key, ~examples.c.deleted, examples.c.label.is_not(None))
        .group_by(*kind)
        .order_by(examples.c.label)
    )
    return Counter({(label, status): count for label, status, count in connection.execute(query)})

"""Merge the examples of a file into a store: all of them become visible at once, or none.

The file is gone through in parts, so that memory doesn't grow with it: first to find what is wrong,
then to embed, in short transactions whose vectors a later run finds again, then to merge, in one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from promptlib.embedding.embedder import Coverage, Progress
from promptlib.errors import ConfigError, did_you_mean
from promptlib.example import retrieval_text
from promptlib.files.reading import ExamplesFile
from promptlib.store.database import batched
from promptlib.store.merge import Merge, merge
from promptlib.store.reports import StoreState
from promptlib.store.rows import (
    PAGE,
    Change,
    RevisionWriter,
    StoredRow,
    read_page,
    rows_by_id,
    sourced_ids,
)
from promptlib.store.settings import StoreSettings, check_name
from promptlib.text import text_hash

if TYPE_CHECKING:
    from promptlib.store.store import ExampleStore

SAMPLE = 5
"""Ids that a report names of each outcome."""


@dataclass
class ImportReport:
    """What an import did, or, as a dry run, would do."""

    added: int = 0
    updated: int = 0
    restored: int = 0
    unchanged: int = 0
    kept: int = 0
    """Rows edited, rejected or deleted here whose source is as it was: left as the curator has
    them."""
    removed: int = 0
    """Rows that an earlier file brought and this one doesn't have, taken out by `mirror`."""
    gone: int = 0
    """Such rows that stay."""
    conflicts: list[str] = field(default_factory=list)
    """Ids of rows that changed in the source and here; they stay as they are here."""
    samples: dict[str, list[str]] = field(default_factory=dict)
    """Outcome -> the first ids of it."""
    repeats: int = 0
    """Rows that repeat another row of the file exactly; they are kept."""
    drafts: int = 0
    problems: tuple[tuple[int, str], ...] = ()
    """(line, reason) of the rows left out."""
    coverage: Coverage = field(default_factory=Coverage)
    """How much of the texts embedded now the embedder reads."""
    label_guess: str | None = None
    """The field decided on as the label by this import, if it decided."""
    revision: int = 0
    dry_run: bool = False

    def count(self, merged: Merge) -> None:
        """Add what became of some rows."""
        for name in ("added", "updated", "restored", "unchanged", "kept"):
            setattr(self, name, getattr(self, name) + getattr(merged, name))
        self.conflicts += merged.conflicts
        for name, ids in merged.ids.items():
            known = self.samples.setdefault(name, [])
            known += ids[: SAMPLE - len(known)]


def import_examples(
    store: ExampleStore,
    file: ExamplesFile,
    *,
    settings: StoreSettings | None = None,
    label: str | None = None,
    restore: bool = False,
    mirror: bool = False,
    dry_run: bool = False,
    seed: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    by: str | None = None,
    reason: str = "import",
    note: str = "",
) -> ImportReport:
    """Merge examples that were read from a file; `seed` describes it when it is the starter.

    `settings` are those of its `store.toml`, `label` says where labels are. With `restore` the
    file wins over what was done here; with `mirror` rows that an earlier file brought and this
    one doesn't have are removed, unless they were edited here. A dry run only reports.
    """
    check_name(store.name)
    with store.database.read() as connection:
        before = store.find_state(connection) or StoreState.absent(settings or StoreSettings())
    decided = _decided(before.settings, settings, label, file)
    run = _Import(store, file, decided, restore, mirror)
    run.report.label_guess = decided.label if before.settings.label is None and not label else None
    if dry_run:
        run.report.dry_run = True
        with store.database.read() as connection:
            run.merge_into(connection, store.find_state(connection) or before, None)
        return run.report
    run.embed(before, progress)
    with store.database.write() as connection:
        now = store.find_state(connection) or store.create_in(connection, decided)
        # Another import may have decided meanwhile.
        run.settings = decided = _decided(now.settings, settings, label, file)
        writer = RevisionWriter(connection, now.key, reason=reason, by=by, note=note)
        run.merge_into(connection, now, writer)
        if decided != now.settings:
            writer.set_settings(now.settings, decided)
        if seed is not None and seed != now.seed:
            writer.set_seed(seed)
        run.report.revision = writer.revision or now.revision
    return run.report


class _Import:
    """One import: what its passes share."""

    def __init__(
        self, store: ExampleStore, file: ExamplesFile, settings: StoreSettings, restore: bool,
        mirror: bool,
    ) -> None:  # fmt: skip
        self.store = store
        self.file = file
        self.settings = settings
        self.restore = restore
        self.mirror = mirror
        self.report = ImportReport(repeats=file.repeats, drafts=file.drafts, problems=file.problems)

    def embed(self, before: StoreState, progress: Progress | None) -> None:
        """Store the vectors of all rows that will be found, a part at a time."""
        recipe = self.settings.embed
        self.report.coverage = self.store.embed(self.file, recipe, progress, len(self.file))
        if before.settings.embed != recipe:  # rows that are there read anew
            self.store.embed_missing(recipe=recipe)

    def merge_into(
        self, connection: Connection, state: StoreState, writer: RevisionWriter | None
    ) -> None:
        """Merge all rows, then see to those that the file doesn't have."""
        ids = array("q")
        for part in batched(self.file, PAGE):
            existing = rows_by_id(connection, state.key, (e.id for e in part))
            merged = merge(part, existing, self.settings, restore=self.restore)
            self.report.count(merged)
            ids.extend(hash(example.id) for example in part)
            if writer is not None:
                writer.put(merged.changes)
        if not state.revision:
            return
        for changed in batched(self._absent(connection, state, np.sort(np.array(ids))), PAGE):
            if writer is not None:
                writer.put(changed)
        if writer is not None and self._reads_differently(state.settings):
            for changed in batched(self._reread(connection, state), PAGE):
                writer.put(changed)

    def _absent(
        self, connection: Connection, state: StoreState, ids: NDArray[np.int64]
    ) -> Iterator[Change]:
        """Find live rows that came from a file and that this one doesn't have."""
        known = batched(sourced_ids(connection, state.key), PAGE)
        gone = (id for page in known for id in _others(page, ids))
        for part in batched(gone, PAGE):
            if not self.mirror:
                self.report.gone += len(part)
                continue
            for row in rows_by_id(connection, state.key, part).values():
                if row.source_state != row.source_hash and not self.restore:
                    self.report.kept += 1
                    continue
                self.report.removed += 1
                sample = self.report.samples.setdefault("removed", [])
                sample += [row.id][: SAMPLE - len(sample)]
                yield row, replace(row, deleted=True)

    def _reads_differently(self, settings: StoreSettings) -> bool:
        return (settings.label, settings.embed) != (self.settings.label, self.settings.embed)

    def _reread(self, connection: Connection, state: StoreState) -> Iterator[Change]:
        """Give rows from before a decision their labels and their texts for retrieval."""
        for row in _rows_of(connection, state):
            text = text_hash(retrieval_text(row.example.input, self.settings.embed))
            after = replace(row, label=self.settings.label_of(row.example), text_hash=text)
            if after != row:
                yield row, after


def _others(page: Sequence[str], known: NDArray[np.int64]) -> list[str]:
    """Find the ids whose hashes aren't known; they take less memory than a set of ids."""
    numbers = np.fromiter(map(hash, page), np.int64, len(page))
    return [page[at] for at in np.flatnonzero(~np.isin(numbers, known)).tolist()]


def _decided(
    settings: StoreSettings, given: StoreSettings | None, label: str | None, file: ExamplesFile
) -> StoreSettings:
    """Say what the store's settings are after this import: the first one decides on the label."""
    decided = settings
    if given is not None:
        said = given.label if given.label is not None else settings.label
        measured = {
            "tuned": given.tuned or settings.tuned,
            "tuned_for": settings.tuned_for | given.tuned_for,
            "label_definitions": settings.label_definitions | given.label_definitions,
        }
        decided = given.model_copy(update={"label": said, **measured})
    if label is not None:
        if decided.label not in (None, label):
            raise ConfigError(
                f"the label of this store's rows is {decided.label or 'their own'!r} already, "
                f"it can't be {label!r} for some"
            )
        _check_label(label, file)
        return decided.model_copy(update={"label": label})
    if decided.label is None:
        return decided.model_copy(update={"label": file.label_guess})
    return decided


def _check_label(label: str, file: ExamplesFile) -> None:
    known = {"output", *file.fields} - {"id", "input", "status", "metadata"}
    if label.partition(".")[0] not in known:
        raise ConfigError(
            f"{file.source.name} has no field {label!r} for labels; {did_you_mean(label, known)}"
        )


def _rows_of(connection: Connection, state: StoreState) -> Iterator[StoredRow]:
    after = 0
    while True:
        page, after = read_page(connection, state.key, after)
        if not page:
            return
        yield from page

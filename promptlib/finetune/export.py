"""A store's rows as files to train on, in a folder with a manifest and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection

from promptlib.curation.history import read_history
from promptlib.curation.sample import Sample, near_copies, read_sample
from promptlib.errors import ConfigError, ExportError, did_you_mean
from promptlib.evaluation.session import PLAIN
from promptlib.example import retrieval_text
from promptlib.files.folders import whole_folder
from promptlib.finetune.checks import divided, file_problems
from promptlib.finetune.files import About, write_about, write_rows
from promptlib.finetune.formats import FORMATS
from promptlib.finetune.providers import Provider, providers
from promptlib.finetune.rows import Messages, TrainingRow, Unfit, answer_messages, render_rows
from promptlib.finetune.splits import SPLITS, split_rows
from promptlib.index.state import Mask, State
from promptlib.index.vector import ExampleIndex
from promptlib.project import Project
from promptlib.templating.registry import TemplateRegistry
from promptlib.templating.template import Template
from promptlib.text import file_sha256

MOST_PRICE = 1e6
"""Per million tokens; larger ones are slips."""


@dataclass(frozen=True)
class ExportOptions:
    """How rows are exported."""

    form: str = "openai"
    provider: str | None = None
    """Whose rules are checked; None for those of the format alone."""
    with_examples: bool = False
    """Show retrieved examples inside, as prompts will at run time."""
    sample: int | None = None
    """At most so many rows, drawn at random."""
    seed: int = 0
    training_price: float | None = None
    """Per million tokens."""
    skip_bad: bool = False
    """Leave out rows that a trainer would refuse."""

    def __post_init__(self) -> None:
        if self.form not in FORMATS:
            raise ConfigError(f"no format {self.form!r}; {did_you_mean(self.form, FORMATS)}")
        if self.sample is not None and self.sample < 1:
            raise ConfigError(f"sample must be 1 or more, not {self.sample}")
        price = self.training_price
        if price is not None and not 0 <= price <= MOST_PRICE:
            raise ConfigError(f"training_price must be a number from 0 to {MOST_PRICE:,.0f}")


@dataclass(frozen=True)
class Export:
    """What was exported."""

    folder: Path
    form: str
    rows: Mapping[str, int]
    """Split -> rows."""
    unfit: Sequence[Unfit]
    """Rows that were left out, and why."""
    tokens: Mapping[str, float]
    """Of a training row: total, mean, p95, most."""
    epochs: int
    cost: float | None
    """Of training, by the price that was given."""
    sha256: Mapping[str, str]
    """File -> hash."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            **vars(self),
            "folder": str(self.folder),
            "unfit": [vars(each) for each in self.unfit],
        }


def export_rows(
    project: Project, store: str, folder: Path | str, *, template: str | None = None,
    inputs: Mapping[str, Any] | None = None, options: ExportOptions = ExportOptions(),
) -> Export:  # fmt: skip
    """Write a store's approved rows to a new folder, whole or not at all.

    Raises ExportError that lists every row a trainer would refuse, unless `options.skip_bad`;
    ConfigError for a folder that is there already, and what templates and stores raise.
    """
    folder = Path(folder).resolve()
    if folder.exists():
        raise ConfigError(f"{folder} is there already; name a new folder")
    provider = _provider(options)
    project.store(store)
    loaded = _template(project, store, template, options)
    index = project.index(store)
    with index.store.database.read() as connection:
        state = index.refresh(connection)
        allowed = _allowed(project, index, state, connection, loaded)
        most = options.sample or len(state)
        sample = read_sample(index, state, connection, most, options.seed, allowed)
        corrected = _rejected(index, sample) if options.form == "dpo" else {}
        if options.form == "dpo":
            sample = sample.at([at for at, e in enumerate(sample.examples) if e.id in corrected])
        if not len(sample):
            what = "corrected answers" if options.form == "dpo" else "approved rows"
            raise ExportError([f"store {store!r} has no {what} to train on"])
        splits = _split_of(sample, options.seed)
        found: list[TrainingRow | Unfit] = _plain_rows(index, sample)
        if loaded is not None:
            hidden = None
            if options.with_examples:
                held_out = [splits[id] != "train" for id in sample.found.ids.tolist()]
                hidden = near_copies(state, sample.vectors[held_out])
            rendering = render_rows(
                project, index, state, connection, sample, loaded, inputs or {}, allowed,
                hidden=hidden, report=project.reporting("rendering rows"),
            )  # fmt: skip
            found = list(rendering)
    good, unfit = _fit_rows(found, corrected, options, provider)
    parts = {split: [row for row in good if splits[row.id] == split] for split in SPLITS}
    parts = {split: part for split, part in parts.items() if part or split == "train"}
    about = About(
        store=index.store.name, uid=state.origin.uid, revision=state.origin.revision,
        template=loaded.name if loaded else None, hash=loaded.hash if loaded else None,
        with_examples=options.with_examples, provider=options.provider, seed=options.seed,
    )  # fmt: skip
    try:
        with whole_folder(folder) as work:
            files = {
                split: write_rows(work, split, options.form, part) for split, part in parts.items()
            }
            if problems := list(file_problems(parts, files, provider)):
                raise ExportError(problems)
            export = _described(folder, options, parts, unfit, files)
            write_about(work, export.to_dict(), about)
    except OSError as error:
        raise ConfigError(f"can't write {folder}: {error.strerror or error}") from None
    return export


def _fit_rows(
    found: Sequence[TrainingRow | Unfit], corrected: Mapping[str, Messages],
    options: ExportOptions, provider: Provider | None,
) -> tuple[list[TrainingRow], list[Unfit]]:  # fmt: skip
    """Divide rows into those that can be exported and those that can't; raises ExportError."""
    rows = [
        replace(row, rejected=corrected.get(row.id, ()))
        for row in found
        if isinstance(row, TrainingRow)
    ]
    good, refused = divided(options.form, rows, provider)
    unfit = [*(row for row in found if isinstance(row, Unfit)), *refused]
    if unfit and not options.skip_bad:
        hint = f"{len(unfit):,} of {len(found):,} rows are unfit; skip_bad (--skip-bad) leaves them"
        raise ExportError(list(map(str, unfit)), f"{hint} out")
    return good, unfit


def epochs_for(rows: int) -> int:
    """Say how often rows are gone through: OpenAI's rule of thumb for small and large sets."""
    if rows * 3 < 100:
        return min(25, 100 // max(1, rows))
    return 3 if rows * 3 <= 25_000 else max(1, 25_000 // rows)


# -- parts ---------------------------------------------------------------------------------------


def _provider(options: ExportOptions) -> Provider | None:
    if options.provider is None:
        return None
    by_name = {offer.name.lower(): offer for offer in providers()}
    found = by_name.get(options.provider.lower())
    if found is None:
        names = [offer.name for offer in providers()]
        raise ConfigError(
            f"no provider {options.provider!r}; {did_you_mean(options.provider, names)}"
        )
    today = datetime.now(UTC).date()
    if not found.is_open(today):
        raise ConfigError(f"{found.name} has taken no new jobs since {found.ends}")
    if options.form not in found.formats:
        formats = ", ".join(found.formats) or "a format of its own"
        raise ConfigError(f"{found.name} reads {formats}, not {options.form}")
    return found


def _template(
    project: Project, store: str, name: str | None, options: ExportOptions
) -> Template | None:
    if options.form == "setfit":
        return None
    if name is not None:
        return project.template(name)
    found = project.template_of(store)
    if found is None:  # as plain text, as stores are measured that have none
        return TemplateRegistry(PLAIN).get("plain")
    return project.template(found)


def _allowed(
    project: Project, index: ExampleIndex, state: State, connection: Connection,
    template: Template | None,
) -> Mask:  # fmt: skip
    """Mark the rows that prompts of the template may show."""
    if template is None:
        return state.alive
    where = project.settings_of(template).where
    return index.allowed(state, connection, where) if where else state.alive


def _split_of(sample: Sample, seed: int) -> dict[str, str]:
    """Say which part each row belongs to, by id."""
    ids = sample.found.ids
    parts = split_rows(sample.codes, sample.twins, seed)
    return {id: split for split, at in parts.items() for id in ids[at].tolist()}


def _plain_rows(index: ExampleIndex, sample: Sample) -> list[TrainingRow | Unfit]:
    """Make rows without a template: texts and labels are all that a classifier reads."""
    settings = index.store.settings
    return [
        TrainingRow(
            example.id, (), answer_messages(example.output),
            retrieval_text(example.input, settings.embed), settings.label_of(example), 0,
        )
        for example in sample.examples
    ]  # fmt: skip


def _rejected(index: ExampleIndex, sample: Sample) -> dict[str, Messages]:
    """Find the answers that people have replaced, by the row's id."""
    there = {example.id: example for example in sample.examples}
    found = {}
    for each in read_history(index.store).corrections:
        row = there.get(each.id)
        # What was edited further since is no pair any more.
        if row is not None and (row.input, row.output) == (each.input, each.chosen):
            found[each.id] = answer_messages(each.rejected)
    return found


def _described(
    folder: Path, options: ExportOptions, parts: Mapping[str, Sequence[TrainingRow]],
    unfit: Sequence[Unfit], files: Mapping[str, Path],
) -> Export:  # fmt: skip
    tokens = np.array([row.tokens for row in parts["train"]])
    epochs = epochs_for(len(tokens))
    total, price = int(tokens.sum()), options.training_price
    return Export(
        folder=folder,
        form=options.form,
        rows={split: len(part) for split, part in parts.items()},
        unfit=unfit,
        tokens={
            "total": total, "mean": float(tokens.mean()),
            "p95": float(np.percentile(tokens, 95)), "most": int(tokens.max()),
        },
        epochs=epochs,
        cost=None if price is None else total * epochs * price / 1e6,
        sha256={file.name: file_sha256(file) for file in files.values()},
    )  # fmt: skip

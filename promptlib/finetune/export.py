"""A store's rows as files to train on, in a folder with a manifest and what to do next."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader

from promptlib.curation.history import read_history
from promptlib.curation.sample import Sample, read_sample
from promptlib.errors import ConfigError, ExportError, did_you_mean
from promptlib.example import retrieval_text
from promptlib.files.folders import whole_folder
from promptlib.finetune.checks import divided, file_problems
from promptlib.finetune.formats import FORMATS
from promptlib.finetune.providers import FILE as PROVIDERS_FILE
from promptlib.finetune.providers import Provider, providers
from promptlib.finetune.rows import TrainingRow, Unfit, answer_messages, render_rows
from promptlib.finetune.splits import split_rows
from promptlib.index.state import State
from promptlib.index.vector import ExampleIndex
from promptlib.project import Project
from promptlib.store.rows import now
from promptlib.templating.template import Template
from promptlib.text import file_sha256
from promptlib.version import __version__

MANIFEST = "manifest.json"


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
    loaded = _template(project, store, template, options)
    index = project.index(store)
    with index.store.database.read() as connection:
        state = index.refresh(connection)
        sample = read_sample(index, state, connection, options.sample or len(state), options.seed)
        if not len(sample):
            raise ExportError([f"store {store!r} has no approved rows"])
        splits = split_rows(sample.codes, sample.twins, options.seed)
        ids = sample.found.ids
        shown_from = frozenset(ids[splits["train"]].tolist()) if options.with_examples else None
        if loaded is None:
            found: list[TrainingRow | Unfit] = [*_plain_rows(index, sample)]
        else:
            found = list(
                render_rows(
                    project, index, state, connection, sample, loaded, inputs or {},
                    shown_from=shown_from, report=project.reporting("rendering rows"),
                )
            )  # fmt: skip
    rows = [row for row in found if isinstance(row, TrainingRow)]
    unfit = [row for row in found if isinstance(row, Unfit)]
    if options.form == "dpo":
        rows = _with_rejected(index, rows)
    made = [FORMATS[options.form](row) for row in rows]
    good, bad = divided(options.form, rows, made, provider)
    unfit += bad if options.form != "dpo" else []  # most rows were never corrected
    if unfit and not options.skip_bad:
        hint = f"{len(unfit):,} of {len(found):,} rows can't be exported; skip_bad leaves them out"
        raise ExportError(list(map(str, unfit)), hint)
    part = _parts(rows, good, ids, splits)
    with whole_folder(folder) as work:
        names = _write_files(work, options.form, rows, made, part)
        sizes = {name: (work / name).stat().st_size for name in names.values()}
        chosen = {split: [rows[at] for at in places] for split, places in part.items()}
        if problems := list(file_problems(chosen, sizes, provider)):
            raise ExportError(problems)
        export = _described(folder, work, options, chosen, unfit, names)
        _write_about(work, export, index, state, loaded, options, provider)
    return export


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
            f"no provider {options.provider!r} in {PROVIDERS_FILE.name}; "
            f"{did_you_mean(options.provider, names)}"
        )
    if options.form not in found.formats:
        raise ConfigError(f"{found.name} reads {', '.join(found.formats)}, not {options.form}")
    return found


def _template(
    project: Project, store: str, name: str | None, options: ExportOptions
) -> Template | None:
    if name is not None:
        return project.registry.get(name)
    if options.form == "setfit":
        return None
    found = project.templates_of(store)
    if len(found) != 1:
        used = f"is used by {', '.join(found)}" if found else "is named by no template"
        raise ConfigError(f"store {store!r} {used}: say with which template rows are rendered")
    return project.registry.get(found[0])


def _plain_rows(index: ExampleIndex, sample: Sample) -> list[TrainingRow]:
    """Make rows without a template: texts and labels are all that a classifier reads."""
    settings = index.store.settings
    return [
        TrainingRow(
            example.id, (), answer_messages(example.output),
            retrieval_text(example.input, settings.embed), settings.label_of(example), 0,
        )
        for example in sample.examples
    ]  # fmt: skip


def _with_rejected(index: ExampleIndex, rows: Sequence[TrainingRow]) -> list[TrainingRow]:
    """Add the answers that people have replaced."""
    found = {each.id: each for each in read_history(index.store).corrections}
    return [
        replace(row, rejected=answer_messages(found[row.id].rejected)) if row.id in found else row
        for row in rows
    ]


def _parts(
    rows: Sequence[TrainingRow], good: Sequence[int], ids: Any, splits: Mapping[str, Any]
) -> dict[str, list[int]]:
    split_of = {id: split for split, at in splits.items() for id in ids[at].tolist()}
    part: dict[str, list[int]] = {split: [] for split in splits}
    for at in good:
        part[split_of[rows[at].id]].append(at)
    return {split: places for split, places in part.items() if places or split == "train"}


def _write_files(
    work: Path, form: str, rows: Sequence[TrainingRow], made: Sequence[Mapping[str, Any]],
    part: Mapping[str, Sequence[int]],
) -> dict[str, str]:  # fmt: skip
    names = {}
    for split, places in part.items():
        names[split] = f"{split}.{'csv' if form == 'setfit' else 'jsonl'}"
        chosen = [made[at] for at in places]
        text = _csv(chosen) if form == "setfit" else _jsonl(chosen)
        (work / names[split]).write_text(text, encoding="utf-8", newline="")
    return names


def _jsonl(made: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in made)


def _csv(made: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["text", "label"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(made)
    return out.getvalue()


def _described(
    folder: Path, work: Path, options: ExportOptions, chosen: Mapping[str, Sequence[TrainingRow]],
    unfit: Sequence[Unfit], names: Mapping[str, str],
) -> Export:  # fmt: skip
    tokens = np.array([row.tokens for row in chosen["train"]])
    epochs = epochs_for(len(tokens))
    total, price = int(tokens.sum()), options.training_price
    return Export(
        folder=folder,
        form=options.form,
        rows={split: len(rows) for split, rows in chosen.items()},
        unfit=unfit,
        tokens={
            "total": total, "mean": float(tokens.mean()),
            "p95": float(np.percentile(tokens, 95)), "most": int(tokens.max()),
        },
        epochs=epochs,
        cost=None if price is None else total * epochs * price / 1e6,
        sha256={name: file_sha256(work / name) for name in names.values()},
    )  # fmt: skip


def _write_about(
    work: Path, export: Export, index: ExampleIndex, state: State, template: Template | None,
    options: ExportOptions, provider: Provider | None,
) -> None:  # fmt: skip
    manifest = {
        **export.to_dict(),
        "folder": export.folder.name,
        "made": now(),
        "promptlib": __version__,
        "store": {
            "name": index.store.name, "uid": state.origin.uid, "revision": state.origin.revision,
        },
        "template": {"name": template.name, "hash": template.hash} if template else None,
        "with_examples": options.with_examples,
        "provider": provider.name if provider else None,
        "seed": options.seed,
    }  # fmt: skip
    text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
    (work / MANIFEST).write_text(text, encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(PROVIDERS_FILE.parent), trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    readme = environment.get_template("README.md.j2").render(
        export=export, store=index.store.name, template=template, options=options,
        offers=[offer for offer in providers() if options.form in offer.formats],
    )  # fmt: skip
    (work / "README.md").write_text(readme, encoding="utf-8")

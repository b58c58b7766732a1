"""A file into a store: by import, which knows sources from edits, or as a list of edits by id."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypedDict

from promptlib.embedding.embedder import Progress
from promptlib.errors import ConfigError
from promptlib.files.reading import ExamplesFile, bad_rows
from promptlib.files.source import Format, Source, open_source
from promptlib.files.writing import replacing
from promptlib.filtering import Where
from promptlib.store.importing import ImportReport, import_examples
from promptlib.store.settings import StoreSettings
from promptlib.store.updating import read_edits, update_examples

if TYPE_CHECKING:
    from promptlib.store.store import ExampleStore


class ImportOptions(TypedDict, total=False):
    """How a file is read and what may become of it; None is as good as absent."""

    format: Format | None
    """jsonl, json, csv, tsv or parquet; by default what the file's name and beginning say."""
    charset: str | None
    """UTF-8 by default."""
    shape: str | None
    """How rows are written: openai, sharegpt, alpaca, argilla, label-studio, or plain; by default
    what the first row says, unless columns are renamed."""
    rename: Mapping[str, str] | None
    """Key of a row (`input`, `input.question`, `output`, ...) -> the file's name for it."""
    label: str | None
    """Where labels are: "output", "output.intent", or a metadata field."""
    where: Where | Mapping[str, Any] | Sequence[str] | None
    """Take only rows that meet these conditions."""
    limit: int | None
    """Take only so many."""
    skip_bad: bool
    """Leave bad rows out instead of importing nothing."""
    bad_rows: Path | str | None
    """Write the bad rows, with reasons, to this file."""
    update: bool
    """Take the rows as edits: what they say replaces that of the rows with their ids."""
    force: bool
    """With `update`: also rows that were changed after the revision which the file names."""
    restore: bool
    """Let the file win over edits and deletions made here."""
    mirror: bool
    """Remove rows that an earlier file brought and this one doesn't have."""
    dry_run: bool
    """Only report what would change."""
    by: str | None
    """Who imports; the user by default."""
    note: str
    """Why, for the log."""


def import_file(
    store: ExampleStore,
    path: Path | str | BinaryIO,
    options: ImportOptions,
    *,
    prepare: Callable[[], object] | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Read a file and merge it into a store, which is made if need be.

    `prepare` is called once the file is known to be good. Raises BadExamplesError with every bad
    row unless `skip_bad`; then nothing has changed.
    """
    skip_bad, rename = options.get("skip_bad", False), options.get("rename")
    where, limit = Where.parse(options.get("where")), options.get("limit")
    _check_options(options)
    charset, form = options.get("charset"), options.get("format")
    bad_file = options.get("bad_rows")
    if bad_file is not None and isinstance(path, str | Path) and _same(path, bad_file):
        raise ConfigError(f"bad rows can't be written to {bad_file}: it is what is read")
    shape = options.get("shape") or ("plain" if rename else "auto")
    with open_source(path, charset=charset, format=form, shape=shape) as source:
        reason, by = f"import {Path(source.name).name}", options.get("by")
        note = options.get("note", "")
        dry_run = options.get("dry_run", False)
        if options.get("update"):
            if prepare is not None:
                prepare()
            edits = read_edits(source, rename or {})
            report = update_examples(
                store, edits, skip_bad=skip_bad, dry_run=dry_run, by=by,
                force=options.get("force", False), note=note,
            )  # fmt: skip
            if bad_file is not None and report.problems and not dry_run:
                _save_bad_rows(source, report.problems, bad_file)
            return report
        label = options.get("label")
        settings = store.settings if store.exists else StoreSettings(label=label)
        file = ExamplesFile(
            source, rename=rename, where=where, limit=limit, skip_bad=skip_bad,
            label_of=settings.label_of, recipe=settings.embed,
        )  # fmt: skip
        if prepare is not None and not dry_run:
            prepare()
        if bad_file is not None and file.problems and not dry_run:
            _save_bad_rows(source, file.problems, bad_file)
        return import_examples(
            store, file, label=label, restore=options.get("restore", False),
            mirror=options.get("mirror", False), dry_run=dry_run, progress=progress, by=by,
            reason=reason, note=note,
        )  # fmt: skip


def _same(one: Path | str, other: Path | str) -> bool:
    return Path(one).resolve() == Path(other).resolve()


def _check_options(options: ImportOptions) -> None:
    """Raise ConfigError for what can't be, or can't go together."""
    limit = options.get("limit")
    if limit is not None and (not isinstance(limit, int) or limit < 0):
        raise ConfigError(f"limit must be a whole number, not {limit!r}")
    parts = {"where": options.get("where"), "label": options.get("label")}
    some = [name for name, value in parts.items() if value] + ["limit"] * (limit is not None)
    if options.get("update"):
        some += [name for name in ("mirror", "restore") if options.get(name)]
        if some:
            raise ConfigError(f"update takes every row, by its id: it can't go with {some[0]}")
    elif options.get("mirror"):
        some = [name for name in some if name != "label"]
        some += ["skip_bad"] * bool(options.get("skip_bad"))
        if some:
            raise ConfigError(f"mirror needs the whole file: it can't go with {some[0]}")


def _save_bad_rows(source: Source, problems: Iterable[tuple[int, str]], path: Path | str) -> None:
    with replacing(path) as out:
        for row in bad_rows(source, problems):
            out.write(json.dumps(row, ensure_ascii=False).encode(errors="replace") + b"\n")

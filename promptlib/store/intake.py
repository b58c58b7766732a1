"""A file into a store: by import, which knows sources from edits, or as a list of edits by id."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypedDict

from promptlib.embedding.embedder import Progress
from promptlib.errors import BadExamplesError, ConfigError, ExampleError, StoreError
from promptlib.example import Example
from promptlib.files.raw import raw_rows
from promptlib.files.reading import ExamplesFile, renamed
from promptlib.files.source import Format, Source, open_source
from promptlib.files.writing import replacing
from promptlib.filtering import Where
from promptlib.store.importing import SAMPLE, ImportReport, import_examples
from promptlib.store.rows import rows_by_id
from promptlib.store.settings import StoreSettings

if TYPE_CHECKING:
    from promptlib.store.store import ExampleStore


class ImportOptions(TypedDict, total=False):
    """How a file is read and what may become of it; None is as good as absent."""

    format: Format | None
    """jsonl, csv, tsv or parquet; by default what the file's name and beginning say."""
    charset: str | None
    """UTF-8 by default."""
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
    restore: bool
    """Let the file win over edits and deletions made here."""
    mirror: bool
    """Remove rows that an earlier file brought and this one doesn't have."""
    dry_run: bool
    """Only report what would change."""
    by: str | None
    """Who imports; the user by default."""


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
    if limit is not None and (not isinstance(limit, int) or limit < 0):
        raise ConfigError(f"limit must be a whole number, not {limit!r}")
    charset, form = options.get("charset"), options.get("format")
    with open_source(path, charset=charset, format=form) as source:
        reason, by = f"import {Path(source.name).name}", options.get("by")
        dry_run = options.get("dry_run", False)
        if options.get("update"):
            if where or limit is not None or options.get("mirror") or options.get("label"):
                raise ConfigError("update takes every row of the file, by its id")
            return _update(store, source, rename or {}, skip_bad=skip_bad, dry_run=dry_run, by=by)
        label = options.get("label")
        settings = store.settings if store.exists else StoreSettings(label=label)
        file = ExamplesFile(
            source, rename=rename, where=where, limit=limit, skip_bad=skip_bad,
            label_of=settings.label_of, recipe=settings.embed,
        )  # fmt: skip
        if not dry_run:
            if prepare is not None:
                prepare()
            if (bad_rows := options.get("bad_rows")) is not None and file.problems:
                _save_bad_rows(file, bad_rows)
        return import_examples(
            store, file, label=label, restore=options.get("restore", False),
            mirror=options.get("mirror", False), dry_run=dry_run, progress=progress, by=by,
            reason=reason,
        )  # fmt: skip


def _save_bad_rows(file: ExamplesFile, path: Path | str) -> None:
    with replacing(path) as out:
        for row in file.bad_rows():
            out.write(json.dumps(row, ensure_ascii=False).encode(errors="replace") + b"\n")


def _update(
    store: ExampleStore, source: Source, rename: Mapping[str, str], *, skip_bad: bool,
    dry_run: bool, by: str | None,
) -> ImportReport:  # fmt: skip
    """Edit the rows that the file names by id: what it says replaces what they had."""
    rows: list[tuple[int, dict[str, Any]]] = []
    problems: list[tuple[int, str]] = []
    for raw in raw_rows(source):
        problem = raw.problem
        with suppress(ExampleError):
            fields = renamed(raw.fields, rename, as_text=source.format in ("csv", "tsv"))
        if problem is None and not isinstance(fields.get("id"), str):
            problem = "id is missing: an update needs to know which row it is for"
        if problem is None:
            rows.append((raw.line, fields))
        else:
            problems.append((raw.line, problem))
    edited: dict[str, Example] = {}
    unchanged = 0
    with store.database.read() as connection:
        existing = rows_by_id(connection, store.state(connection).key, (f["id"] for _, f in rows))
    for line, fields in rows:
        before = existing.get(fields["id"])
        try:
            if before is None or before.deleted:
                raise ExampleError(f"no example {fields['id']!r} in store {store.name!r}")
            if fields["id"] in edited:
                raise ExampleError(f"id {fields['id']!r} stands twice")
            example = _edited(before.example, fields)
        except ExampleError as error:
            problems.append((line, str(error)))
            continue
        if (example.content, example.status) == (before.content, before.status):
            unchanged += 1
        else:
            edited[example.id] = example
    if problems and not skip_bad:
        hint = f"bad rows: {len(problems):,}; nothing was changed"
        raise BadExamplesError(source.name, sorted(problems), hint)
    if not rows:
        raise StoreError(f"{source.name} holds no rows to update by")
    report = ImportReport(
        updated=len(edited), unchanged=unchanged, problems=tuple(sorted(problems)),
        samples={"updated": list(edited)[:SAMPLE]}, dry_run=dry_run,
    )  # fmt: skip
    if not dry_run:
        report.revision = store.update(*edited.values(), by=by) if edited else store.revision
    return report


def _edited(example: Example, fields: Mapping[str, Any]) -> Example:
    """Put what a row says over what an example has; metadata is merged."""
    incoming = Example.from_dict({"input": "-", "output": "-", **fields})
    row = example.to_dict() | {
        key: fields[key] for key in ("input", "output", "label", "status") if key in fields
    }
    row["metadata"] = {**example.metadata, **incoming.metadata}
    return Example.from_dict(row)

"""Examples into files: written whole or not at all."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from promptlib.errors import MissingDependencyError, StoreError, did_you_mean
from promptlib.example import Example
from promptlib.files.raw import JSON_FIELD, JSON_STARTS
from promptlib.files.shapes import shape_named
from promptlib.files.source import SUFFIXES, Format, format_by_name

COLUMNS = ("id", "input", "output", "label", "status", "metadata")


def format_of(path: Path | str) -> Format:
    """Tell the format by the suffix, before .gz; JSONL where there is none. Raises StoreError."""
    path = Path(path)
    format, suffix = format_by_name(path), Path(path.name.removesuffix(".gz")).suffix
    if format is None and suffix and str(path) != "-":
        raise StoreError(
            f"can't write {path}: no format {suffix}; {did_you_mean(suffix, SUFFIXES)}"
        )
    return format or "jsonl"


def save_examples(
    examples: Iterable[Example], path: Path | str, format: Format | None = None,
    shape: str = "plain", revision: int | None = None,
) -> int:  # fmt: skip
    """Write examples to a file, in the order given; returns how many.

    The suffix says how: .jsonl, .json, .csv, .tsv or .parquet, and .gz after it. `revision`, the
    store's, goes into a column of a table, so that edits of it are told from later ones. Raises
    StoreError.
    """
    format, count = format or format_of(path), 0
    packed = str(path).lower().endswith(".gz")
    if packed and format == "parquet":
        raise StoreError(f"can't write {path}: Parquet is packed by itself, leave out .gz")

    def counted() -> Iterator[Example]:
        nonlocal count
        for example in examples:
            count += 1
            yield example

    with replacing(path) as file:
        if packed:
            with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as out:
                write_examples(counted(), out, format, shape, revision)  # type: ignore[arg-type]
        else:
            write_examples(counted(), file, format, shape, revision)
    return count


def write_examples(
    examples: Iterable[Example], file: BinaryIO, format: Format, shape: str = "plain",
    revision: int | None = None,
) -> None:  # fmt: skip
    """Write examples to an open file; `shape` is how JSON rows are written (see `shapes`)."""
    if format == "parquet":
        _write_parquet(examples, file)
        return
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    try:
        if format in ("json", "jsonl"):
            write = Example.to_dict if shape == "plain" else shape_named(shape).write
            _write_json(map(write, examples), text, array=format == "json")
        else:
            _write_csv(examples, text, "\t" if format == "tsv" else ",", revision)
        text.flush()
    finally:
        text.detach()


@contextmanager
def replacing(path: Path | str) -> Iterator[BinaryIO]:
    """Write a file beside the old one, then put it in its place.

    Links are followed, a file keeps its mode, and what isn't a plain file is written through.
    Raises StoreError.
    """
    path = Path(os.path.realpath(path))
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as through:
                yield through
            return
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with part.open("xb") as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if path.exists():
                    os.chmod(part, path.stat().st_mode & 0o7777)
                os.replace(part, path)
            except BaseException:
                os.unlink(part)
                raise
    except OSError as error:
        raise StoreError(f"can't write {path}: {error.strerror or error}") from None


def _write_json(rows: Iterable[dict[str, Any]], text: TextIO, *, array: bool) -> None:
    """Write a row a line; as an array, with what that takes around and between them."""
    between = "[\n" if array else ""
    for row in rows:
        text.write(between + json.dumps(row, ensure_ascii=False) + ("" if array else "\n"))
        between = ",\n" if array else ""
    if array:
        text.write("\n]\n" if between == ",\n" else "[]\n")


def _write_csv(
    examples: Iterable[Example], text: TextIO, delimiter: str, revision: int | None
) -> None:
    writer = csv.writer(text, delimiter=delimiter)  # RFC 4180: what it ends lines with, it quotes
    more = [] if revision is None else [revision]
    writer.writerow([*COLUMNS, *(["store:revision"] if more else [])])
    for example in examples:
        row = example.to_dict()
        writer.writerow([*(_cell(row.get(name)) for name in COLUMNS), *more])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _write_parquet(examples: Iterable[Example], file: BinaryIO) -> None:
    """Write a table of texts; what isn't text, or looks like JSON, is JSON (see JSON_FIELD)."""
    try:
        import pyarrow
        from pyarrow.parquet import ParquetWriter
    except ImportError:
        raise MissingDependencyError("Parquet files", "parquet") from None
    as_json = {"input", "output", "metadata"}
    schema = pyarrow.schema(
        pyarrow.field(name, pyarrow.string(), metadata=JSON_FIELD if name in as_json else None)
        for name in COLUMNS
    )
    rows = (example.to_dict() for example in examples)
    with ParquetWriter(file, schema, compression="zstd") as writer:
        while part := list(islice(rows, 4096)):
            cells = {
                name: [
                    _json_cell(row.get(name)) if name in as_json else row.get(name) for row in part
                ]
                for name in COLUMNS
            }
            writer.write_table(pyarrow.table(cells, schema=schema))


def _json_cell(value: Any) -> str | None:
    plain = value is None or (isinstance(value, str) and not value.startswith(JSON_STARTS))
    return value if plain else json.dumps(value, ensure_ascii=False)

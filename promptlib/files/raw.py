"""Rows of a file as they stand there: one object each, before anything is made of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from promptlib.errors import ExampleError, MissingDependencyError, StoreError
from promptlib.example import MAX_EXAMPLE_BYTES
from promptlib.files.datasets import dataset_batches
from promptlib.files.shapes import shape_named, shape_of
from promptlib.files.source import HEAD, Source
from promptlib.text import kind_of

LONGEST = 8 * MAX_EXAMPLE_BYTES
"""Bytes or characters of a line: a row may be escaped throughout."""

DELIMITERS = ",;\t|"

JSON_FIELD = {b"promptlib": b"text, or JSON where it starts like JSON"}
"""Marks a Parquet column whose cells are text or, if they start like JSON, JSON."""

JSON_STARTS = ("{", "[", '"')


@dataclass(frozen=True)
class RawRow:
    """One row: the line it starts on, its fields or what is wrong with it, and its text."""

    line: int
    fields: dict[str, Any]
    problem: str | None
    text: str
    written: Mapping[str, Any] | None = None
    """The fields as the file has them, where another tool's way of writing was read."""


def raw_rows(source: Source) -> Iterator[RawRow]:
    """Read the rows of a file one by one; raises StoreError when it can't be read as a whole."""
    readers = {
        "jsonl": _jsonl, "json": _json, "csv": _table, "tsv": _table, "parquet": _parquet,
        "dataset": _dataset,
    }  # fmt: skip
    with source.errors():
        yield from _shaped(source.shape, readers[source.format](source))


def _shaped(named: str, rows: Iterator[RawRow]) -> Iterator[RawRow]:
    """Read rows as other tools write them; "auto" goes by the first that can be read."""
    shape = shape_named(named) if named not in ("plain", "auto") else None
    known = named != "auto"
    for row in rows:
        if not known and row.problem is None:
            shape, known = shape_of(row.fields), True
        if shape is None or row.problem is not None:
            yield row
            continue
        try:
            yield replace(row, fields=shape.read(row.fields), written=row.fields)
        except (ExampleError, LookupError, TypeError, AttributeError) as error:
            why = str(error) if isinstance(error, ExampleError) else "it isn't written so"
            yield replace(row, fields={}, problem=why, written=row.fields)


def _jsonl(source: Source) -> Iterator[RawRow]:
    # Only \n ends a line: other line ends may stand inside a text.
    opened: Any = source.open() if source.charset is None else source.open_text("\n")
    with opened as file:
        for number, line in enumerate(_lines(file), start=1):
            if not line.strip():
                continue
            try:
                yield RawRow(number, _parsed(line), None, "")
            except ExampleError as error:
                text = line if isinstance(line, str) else line.decode(errors="replace")
                yield RawRow(number, {}, str(error), text.rstrip("\n"))


def _json(source: Source) -> Iterator[RawRow]:
    """Read a JSON array; its items count as lines."""
    with source.open_text() as text:
        try:
            items = json.load(text, object_pairs_hook=_object)
        except ExampleError as error:
            raise StoreError(f"{source.name}: {error}") from None
        except json.JSONDecodeError as error:
            place = f"{source.name}:{error.lineno}"
            raise StoreError(
                f"{place}: not JSON: {_reason(error)} at column {error.colno}"
            ) from None
        except (RecursionError, ValueError) as error:
            raise StoreError(f"{source.name}: not JSON that can be read: {error}") from None
    for number, item in enumerate(items, start=1):
        if isinstance(item, dict):
            yield RawRow(number, item, None, "")
        else:
            why = f"a row must be an object, not {kind_of(item)}"
            yield RawRow(number, {}, why, json.dumps(item))


def _dataset(source: Source) -> Iterator[RawRow]:
    number = 0
    for split, rows in dataset_batches(source.path):
        for row in rows:
            number += 1
            try:
                there = {name: value for name, value in row.items() if value is not None}
                fields = {name: _cell(name, value) for name, value in there.items()}
                yield RawRow(number, fields | ({"split": split} if split else {}), None, "")
            except ExampleError as error:
                yield RawRow(number, {}, str(error), repr(row))


def _lines(file: Any) -> Iterator[bytes | str]:
    """Read lines; of one that no row can have, the first LONGEST characters."""
    while line := file.readline(LONGEST):
        yield line
        newline = b"\n" if isinstance(line, bytes) else "\n"
        while len(line) == LONGEST and not line.endswith(newline):
            line = file.readline(LONGEST)


def _parsed(line: bytes | str) -> dict[str, Any]:
    if len(line) >= LONGEST:
        raise ExampleError(f"the line is longer than {LONGEST / 1e6:.0f} MB")
    try:
        text = line if isinstance(line, str) else line.decode()
        row = _decode(text)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ExampleError(f"not UTF-8: byte 0x{byte:02x} at column {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise ExampleError(f"not JSON: {_reason(error)} at column {error.colno}") from None
    except ExampleError:
        raise
    except (RecursionError, ValueError) as error:
        raise ExampleError(f"not JSON that can be read: {error}") from None
    if not isinstance(row, dict):
        raise ExampleError(f"a row must be an object, not {kind_of(row)}")
    return row


def _reason(error: json.JSONDecodeError) -> str:
    return error.msg.removesuffix(" at")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ExampleError(f"{', '.join(map(repr, twice))} stands twice in one object")
    return row


_decode = json.JSONDecoder(object_pairs_hook=_object).decode


def _table(source: Source) -> Iterator[RawRow]:
    """Read CSV or TSV with a header. Cells are texts; an empty one is as good as absent."""
    csv.field_size_limit(1 << 24)
    with source.open_text() as text:
        head = text.read(HEAD)
    with source.open_text() as text:
        reader = csv.reader(text, delimiter=_delimiter(source, head), strict=True)
        header: list[str] | None = None
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise StoreError(
                    f"{source.name}:{line}: not {source.format.upper()}: {error}"
                ) from None
            if cells is None:
                return
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(source, line, cells)
                continue
            problem = None
            if len(cells) != len(header):
                s = "" if len(cells) == 1 else "s"
                problem = f"{len(cells)} cell{s}, where the header has {len(header)} columns"
            fields = {name: cell for name, cell in zip(header, cells, strict=False) if cell}
            yield RawRow(line, fields, problem, ",".join(cells))


def _header(source: Source, line: int, cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    if "" in header:
        raise StoreError(f"{source.name}:{line}: column {header.index('') + 1} has no name")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise StoreError(f"{source.name}:{line}: there are two columns {twice[0]!r}")
    return header


def _delimiter(source: Source, head: str) -> str:
    # By the header alone: what stands in cells would mislead.
    return "\t" if source.format == "tsv" else max(DELIMITERS, key=head.split("\n", 1)[0].count)


def _parquet(source: Source) -> Iterator[RawRow]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise MissingDependencyError("Parquet files", "parquet") from None
    try:
        file = ParquetFile(source.path)
        columns = {field.name: field.metadata or {} for field in file.schema_arrow}
        as_json = {name for name, marks in columns.items() if JSON_FIELD.items() <= marks.items()}
        number = 0
        for batch in file.iter_batches(batch_size=4096):
            for row in batch.to_pylist():
                number += 1
                try:
                    fields = {
                        name: json.loads(value)
                        if name in as_json and value.startswith(JSON_STARTS)
                        else _cell(name, value)
                        for name, value in row.items()
                        if value is not None
                    }
                    yield RawRow(number, fields, None, "")
                except (ExampleError, ValueError) as error:
                    yield RawRow(number, {}, str(error), repr(row))
    except ArrowException as error:
        reason = str(error).splitlines()[0]
        raise StoreError(f"{source.name} is not a Parquet file: {reason}") from None


def _cell(name: str, value: Any) -> Any:
    try:
        return _plain(value)
    except ExampleError as error:
        raise ExampleError(f"column {name!r}: {error}; write the file without it") from None


def _plain(value: Any) -> Any:
    """Turn a cell into JSON's kinds; raises ExampleError for bytes and the like."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    raise ExampleError(f"a cell holds {type(value).__name__}, which JSON doesn't have")

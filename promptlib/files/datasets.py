"""Folders of Hugging Face datasets: as `save_to_disk` writes them, or of Parquet files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from promptlib.errors import MissingDependencyError, StoreError

SPLITS = re.compile(r"(train|test|validation|valid|dev|eval)", re.IGNORECASE)


def is_dataset(folder: Path) -> bool:
    """Whether a folder holds a dataset."""
    return folder.is_dir() and next(_files(folder), None) is not None


def dataset_batches(folder: Path) -> Iterator[tuple[str | None, list[dict[str, Any]]]]:
    """Go through a dataset: (split, rows), a batch at a time; classes are named.

    Raises StoreError for a file that can't be read, MissingDependencyError without pyarrow.
    """
    try:
        import pyarrow
    except ImportError:
        raise MissingDependencyError("datasets", "parquet") from None
    for file in sorted(_files(folder)):
        try:
            for batch, names in _batches(file):
                rows = batch.to_pylist()
                for row in rows:
                    for column, classes in names.items():
                        value = row.get(column)
                        if isinstance(value, int):  # -1 is a row that nobody has labelled
                            row[column] = classes[value] if 0 <= value < len(classes) else None
                yield _split(folder, file), rows
        except (pyarrow.ArrowException, OSError) as error:
            raise StoreError(f"can't read {file}: {str(error).splitlines()[0]}") from None


def _files(folder: Path) -> Iterator[Path]:
    """Find the data files; those that `datasets` keeps as caches aren't."""
    for file in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        cached = file.name.startswith("cache-") or hidden
        if file.suffix in (".arrow", ".parquet") and not cached:
            yield file


def _batches(file: Path) -> Iterator[tuple[Any, Mapping[str, list[str]]]]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    if file.suffix == ".parquet":
        table = ParquetFile(file)
        for batch in table.iter_batches(4096):
            yield batch, _classes(table.schema_arrow)
        return
    with pyarrow.memory_map(str(file)) as mapped:
        reader = pyarrow.ipc.open_stream(mapped)
        for batch in reader:
            yield batch, _classes(reader.schema)


def _classes(schema: Any) -> dict[str, list[str]]:
    """Read the names of classes, where a column holds their numbers."""
    marks = (schema.metadata or {}).get(b"huggingface")
    features = json.loads(marks).get("info", {}).get("features", {}) if marks else {}
    return {
        name: feature["names"]
        for name, feature in features.items()
        if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel"
    }


def _split(folder: Path, file: Path) -> str | None:
    """Name the split that a file is of: by its folder, or by its own name."""
    for part in reversed(file.relative_to(folder).parts):
        if match := SPLITS.match(part):
            return match[1].lower()
    return None

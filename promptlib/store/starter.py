"""A store that comes as files: `examples.jsonl`, and `store.toml` beside it.

The file is a seed. The database is the truth, and remembers the hash of what it was made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptlib.embedding.embedder import Embedder, Progress
from promptlib.store.database import Database
from promptlib.store.files import file_seed, read_jsonl
from promptlib.store.importing import ImportReport, import_examples
from promptlib.store.settings import StoreSettings
from promptlib.store.store import ExampleStore


@dataclass(frozen=True)
class Starter:
    """The folder of a starter store."""

    folder: Path

    @property
    def name(self) -> str:
        """The store's name: that of the folder."""
        return self.folder.name

    @property
    def file(self) -> Path:
        """Where the examples are."""
        return self.folder / "examples.jsonl"

    @property
    def settings(self) -> StoreSettings:
        """What store.toml says; raises ConfigError."""
        return StoreSettings.from_toml(self.folder / "store.toml")

    def changed_since(self, seed: Mapping[str, Any] | None) -> bool:
        """Whether the file differs from what was imported; hashed only when its stat differs."""
        if seed is None or not self.file.is_file():
            return False
        stat = self.file.stat()
        if (stat.st_size, stat.st_mtime_ns) == (seed["size"], seed["mtime_ns"]):
            return False
        return bool(file_seed(self.file)["sha256"] != seed["sha256"])

    def sync(
        self, database: Database, embedder: Embedder, progress: Progress | None = None
    ) -> ImportReport:
        """Merge the file into the store, which is made if need be."""
        store = ExampleStore(database, self.name, embedder)
        return import_examples(
            store, read_jsonl(self.file), settings=self.settings, seed=file_seed(self.file),
            progress=progress, reason=f"import {self.file.name}",
        )  # fmt: skip

"""A store that comes as files: `examples.jsonl`, and `store.toml` beside it.

The file is a seed. The database is the truth, and remembers the hash of what it was made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptlib.embedding.embedder import Embedder, Progress
from promptlib.store.database import Database
from promptlib.store.settings import StoreSettings
from promptlib.store.store import ExampleStore
from promptlib.text import file_sha256

if TYPE_CHECKING:
    from promptlib.store.importing import ImportReport


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
        return StoreSettings.from_toml(self.toml)

    @property
    def toml(self) -> Path:
        """Where the store's settings are."""
        return self.folder / "store.toml"

    def seed(self) -> dict[str, Any]:
        """Describe the files: their hashes, and what tells cheaply that they haven't changed."""
        return {file.name: _described(file) for file in (self.file, self.toml) if file.is_file()}

    def changed_since(self, seed: Mapping[str, Any] | None) -> bool:
        """Whether a file differs from what was imported; hashed only when its stat differs."""
        if seed is None or not self.file.is_file():
            return False
        for file in (self.file, self.toml):
            known = seed.get(file.name)
            if (known is None) != (not file.is_file()):
                return True
            if known is None:
                continue
            stat = file.stat()
            if (stat.st_size, stat.st_mtime_ns) == (known["size"], known["mtime_ns"]):
                continue
            if _described(file)["sha256"] != known["sha256"]:
                return True
        return False

    def sync(
        self, database: Database, embedder: Embedder, progress: Progress | None = None
    ) -> ImportReport:
        """Merge the file into the store, which is made if need be."""
        from promptlib.files.reading import ExamplesFile
        from promptlib.files.source import open_source
        from promptlib.store.importing import import_examples

        store = ExampleStore(database, self.name, embedder)
        with open_source(self.file) as source:
            settings, seed = self.settings, self.seed()
            file = ExamplesFile(source, label_of=settings.label_of, recipe=settings.embed)
            return import_examples(
                store, file, settings=settings, seed=seed, progress=progress,
                reason=f"import {self.file.name}",
            )  # fmt: skip


def _described(file: Path) -> dict[str, Any]:
    stat = file.stat()
    return {"sha256": file_sha256(file), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}

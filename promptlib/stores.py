"""The stores of a project folder: in the database, as starter files, and their indexes."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Unpack

from promptlib.config import ProjectConfig, ProjectProgress
from promptlib.embedding.embedder import Embedder, Progress
from promptlib.errors import StoreNotFoundError, did_you_mean
from promptlib.forking import ForkAware
from promptlib.index.vector import ExampleIndex
from promptlib.store.database import Database
from promptlib.store.settings import StoreSettings
from promptlib.store.starter import Starter
from promptlib.store.store import ExampleStore

if TYPE_CHECKING:
    from promptlib.store.importing import ImportReport
    from promptlib.store.intake import ImportOptions


class ProjectStores(ForkAware):
    """Opens stores and indexes by name, each once; safe to share by threads."""

    def __init__(
        self,
        root: Path,
        config: ProjectConfig,
        embedder: Embedder,
        *,
        database: Database | None = None,
        index_folder: Path | None = None,
        progress: ProjectProgress | None = None,
    ) -> None:
        self.root = root
        self.config = config
        self.embedder = embedder
        if database is None:
            url = os.environ.get("PROMPTLIB_DATABASE") or config.database
            database = Database(url, root=root)
        self.database = database
        self.index_folder = index_folder or root / ".promptlib" / "index"
        self.progress = progress
        self._starter_files: dict[str, tuple[str, str]] = {}
        self._unchanged: dict[str, tuple[int | None, ...]] = {}
        self._indexes: dict[str, ExampleIndex] = {}
        self._renew()
        super().__init__()

    def _renew(self) -> None:
        self._lock = threading.RLock()

    # -- stores ----------------------------------------------------------------------------------

    def store_names(self) -> list[str]:
        """List the stores of the database and the starters not imported yet."""
        names = set(self.starters())
        if self.database.exists:
            names.update(ExampleStore.names(self.database))
        return sorted(names)

    def starters(self) -> dict[str, Starter]:
        """Find the stores that come as files: name -> starter."""
        folder = self.root / self.config.example_stores
        found = (Starter(file.parent) for file in sorted(folder.glob("*/examples.jsonl")))
        return {starter.name: starter for starter in found}

    def starter(self, name: str) -> Starter | None:
        """Find the files that a store was or will be made from."""
        starter = self._starter(name)
        return starter if starter.file.is_file() else None

    def find_store(self, name: str) -> ExampleStore | None:
        """Find a store in the database; None for one that isn't there, a starter perhaps."""
        store = ExampleStore(self.database, name, self.embedder)
        return store if store.exists else None

    def store(self, name: str) -> ExampleStore:
        """Open a store; a starter is imported on first use. Raises StoreNotFoundError."""
        store = self.find_store(name)
        if store is None and self.starter(name):
            self.sync(name)
            store = self.find_store(name)
        if store is None:
            known = self.store_names()
            raise StoreNotFoundError(f"no store {name!r}; {did_you_mean(name, known)}")
        return store

    def create_store(self, name: str, settings: StoreSettings | None = None) -> ExampleStore:
        """Create an empty store; raises StoreError if the name is taken."""
        return ExampleStore.create(self.database, name, self.embedder, settings)

    def import_file(
        self, name: str, path: Path | str | BinaryIO, **options: Unpack[ImportOptions]
    ) -> ImportReport:
        """Merge a file into a store, which is made if need be; a starter is imported first.

        Raises BadExamplesError with every bad row, unless `skip_bad`; then nothing has changed.
        """
        from promptlib.store.intake import import_file

        store = ExampleStore(self.database, name, self.embedder)
        starts = not store.exists and self.starter(name) is not None
        return import_file(
            store, path, options, prepare=partial(self.store, name) if starts else None,
            progress=self.reporting(f"importing {name}"),
        )  # fmt: skip

    def sync(self, name: str) -> ImportReport:
        """Merge a store's starter file into it, making the store if need be."""
        starter = self.starter(name)
        if starter is None:
            raise StoreNotFoundError(
                f"store {name!r} has no file {self.config.example_stores}/{name}/examples.jsonl"
            )
        return starter.sync(self.database, self.embedder, self.reporting(f"importing {name}"))

    def index(self, name: str) -> ExampleIndex:
        """Open the index of a store, with every row's vector in place."""
        index = self._indexes.get(name)
        if index is None:
            with self._lock:
                index = self._indexes.get(name)
                if index is None:
                    index = self._opened(self.store(name))
                    self._indexes[name] = index
        return index

    def drop_index(self, name: str) -> None:
        """Destroy the index of a store; the next search makes it anew."""
        from filelock import FileLock

        with self._lock:
            index = self._indexes.pop(name, None)
            if index is not None:
                index.close()
        folder = self.index_folder / name
        if folder.is_dir():
            # Whoever builds now builds from what is there now: that is to go too.
            with FileLock(folder / "building"), FileLock(folder / "lock"):
                for part in folder.iterdir():
                    if part.name not in ("lock", "building"):
                        shutil.rmtree(part) if part.is_dir() else part.unlink()

    def reporting(self, what: str) -> Progress | None:
        """Make the progress callback for one long work; None where nobody listens."""
        report = self.progress
        return None if report is None else lambda done, total: report(what, done, total)

    def close(self) -> None:
        """End what goes on in the background, and close the database."""
        for index in self._indexes.values():
            index.close()
        self.database.close()

    # -- parts -----------------------------------------------------------------------------------

    def _opened(self, store: ExampleStore) -> ExampleIndex:
        folder = self.index_folder / store.name
        index = ExampleIndex(store, folder=folder, recall=self.config.index.recall)
        index.embed_missing(self.reporting(f"embedding {store.name}"))
        return index

    def _store_notes(self, store: ExampleStore, rows: int, pending: int) -> Iterator[str]:
        """Say what a user of the store should know about it."""
        name = store.name
        if pending:
            yield f"{pending:,} rows of {name} are not embedded yet and can't be found"
        elif not rows:
            drafts = "; its drafts wait for approval" if len(store) else ""
            yield f"store {name} has no examples to show{drafts}"
        if self._starter_changed(store):
            yield (
                f"{self.config.example_stores}/{name}/examples.jsonl or store.toml has changed "
                f"since it was imported; merge it with: promptlib store sync {name}"
            )

    def _starter(self, name: str) -> Starter:
        return Starter(self.root / self.config.example_stores / name)

    def _starter_changed(self, store: ExampleStore) -> bool:
        """Compare starter file and store; asks the database only when the file's time is new."""
        files = self._starter_files.get(store.name)
        if files is None:
            starter = self._starter(store.name)
            files = self._starter_files[store.name] = str(starter.file), str(starter.toml)
        times = tuple(map(_modified, files))
        if times[0] is None or self._unchanged.get(store.name) == times:
            return False
        if self._starter(store.name).changed_since(store.state().seed):
            return True
        self._unchanged[store.name] = times
        return False


def _modified(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None

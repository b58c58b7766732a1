"""The index of a store: a replica that catches up with it and can be thrown away."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, select

from promptlib.embedding.embedder import Embedder, Progress, Vectors
from promptlib.errors import PromptlibError, StaleIndexError
from promptlib.example import retrieval_text
from promptlib.filtering import Where
from promptlib.forking import ForkAware, abandon
from promptlib.index.base import Base, Origin, make_base
from promptlib.index.base_files import building, current_generation, open_base, save_base
from promptlib.index.candidates import Candidates
from promptlib.index.delta import caught_up, no_rows
from promptlib.index.masks import Masks
from promptlib.index.reading import Read, read_rows
from promptlib.index.recall import RECALL
from promptlib.index.state import Mask, State
from promptlib.store.database import batched
from promptlib.store.settings import StoreSettings
from promptlib.store.store import ExampleStore
from promptlib.store.tables import revisions

log = logging.getLogger(__name__)

SHORTLIST = 64
"""How many candidates a search finds unless told otherwise."""

REBUILD_SHARE, REBUILD_ROWS, FREE_ROWS = 0.05, 5_000, 64
"""A new base is built when more than this share of it, or more rows than this, have changed; the
last number of rows costs so little to carry along that they never ask for one."""

PENDING_PAUSE = 1.0
"""Seconds between two looks for vectors that another process is still making; more where a look
takes long."""


class ExampleIndex(ForkAware):
    """Finds the examples nearest to a query.

    It keeps (store uid, revision, that revision's token) and catches up only from a state that the
    store knows. Otherwise, and when its files are missing, damaged or of another embedder, it is
    built again from the store's vectors. It never answers from anything else.

    When much has changed since the base was built, a new one is built in a thread of its own while
    base and delta go on answering.
    """

    def __init__(
        self, store: ExampleStore, embedder: Embedder | None = None, folder: Path | None = None,
        recall: float = RECALL,
    ) -> None:  # fmt: skip
        self.store = store
        self.embedder = embedder or store.embedder
        self.folder = folder
        self.recall = recall
        self._looked = self._took = 0.0
        self._state: State | None = None
        self._useless: Path | None = None
        self._masks = Masks(store)
        self._settings: tuple[Origin, StoreSettings] | None = None
        self._renew()
        super().__init__()

    def _renew(self) -> None:
        # A forked child opens its own: a search in what the parent has mapped can hang.
        if self._state is not None:
            abandon(self._state)
        self._state = None
        self._lock = threading.Lock()
        self._rebuilding: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self.refresh())

    def search(self, query: str | Vectors, k: int = SHORTLIST) -> Candidates:
        """Find the k nearest examples to a text, or to a unit vector (dim,)."""
        vector = self.embedder.embed([query], kind="query")[0] if isinstance(query, str) else query
        return self.refresh().nearest(vector, k)

    def refresh(self, connection: Connection | None = None) -> State:
        """Catch up with the store, in the snapshot of `connection` if there is one."""
        if connection is None:
            with self.store.database.read() as connection:
                return self.refresh(connection)
        key, origin = self._position(connection)
        state = self._state
        if state is not None and state.origin == origin and not self._should_look(state):
            return state
        with self._lock:
            began = time.monotonic()
            key, origin = self._position(connection)  # another thread may have gone on meanwhile
            state = self._state = self._caught_up(connection, key, origin)
            self._looked = time.monotonic()
            self._took = self._looked - began
            self._rebuild_if_due(state)
            return state

    def sample_texts(self, count: int, seed: int = 0) -> list[str]:
        """Read the texts of so many rows, drawn at random, as they are found by."""
        with self.store.database.read() as connection:
            state = self.refresh(connection)
            recipe = self.settings(state, connection).embed
            drawn = state.draw(np.flatnonzero(state.alive), min(count, len(state)), seed)
            rows = (
                row
                for part in batched(state.keys_at(drawn).tolist())
                for row in self.store.by_keys(part, connection)
            )
            return [retrieval_text(row.input, recipe) for row in rows]

    def allowed(self, state: State, connection: Connection, where: Where) -> Mask:
        """Mark the rows that meet conditions, by position; raises ConfigError."""
        return self._masks.of(state, connection, where)

    def settings(self, state: State, connection: Connection) -> StoreSettings:
        """Read the store's settings; they don't change without its revision."""
        known = self._settings
        if known is None or known[0] != state.origin:
            known = self._settings = state.origin, self.store.state(connection).settings
        return known[1]

    def close(self) -> None:
        """Wait for a base that is being built, so that the next process finds it."""
        if self._rebuilding is not None:
            self._rebuilding.join()

    def embed_missing(self, progress: Progress | None = None) -> int:
        """Embed rows that have no vector for this embedder; returns how many texts.

        One process does it while others go on without those rows. Raises StaleIndexError when
        nothing can be found because the vectors are missing and can't be written.
        """
        pending = self.refresh().pending
        if not pending:
            return 0
        if self.store.database.read_only:
            if len(self):
                return 0  # those that can be found are; reports count the others
            raise StaleIndexError(
                f"{pending:,} rows of store {self.store.name!r} have no vectors for this embedder, "
                "and the project is read-only; open it once where it can be written to"
            )
        from filelock import FileLock, Timeout

        try:
            with FileLock(f"{self.store.database.path}.embedding", timeout=0):
                made = self.store.embed_missing(progress)
        except Timeout:
            log.info("%s rows are being embedded by another process", f"{pending:,}")
            return 0
        self._looked = -math.inf
        self.refresh()
        return made

    # -- catching up -----------------------------------------------------------------------------

    def _position(self, connection: Connection) -> tuple[int, Origin]:
        """Read where the store stands, in a snapshot no older than what was seen already."""
        seen = self._state
        key, uid, revision, token = self.store.position(connection)
        if seen is not None and seen.origin.revision > revision:
            connection.rollback()  # another thread has seen more: take a new snapshot
            key, uid, revision, token = self.store.position(connection)
        return key, Origin(uid, revision, token, self.embedder.fingerprint)

    def _should_look(self, state: State) -> bool:
        pause = max(PENDING_PAUSE, 10 * self._took)
        return state.pending > 0 and time.monotonic() - self._looked > pause

    def _caught_up(self, connection: Connection, store: int, origin: Origin) -> State:
        state = self._state or self._opened(origin)
        if state is None or state.pending or not _known(connection, store, state.origin, origin):
            return self._built(connection, store, origin)
        return self._advanced(state, connection, store, origin)

    def _advanced(self, state: State, connection: Connection, store: int, origin: Origin) -> State:
        if state.origin == origin:
            return state
        read = self._read(connection, store, origin, state.origin.revision)
        return caught_up(state, origin, read.keys, read.rows, read.pending)

    def _opened(self, origin: Origin) -> State | None:
        here = current_generation(self.folder) if self.folder else None
        if self.folder is None or here is None or here == self._useless:
            return None
        base = open_base(self.folder, origin.fingerprint, frozen=not self._keeps)
        self._useless = here if base is None else None  # that is said once
        return None if base is None else self._only(base)

    def _built(self, connection: Connection, store: int, origin: Origin) -> State:
        with self._building(wait=True):
            if (made := self._opened(origin)) and _known(connection, store, made.origin, origin):
                return self._advanced(made, connection, store, origin)  # while this one waited
            return self._made(connection, store, origin)

    def _made(self, connection: Connection, store: int, origin: Origin) -> State:
        read = self._read(connection, store, origin)
        base = make_base(origin, read.rows, self.recall)
        if self._keeps and self.folder and not read.pending and _save(base, self.folder):
            # What lies in files needn't be in memory.
            opened = open_base(self.folder, origin.fingerprint)
            base = opened if opened is not None and opened.origin == origin else base
        return self._only(base, read.pending)

    def _only(self, base: Base, pending: int = 0) -> State:
        alive = np.ones(len(base.rows), dtype=np.bool_)
        return State(base.origin, base, no_rows(self.embedder.dim), alive, pending)

    # -- a new base, beside the old one ----------------------------------------------------------

    def _rebuild_if_due(self, state: State) -> None:
        due = max(FREE_ROWS, min(REBUILD_SHARE * len(state.base.rows), REBUILD_ROWS))
        if state.changed <= due:
            return
        if self._rebuilding is None or not self._rebuilding.is_alive():
            # Not a daemon: what it has begun is worth ending.
            self._rebuilding = threading.Thread(target=self._rebuild, args=(state.base.origin,))
            self._rebuilding.start()

    def _rebuild(self, old: Origin) -> None:
        try:
            with self.store.database.read() as connection:
                store, origin = self._position(connection)
                newer = self._opened(origin)  # by another process, perhaps
                if (
                    newer is None
                    or newer.origin.revision <= old.revision
                    or not _known(connection, store, newer.origin, origin)
                ):
                    with self._building(wait=False) as mine:
                        if not mine:
                            return  # another process is at it; the next change looks again
                        newer = self._made(connection, store, origin)
            with self._lock, self.store.database.read() as connection:
                store, origin = self._position(connection)
                if _known(connection, store, newer.origin, origin) and not newer.pending:
                    self._state = self._advanced(newer, connection, store, origin)
        except PromptlibError as error:  # base and delta go on; the next change tries again
            log.warning("no new base for the index of %s: %s", self.store.name, error)

    @property
    def _keeps(self) -> bool:
        """Whether files may be written: not in a bundle, which is to stay as it was made."""
        return self.folder is not None and not self.store.database.read_only

    @contextmanager
    def _building(self, *, wait: bool) -> Iterator[bool]:
        if self._keeps and self.folder is not None:
            with building(self.folder, wait=wait) as mine:
                yield mine
        else:
            yield True

    def _read(
        self, connection: Connection, store: int, origin: Origin, after: int | None = None
    ) -> Read:
        recipe = self.store.state(connection).settings.embed
        return read_rows(connection, store, origin.fingerprint, self.embedder.dim, recipe, after)


def _known(connection: Connection, store: int, seen: Origin, now: Origin) -> bool:
    """Whether what was seen is a state on the way to where the store is now."""
    if (seen.uid, seen.fingerprint) != (now.uid, now.fingerprint) or seen.revision > now.revision:
        return False
    query = select(revisions.c.token).where(
        revisions.c.store == store, revisions.c.number == seen.revision
    )
    return connection.scalar(query) == seen.token


def _save(base: Base, folder: Path) -> bool:
    """Keep a base for other processes; where that can't be done, it serves this one alone."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock", timeout=0):
            save_base(base, folder)
        return True
    except Timeout:
        pass  # another process is saving the same
    except (OSError, RuntimeError) as error:  # FAISS raises the second
        log.info("the index isn't kept: %s can't be written (%s)", folder, error)
    return False

"""The index of a store: a replica that catches up with it and can be thrown away."""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, and_, select

from promptlib.embedding.embedder import Embedder, Progress, Vectors
from promptlib.errors import PromptlibError, StaleIndexError
from promptlib.example import Recipe, retrieval_text
from promptlib.filtering import Where
from promptlib.forking import ForkAware, abandon
from promptlib.index.base import (
    Base,
    Origin,
    Rows,
    label_codes,
    make_base,
    open_base,
    save_base,
)
from promptlib.index.candidates import Candidates
from promptlib.index.delta import caught_up, no_rows
from promptlib.index.lexical import Postings
from promptlib.index.masks import Masks
from promptlib.index.state import Mask, State
from promptlib.store.settings import StoreSettings
from promptlib.store.store import ExampleStore
from promptlib.store.tables import examples, revisions, vectors
from promptlib.store.vectors import embedder_key, read_vectors

log = logging.getLogger(__name__)

SHORTLIST = 64
"""How many candidates a search finds unless told otherwise."""

REBUILD_SHARE, REBUILD_ROWS, FREE_ROWS = 0.05, 5_000, 64
"""A new base is built when more than this share of it, or more rows than this, have changed; the
last number of rows costs so little to carry along that they never ask for one."""

PENDING_PAUSE = 1.0
"""Seconds between two looks for vectors that another process is still making."""


class ExampleIndex(ForkAware):
    """Finds the examples nearest to a query.

    It keeps (store uid, revision, that revision's token) and catches up only from a state that the
    store knows. Otherwise, and when its files are missing, damaged or of another embedder, it is
    built again from the store's vectors. It never answers from anything else.

    When much has changed since the base was built, a new one is built in a thread of its own while
    base and delta go on answering.
    """

    def __init__(
        self, store: ExampleStore, embedder: Embedder | None = None, folder: Path | None = None
    ) -> None:
        self.store = store
        self.embedder = embedder or store.embedder
        self.folder = folder
        self._looked = 0.0
        self._state: State | None = None
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
            key, origin = self._position(connection)  # another thread may have gone on meanwhile
            state = self._state = self._caught_up(connection, key, origin)
            self._looked = time.monotonic()
            self._rebuild_if_due(state)
            return state

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
        self._looked = 0.0
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
        return state.pending > 0 and time.monotonic() - self._looked > PENDING_PAUSE

    def _caught_up(self, connection: Connection, store: int, origin: Origin) -> State:
        state = self._state or self._opened(origin)
        if state is None or state.pending or not _known(connection, store, state.origin, origin):
            return self._built(connection, store, origin)
        return self._advanced(state, connection, store, origin)

    def _advanced(self, state: State, connection: Connection, store: int, origin: Origin) -> State:
        if state.origin == origin:
            return state
        changed = examples.c.revision > state.origin.revision
        keys, rows, pending = self._read_rows(connection, store, origin, changed)
        return caught_up(state, origin, keys, rows, pending)

    def _opened(self, origin: Origin) -> State | None:
        base = open_base(self.folder, origin.fingerprint) if self.folder else None
        return None if base is None else self._only(base)

    def _built(self, connection: Connection, store: int, origin: Origin) -> State:
        _, rows, pending = self._read_rows(connection, store, origin)
        base = make_base(origin, rows)
        if self.folder is not None and not pending:
            _save(base, self.folder)
        return self._only(base, pending)

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
                    newer = self._built(connection, store, origin)
            with self._lock, self.store.database.read() as connection:
                store, origin = self._position(connection)
                if _known(connection, store, newer.origin, origin) and not newer.pending:
                    self._state = self._advanced(newer, connection, store, origin)
        except PromptlibError as error:  # base and delta go on; the next change tries again
            log.warning("no new base for the index of %s: %s", self.store.name, error)

    def _read_rows(
        self, connection: Connection, store: int, origin: Origin, changed: Any = None
    ) -> tuple[list[int], Rows, int]:
        """Read rows by id: the keys of all, those that can be found, and how many lack a vector.

        Without `changed`, a condition, only rows that prompts may show are read.
        """
        recipe = self.store.state(connection).settings.embed
        usable = and_(examples.c.status == "approved", ~examples.c.deleted)
        embedder = embedder_key(connection, origin.fingerprint)
        with_vectors = examples.outerjoin(
            vectors,
            and_(vectors.c.embedder == embedder, vectors.c.text_hash == examples.c.text_hash),
        )
        columns = examples.c.key, examples.c.id, examples.c.label, examples.c.text_hash
        query = (
            select(*columns, vectors.c.vector, examples.c.content, usable.label("usable"))
            .select_from(with_vectors)
            .where(examples.c.store == store, usable if changed is None else changed)
            .order_by(examples.c.id)
        )
        found = connection.execute(query).all()
        live = [row for row in found if row.usable and row.vector is not None]
        codes, names = label_codes([row.label for row in live])
        rows = Rows(
            keys=np.array([row.key for row in live], dtype=np.int64),
            ids=np.array([row.id for row in live], dtype=np.str_),
            labels=codes,
            label_names=names,
            texts=np.array([int(row.text_hash[:16], 16) for row in live], dtype=np.uint64),
            vectors=read_vectors([row.vector for row in live], self.embedder.dim),
            words=Postings.of_texts(_text(row.content, recipe) for row in live),
        )
        return [row.key for row in found], rows, sum(bool(row.usable) for row in found) - len(live)


def _known(connection: Connection, store: int, seen: Origin, now: Origin) -> bool:
    """Whether what was seen is a state on the way to where the store is now."""
    if (seen.uid, seen.fingerprint) != (now.uid, now.fingerprint) or seen.revision > now.revision:
        return False
    query = select(revisions.c.token).where(
        revisions.c.store == store, revisions.c.number == seen.revision
    )
    return connection.scalar(query) == seen.token


def _text(content: str, recipe: Recipe) -> str:
    return retrieval_text(json.loads(content)["input"], recipe)


def _save(base: Base, folder: Path) -> None:
    """Keep a base for other processes; where that can't be done, it serves this one alone."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock", timeout=0):
            save_base(base, folder)
    except Timeout:
        pass  # another process is saving the same
    except (OSError, RuntimeError) as error:  # FAISS raises the second
        log.info("the index isn't kept: %s can't be written (%s)", folder, error)

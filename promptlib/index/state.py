"""What an index answers from: a base, the rows changed since, and which rows are alive.

A State never changes. Catching up makes the next one, so readers need no lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.embedding.embedder import Vectors
from promptlib.hint import Volume
from promptlib.index.base import Base, Origin, Rows
from promptlib.store.vectors import Halves

DIGITS = 5
"""Similarities are rounded to this many digits and ties break by id, so that threads, batches and
the order of insertion never change a prompt."""

MARGIN = 16
"""Candidates fetched beyond those asked for, so that a tie at the end is seen whole."""


@dataclass(frozen=True)
class Candidates:
    """Rows that a search found, as parallel arrays; of `nearest`, best first."""

    keys: NDArray[np.int64]
    ids: NDArray[np.str_]
    labels: NDArray[np.object_]  # str, or None
    similarity: NDArray[np.float64]
    """The cosine with the query, rounded to DIGITS."""

    def __len__(self) -> int:
        return len(self.keys)

    def at(self, positions: Any) -> Candidates:
        """Keep those at these positions, in this order."""
        parts = self.keys, self.ids, self.labels, self.similarity
        return Candidates(*(part[positions] for part in parts))

    @classmethod
    def none(cls) -> Candidates:
        """No candidates."""
        nothing = np.zeros(0)
        return cls(
            nothing.astype(np.int64), nothing.astype(np.str_), nothing.astype(object), nothing
        )


@dataclass(frozen=True)
class State:
    """A store's retrievable rows as of `origin`."""

    origin: Origin
    base: Base
    delta: Rows
    alive: NDArray[np.bool_]
    """Of each base row, then each delta row."""
    pending: int
    """Rows that can't be found because they have no vector for this embedder."""

    def __len__(self) -> int:
        return int(self.alive.sum())

    @property
    def changed(self) -> int:
        """How many rows differ from the base: what catching up has cost so far."""
        base_rows = len(self.base.rows)
        return len(self.delta) + base_rows - int(self.alive[:base_rows].sum())

    def nearest(self, query: Vectors, k: int) -> Candidates:
        """Find the k nearest rows to a unit vector (dim,); fewer when there are fewer."""
        count = len(self)
        k, fetch = min(k, count), min(k + MARGIN, count)
        if not k:
            return Candidates.none()
        while True:
            found = self._ranked(self._fetch(query, fetch), query, fetch)
            # A tie at the cut must be seen whole, since ids decide it.
            if fetch == count or found.similarity[k - 1] - found.similarity[-1] > 2 * 10**-DIGITS:
                return found.at(slice(k))
            fetch = min(fetch * 4, count)

    def _ranked(self, positions: NDArray[np.int64], query: Vectors, k: int) -> Candidates:
        """Score rows and put the best k first; ties by id."""
        found = self._scored(positions, query)
        return found.at(np.lexsort((found.ids, -found.similarity))[:k])

    def _scored(self, positions: NDArray[np.int64], query: Vectors) -> Candidates:
        # FAISS's sums depend on its kernel; these don't, so that equal texts score equal.
        vectors = self._vectors(positions).astype(np.float64)
        cosine = np.einsum("ij,j->i", vectors, query.astype(np.float64))
        return Candidates(
            keys=self._gather(positions, self.base.rows.keys, self.delta.keys),
            ids=self._gather(positions, self.base.rows.ids, self.delta.ids),
            labels=self._labels(positions),
            similarity=cosine.clip(-1, 1).round(DIGITS),
        )

    def sample(self, query: Vectors, k: int, seed: int) -> Candidates:
        """Draw k rows at random, the same ones in the same order for the same seed."""
        alive = np.flatnonzero(self.alive)
        ids = self._gather(alive, self.base.rows.ids, self.delta.ids)
        # By id, so that the draw doesn't depend on where a row happens to lie.
        by_id = alive[np.argsort(ids)]
        drawn = np.random.default_rng(seed).choice(by_id, min(k, len(by_id)), replace=False)
        return self._scored(drawn, query)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels of the rows, sorted."""
        return tuple(self.volume.classes)

    @cached_property
    def volume(self) -> Volume:
        """Count what the advice hint asks about."""
        base_rows = len(self.base.rows)
        counts: dict[str, int] = {}
        parts = ((self.base.rows, self.alive[:base_rows]), (self.delta, self.alive[base_rows:]))
        for rows, alive in parts:
            codes = rows.labels[alive]
            tally = np.bincount(codes[codes >= 0], minlength=len(rows.label_names))
            for name, number in zip(rows.label_names, tally.tolist(), strict=True):
                counts[name] = counts.get(name, 0) + number
        texts = np.concatenate([rows.texts[alive] for rows, alive in parts])
        return Volume(
            rows=len(self),
            distinct=len(np.unique(texts)),
            classes={name: number for name, number in sorted(counts.items()) if number},
        )

    def _fetch(self, query: Vectors, count: int) -> NDArray[np.int64]:
        """Find positions among base and delta: at least the `count` nearest of each."""
        faiss = _faiss()
        # OpenMP's setting is the calling thread's own; one thread is fastest for one query.
        faiss.omp_set_num_threads(1)
        base_rows = len(self.base.rows)
        wanted = min(count, int(self.alive[:base_rows].sum()))
        found: Any = np.zeros(0, dtype=np.int64)
        if wanted:
            parameters = faiss.SearchParameters(sel=self._selector) if self._selector else None
            found = self.base.faiss_index.search(query[None], wanted, params=parameters)[1][0]
        changed = np.flatnonzero(self.alive[base_rows:])
        if len(changed) > count:
            scores = self.delta.vectors[changed].astype(np.float32) @ query
            changed = changed[np.argpartition(-scores, count)[:count]]
        return np.concatenate([found, changed + base_rows])

    @cached_property
    def _selector(self) -> Any:
        alive = self.alive[: len(self.base.rows)]
        if alive.all():
            return None
        bits = np.packbits(alive, bitorder="little")
        selector = _faiss().IDSelectorBitmap(bits)
        selector.bits_owner = bits  # FAISS keeps the address only
        return selector

    def _vectors(self, positions: NDArray[np.int64]) -> Halves:
        vectors: Halves = self._gather(positions, self.base.rows.vectors, self.delta.vectors)
        return vectors

    def _gather(self, positions: NDArray[np.int64], base: Any, delta: Any) -> Any:
        if not len(self.delta):
            return base[positions]
        in_base = positions < len(base)
        out = np.empty((len(positions), *base.shape[1:]), np.result_type(base.dtype, delta.dtype))
        out[in_base] = base[positions[in_base]]
        out[~in_base] = delta[positions[~in_base] - len(base)]
        return out

    def _labels(self, positions: NDArray[np.int64]) -> NDArray[np.object_]:
        codes = self._gather(positions, self.base.rows.labels, self._delta_codes)
        labels: NDArray[np.object_] = self._label_names[codes]  # code -1 reads the last, None
        return labels

    @cached_property
    def _label_names(self) -> NDArray[np.object_]:
        # One list for both: the delta's names come after the base's.
        names = (*self.base.rows.label_names, *self.delta.label_names, None)
        return np.array(names, dtype=object)

    @cached_property
    def _delta_codes(self) -> NDArray[np.int32]:
        codes = self.delta.labels
        return np.where(codes < 0, -1, codes + len(self.base.rows.label_names)).astype(np.int32)


def _faiss() -> Any:
    import faiss  # its own type hints describe the C++ side, not the Python one

    return faiss


def no_rows(dim: int) -> Rows:
    """Rows that aren't any."""
    return Rows(
        keys=np.zeros(0, np.int64),
        ids=np.zeros(0, np.dtype("U1")),
        labels=np.zeros(0, np.int32),
        label_names=(),
        texts=np.zeros(0, np.uint64),
        vectors=np.zeros((0, dim), np.float16),
    )


def caught_up(
    state: State, origin: Origin, changed: Sequence[int], rows: Rows, pending: int
) -> State:
    """Apply changes: the rows with these keys die, and `rows` are their new versions."""
    alive = state.alive.copy()
    base_rows = len(state.base.rows)
    gone = [state.base.positions[key] for key in changed if key in state.base.positions]
    alive[gone] = False
    alive[base_rows:] &= ~np.isin(state.delta.keys, np.asarray(changed, dtype=np.int64))
    kept = alive[base_rows:]
    delta = _joined(state.delta, kept, rows)
    alive = np.concatenate([alive[:base_rows], np.ones(len(delta), dtype=np.bool_)])
    return State(origin, state.base, delta, alive, pending)


def _joined(old: Rows, kept: NDArray[np.bool_], new: Rows) -> Rows:
    names = tuple(sorted({*old.label_names, *new.label_names}))
    numbers = {name: code for code, name in enumerate(names)}

    def codes(rows: Rows) -> NDArray[np.int32]:
        table = np.array([*(numbers[name] for name in rows.label_names), -1], dtype=np.int32)
        return table[rows.labels]  # code -1 reads the last entry

    return Rows(
        keys=np.concatenate([old.keys[kept], new.keys]),
        ids=np.concatenate([old.ids[kept], new.ids]),
        labels=np.concatenate([codes(old)[kept], codes(new)]),
        label_names=names,
        texts=np.concatenate([old.texts[kept], new.texts]),
        vectors=np.concatenate([old.vectors[kept], new.vectors]),
    )

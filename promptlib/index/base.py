"""The base of an index: an immutable copy of a store's rows at one revision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from promptlib.index.lexical import Postings
from promptlib.index.nearest import (
    FLAT_ROWS,
    Finder,
    Inverted,
    make_flat,
    make_inverted,
    probes_for,
)
from promptlib.index.recall import RECALL
from promptlib.index.vector_file import VectorFile
from promptlib.store.vectors import Halves


@dataclass(frozen=True)
class Origin:
    """What a replica is a copy of. Only a state that the store knows can be caught up from."""

    uid: str
    revision: int
    token: str
    fingerprint: str


@dataclass(frozen=True)
class Rows:
    """Rows as parallel arrays: what `build` needs of a row without asking the database."""

    keys: NDArray[np.int64]
    ids: NDArray[np.str_]
    labels: NDArray[np.int32]  # codes into label_names; -1 for none
    label_names: tuple[str, ...]
    texts: NDArray[np.uint64]  # the first half of the hash of the text: tells equal ones
    vectors: Halves | VectorFile
    words: Postings

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True)
class Base:
    """Rows with an index over their vectors."""

    origin: Origin
    rows: Rows
    finder: Finder
    by_key: NDArray[np.int32]
    """The positions of the rows, by their keys."""
    sorted_texts: NDArray[np.uint64]
    """The texts of the rows, sorted."""

    @cached_property
    def distinct(self) -> int:
        """How many different texts there are."""
        texts = self.sorted_texts
        return int(np.count_nonzero(texts[1:] != texts[:-1])) + 1 if len(texts) else 0

    @cached_property
    def label_counts(self) -> NDArray[np.int64]:
        """How many rows have each of the labels."""
        codes = self.rows.labels
        return np.bincount(codes[codes >= 0], minlength=len(self.rows.label_names))

    def places_of(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find where the rows with some keys lie; those that aren't there are left out."""
        if not len(self.rows):
            return np.zeros(0, np.int64)
        order, known = self.by_key, self.rows.keys
        at = np.searchsorted(known, keys, sorter=order).clip(max=len(known) - 1)
        places: NDArray[np.int64] = np.asarray(order[at], np.int64)
        found: NDArray[np.int64] = places[known[places] == keys]
        return found

    def rows_of_texts(self, texts: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Count the rows that have each of some texts."""
        first = np.searchsorted(self.sorted_texts, texts, "left")
        return np.searchsorted(self.sorted_texts, texts, "right") - first


def make_base(origin: Origin, rows: Rows, recall: float = RECALL) -> Base:
    """Index rows: flat while that is fast, by cells beyond, with `recall` at 10 at least."""
    by_key = np.argsort(rows.keys).astype(np.int32)
    orders = by_key, np.sort(rows.texts)
    vectors = np.asarray(rows.vectors)
    if len(rows) <= FLAT_ROWS:
        return Base(origin, rows, make_flat(vectors), *orders)
    index = make_inverted(vectors)
    finder = Inverted(index, vectors, *probes_for(index, vectors, recall))
    rows = replace(rows, words=rows.words.with_impacts())
    return Base(origin, rows, finder, *orders)

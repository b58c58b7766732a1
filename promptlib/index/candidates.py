"""Rows that a search found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from promptlib.store.vectors import Halves


class Scored(NamedTuple):
    """Rows and their cosines: what is known before the rest of them is read."""

    positions: NDArray[np.int64]
    ids: NDArray[np.str_]
    similarity: NDArray[np.float64]

    def nearest_first(self) -> Scored:
        """Sort them; ties by id."""
        order = np.lexsort((self.ids, -self.similarity))
        return Scored._make(part[order] for part in self)

    def and_more(self, others: Scored) -> Scored:
        """Join others to these, the nearest first."""
        pairs: Iterable[Any] = zip(self, others, strict=True)
        return Scored._make(np.concatenate(pair) for pair in pairs).nearest_first()

    def first(self, k: int) -> Scored:
        """Keep the nearest."""
        return Scored._make(part[:k] for part in self)


@dataclass(frozen=True)
class Candidates:
    """Rows that a search found, as parallel arrays, nearest first."""

    positions: NDArray[np.int64]
    """Where the rows lie in their State."""
    keys: NDArray[np.int64]
    ids: NDArray[np.str_]
    labels: NDArray[np.object_]  # str, or None
    similarity: NDArray[np.float64]
    """The cosine with the query, rounded to DIGITS."""
    lexical: NDArray[np.float64]
    """The BM25 score for the query, rounded to DIGITS; 0 where no word is shared."""
    texts: NDArray[np.uint64]
    """The hash of each row's text for retrieval, its first 64 bits: equal for equal texts."""
    words: NDArray[np.float64]
    """The weight of each of the query's words where the row has it, (n, words); see `words_in`."""
    read_vectors: Callable[[NDArray[np.int64]], Halves]
    """Positions -> the vectors of the rows there: a hundred take more than all the rest does."""

    @cached_property
    def vectors(self) -> Halves:
        """The rows' unit vectors, as they are stored; read when they are asked for."""
        return self.read_vectors(self.positions)

    def __len__(self) -> int:
        return len(self.keys)

    def at(self, positions: Any) -> Candidates:
        """Keep those at these positions, in this order."""
        return Candidates(
            self.positions[positions], self.keys[positions], self.ids[positions],
            self.labels[positions], self.similarity[positions], self.lexical[positions],
            self.texts[positions], self.words[positions], self.read_vectors,
        )  # fmt: skip

    @classmethod
    def none(cls, dim: int = 0) -> Candidates:
        """No candidates."""
        return cls(
            positions=np.zeros(0, np.int64),
            keys=np.zeros(0, np.int64),
            ids=np.zeros(0, np.str_),
            labels=np.zeros(0, object),
            similarity=np.zeros(0),
            lexical=np.zeros(0),
            texts=np.zeros(0, np.uint64),
            words=np.zeros((0, 0)),
            read_vectors=lambda positions: np.zeros((0, dim), np.float16),
        )

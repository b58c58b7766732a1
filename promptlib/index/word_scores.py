"""The scores of rows for one query's words: of all rows at once, or of those that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from promptlib.index.bm25 import Corpus, KnownTerm, bm25_scores, bm25_scores_at
from promptlib.index.pruning import likely_rows

MANY, STEP = 32, 8
"""Where there are so many times more scores than wanted, one in so many is looked at first."""
TINY = np.finfo(float).tiny
"""The least number above 0."""


class WordScores:
    """BM25 scores, rounded; a large index, which has impacts, scores only rows that matter."""

    def __init__(self, known: Sequence[KnownTerm], corpus: Corpus, digits: int) -> None:
        self._known = known
        self._corpus = corpus
        self._digits = digits

    def at(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Give the scores of some rows; 0 where no word is shared."""
        if self._is_large:
            scores = bm25_scores_at(self._known, self._corpus, positions)
        else:
            scores = self._all[positions]
        return scores.round(self._digits)

    def best(
        self, k: int, alive: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Find the k best of the rows that `alive` marks, and all that equal the last of them.

        Also gives their scores, which are above 0.
        """
        rows = self._likely(k, alive)
        scores = self.at(rows)
        best = scores >= _least(scores, k)
        return rows[best], scores[best]

    def _likely(self, k: int, alive: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Find rows among which the best surely are: rounding takes few of them further."""
        if not self._is_large:
            scores = np.where(alive, self._all, 0.0)
            return np.flatnonzero(scores >= max(_least(scores, k) - 10**-self._digits, TINY))
        base, *delta = self._corpus.parts
        mean, cut = self._corpus.mean_length, len(base.alive)
        rows = likely_rows(self._known, 0, base, mean, k, alive[:cut])
        return np.concatenate([rows, *(np.flatnonzero(alive[cut:]) + cut for _ in delta)])

    @property
    def _is_large(self) -> bool:
        return self._corpus.parts[0].postings.impacts is not None

    @cached_property
    def _all(self) -> NDArray[np.float64]:
        return bm25_scores(self._known, self._corpus)


def _least(scores: NDArray[np.float64], k: int) -> float:
    """Say what a row must score to be among the k best; more than 0."""
    if len(scores) <= k:
        return TINY
    if len(scores) > MANY * k:  # some of them say what the k-th best has at least
        some = scores[::STEP]
        scores = scores[scores >= np.partition(some, -k)[-k]]
    return max(float(np.partition(scores, -k)[-k]), TINY)

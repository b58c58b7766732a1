"""The rows of a large index that match a query best by BM25, without scoring every row.

MaxScore (Turtle and Flood 1995): rows that have only the commonest of a query's terms can't be
among the best, so the postings of those terms are looked up for the likely rows, and not read.
What rows are worth is taken from `Impacts`, weights as they were when the index was built; how far
they may be off since is known, so the rows found always hold the best by today's weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.index.bm25 import KnownTerm, Part, find_sorted

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

SEEDS = 512
"""Rows of the rarest term, whose scores say what the best rows have at least."""
FEW = 20_000
"""Rows that are all likely enough: more aren't worth choosing among."""
ROUNDING = 1e-4
"""What scores may differ by for having been added up in float32, or rounded."""


@dataclass(frozen=True)
class _Term:
    """A query's term: its rows, what it gives each of them, and the most that it gives any."""

    rows: NDArray[np.int32]
    weights: NDArray[np.float32]
    factor: float
    bound: float

    def given(self, rows: Rows) -> NDArray[np.float64]:
        """Say what the term gives some rows."""
        places, has = find_sorted(self.rows, rows)
        return np.where(has, self.weights[places] * self.factor, 0.0)


def likely_rows(
    known: Sequence[KnownTerm], number: int, part: Part, mean: float, k: int, alive: Mask
) -> Rows:
    """Find the rows of the part with this number among which are its k best that `alive` marks.

    `mean` is the mean length of all rows alive.
    """
    impacts = part.postings.impacts
    if impacts is None or np.count_nonzero(alive) <= FEW:
        return np.flatnonzero(alive)
    # A weight changes by no larger a factor than the mean length does.
    ratio = mean / impacts.mean
    high, low = max(1.0, ratio), min(1.0, ratio)
    terms = sorted(_terms(known, number, part), key=lambda term: -term.bound)
    if not terms:
        return np.zeros(0, np.int64)
    left = np.append(np.cumsum([term.bound for term in terms][::-1])[::-1], 0.0) * high
    floor = low * _floor(terms, alive, k) - ROUNDING
    read = int(np.argmax(left <= max(floor, 0.0)))  # the terms after these can't make a row one
    partial: NDArray[Any] = np.bincount(
        np.concatenate([term.rows for term in terms[:read]]),
        np.concatenate([term.weights * np.float32(term.factor) for term in terms[:read]]),
        minlength=len(alive),
    )
    rows = np.flatnonzero(partial >= max(1e-12, floor - left[read]) / high)
    rows = rows[alive[rows]]
    values = partial[rows]
    for at in range(read, len(terms) + 1):
        if len(rows) > k:
            best = np.partition(values, -k)[-k]
            floor = max(floor, low * float(best) - ROUNDING)
            stays = values * high + left[at] >= floor
            rows, values = rows[stays], values[stays]
        if at < len(terms):
            values = values + terms[at].given(rows)
    return rows


def _terms(known: Sequence[KnownTerm], number: int, part: Part) -> list[_Term]:
    postings, found = part.postings, []
    assert postings.impacts is not None
    for term in known:
        at = term.postings[number]
        if at.start == at.stop:
            continue
        factor = term.times * term.rarity
        weights = postings.impacts.weights[at]
        found.append(_Term(postings.rows[at], weights, factor, factor * float(weights.max())))
    return found


def _floor(terms: Sequence[_Term], alive: Mask, k: int) -> float:
    """Say what the k-th best row has at least, by some rows of the rarest term."""
    rarest = min(terms, key=lambda term: len(term.rows), default=None)
    if rarest is None:
        return 0.0
    rows = rarest.rows[alive[rarest.rows]][:SEEDS].astype(np.int64)
    if len(rows) < k:
        return 0.0
    values = np.sum([term.given(rows) for term in terms], axis=0)
    return float(np.partition(values, -k)[-k])

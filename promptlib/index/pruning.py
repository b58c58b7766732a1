"""The rows of a large index that match a query best by BM25, without scoring every row.

MaxScore (Turtle and Flood 1995): rows that have only the commonest of a query's terms can't be
among the best, so the postings of those terms are looked up for the likely rows, once those are
few, and not read.
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

SEEDING = 10_000
"""Postings of the terms that give most, from which seeds are chosen."""
SEEDS = 256
"""Rows whose scores say what the best rows have at least."""
STEP = 16
"""Of many rows, one in so many is looked at to find about where the best begin."""
FEW = 20_000
"""Rows that are all likely enough: more aren't worth choosing among."""
LOOKED_UP = 5
"""How many postings are read in the time that it takes to look one row up among them."""
ROUNDING = 1e-4
"""What scores may differ by for having been added up in float32, or rounded."""


@dataclass(frozen=True)
class _Term:
    """A query's term: its rows, what it gives each of them, and the most that it gives any."""

    rows: NDArray[np.int32]
    weights: NDArray[np.float32]
    factor: float
    bound: float

    def add_to(self, scores: NDArray[np.float64], rows: Rows) -> None:
        """Add what the term gives to the scores of these rows; others may get it, too."""
        if len(rows) * LOOKED_UP > len(self.rows):
            scores[self.rows] += self.weights * self.factor
        else:
            scores[rows] += self.given(rows)

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
    floor = low * _first_floor(terms, alive, k) - ROUNDING
    read = int(np.argmax(left <= max(floor, 0.0)))  # the terms after these can't make a row one
    partial: NDArray[Any] = np.bincount(
        np.concatenate([term.rows for term in terms[:read]]),
        np.concatenate([term.weights * np.float32(term.factor) for term in terms[:read]]),
        minlength=len(alive),
    )
    rows = np.flatnonzero(partial >= max(1e-12, floor - left[read]) / high)
    rows = rows[alive[rows]]
    for at in range(read, len(terms) + 1):
        values = partial[rows]
        if at == read or at == len(terms):
            floor = max(floor, low * _floor(rows, values, terms[at:], k) - ROUNDING)
        rows = rows[values * high + left[at] >= floor]
        if at < len(terms):
            terms[at].add_to(partial, rows)
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


def _first_floor(terms: Sequence[_Term], alive: Mask, k: int) -> float:
    """Say what the k-th best row has at least, by rows that have one of the first terms."""
    seen = np.cumsum([len(term.rows) for term in terms])
    count = max(1, int(np.searchsorted(seen, SEEDING, "right")))
    first, rest = terms[:count], terms[count:]
    rows, places = np.unique(np.concatenate([term.rows for term in first]), return_inverse=True)
    values = np.bincount(places, np.concatenate([term.weights * term.factor for term in first]))
    living = alive[rows]
    return _floor(rows[living].astype(np.int64), values[living], rest, k)


def _floor(rows: Rows, values: NDArray[np.float64], rest: Sequence[_Term], k: int) -> float:
    """Say what the k-th best row has at least: by those with the greatest values so far.

    `rest` are the terms that aren't in the values yet.
    """
    seeds = max(SEEDS, 2 * k)
    if len(rows) > STEP * seeds:  # every so many-th of them says where about so many begin
        some = values[::STEP]
        least = np.partition(some, -(seeds // STEP))[-(seeds // STEP)]
        best = np.flatnonzero(values >= least)[: 2 * seeds]
        rows, values = rows[best], values[best]
    if len(rows) < k:
        return 0.0
    whole = values + sum(term.given(rows) for term in rest)
    return float(np.partition(whole, -k)[-k])

"""BM25 scores of rows (Robertson and Zaragoza 2009, in Lucene's form).

Which share of the rows has a word, and how long rows are on average, changes with every write. So
base and delta are scored together with the figures of this moment, and an index that caught up
answers exactly like one built afresh.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from promptlib.index.lexical import Postings, weight_of

AT_ONCE = 32
"""Terms whose postings are in memory together: a query may have hundreds."""


@dataclass(frozen=True)
class Part:
    """An index, which of its rows are alive, and what BM25 asks of those."""

    postings: Postings
    alive: NDArray[np.bool_]

    @cached_property
    def dead(self) -> NDArray[np.int64]:
        """Where the rows lie that aren't alive."""
        return np.flatnonzero(~self.alive)

    @cached_property
    def rows(self) -> int:
        """How many are alive."""
        return len(self.alive) - len(self.dead)

    @cached_property
    def length(self) -> int:
        """Terms of all rows alive."""
        lengths = self.postings.lengths
        return int(lengths.sum(dtype=np.int64) - lengths[self.dead].sum(dtype=np.int64))

    def having(self, at: slice) -> int:
        """Count the rows alive among these postings."""
        rows = self.postings.rows[at]
        if not len(rows) or not len(self.dead):
            return len(rows)
        return len(rows) - int(np.count_nonzero(find_sorted(rows, self.dead)[1]))


@dataclass(frozen=True)
class Corpus:
    """Base and delta, one after the other: positions count through all parts."""

    parts: tuple[Part, ...]

    @cached_property
    def rows(self) -> int:
        """How many are alive."""
        return sum(part.rows for part in self.parts)

    @cached_property
    def mean_length(self) -> float:
        """The mean number of terms of the rows alive."""
        total = sum(part.length for part in self.parts)
        return total / self.rows if total else 1.0

    @cached_property
    def weights(self) -> tuple[NDArray[np.float64], ...]:
        """What each posting of each part is worth by BM25, but for the rarity of the term."""
        return tuple(
            weight_of(p.counts, p.lengths[p.rows], self.mean_length)
            for p in (part.postings for part in self.parts)
        )


def find_sorted(
    rows: NDArray[np.int32], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Look numbers up among sorted ones, at least one: where each is, and whether it is there."""
    wanted = wanted.astype(rows.dtype)  # else NumPy would widen all of the sorted ones
    places = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    return places, rows[places] == wanted


class KnownTerm(NamedTuple):
    """A term of a query that some row alive has."""

    times: int
    """In the query."""
    rarity: float
    """Its inverse document frequency, among the rows alive."""
    postings: tuple[slice, ...]
    """Where its rows are, in each part."""


def known_terms(query: Counter[int], corpus: Corpus) -> list[KnownTerm]:
    """Look up the terms of a query, in one order, so that sums over them are always the same."""
    parts = corpus.parts
    terms = sorted(query)
    known = []
    for term, *found in zip(terms, *(part.postings.of(terms) for part in parts), strict=True):
        having = sum(part.having(at) for part, at in zip(parts, found, strict=True))
        if having:
            rarity = math.log1p((corpus.rows - having + 0.5) / (having + 0.5))
            known.append(KnownTerm(query[term], rarity, tuple(found)))
    return known


def bm25_scores(known: Sequence[KnownTerm], corpus: Corpus) -> NDArray[np.float64]:
    """Score all rows for the terms of a query; shape (n,).

    Only rows alive make the statistics. Rows without any of the terms score 0. Equal rows score
    equal to the last bit, wherever they lie.
    """
    scores = [_scores_of(known, corpus, number) for number in range(len(corpus.parts))]
    return scores[0] if len(scores) == 1 else np.concatenate(scores)


def _scores_of(known: Sequence[KnownTerm], corpus: Corpus, number: int) -> NDArray[np.float64]:
    """Score the rows of one part. One pass over postings adds term after term, as a loop would."""
    part, weights = corpus.parts[number], corpus.weights[number]
    scores: NDArray[Any] = np.zeros(len(part.alive))
    for start in range(0, len(known), AT_ONCE):
        terms = known[start : start + AT_ONCE]
        rows = [part.postings.rows[term.postings[number]] for term in terms]
        given = [term.times * term.rarity * weights[term.postings[number]] for term in terms]
        if start:  # what the terms before these gave
            rows.insert(0, np.arange(len(scores), dtype=np.int32))
            given.insert(0, scores)
        scores = np.bincount(np.concatenate(rows), np.concatenate(given), len(scores))
    return scores


def bm25_scores_at(
    known: Sequence[KnownTerm], corpus: Corpus, positions: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Score some rows alone; to the last bit what `bm25_scores` says of them."""
    start = 0
    scores: NDArray[np.float64] = np.zeros(len(positions))
    order = np.argsort(positions)  # looking up goes through postings from one end to the other
    for number, part in enumerate(corpus.parts):
        here = order[(positions[order] >= start) & (positions[order] < start + len(part.alive))]
        mine, postings = positions[here] - start, part.postings
        lengths = postings.lengths[mine]
        for term in known if len(mine) else ():
            at = term.postings[number]
            if at.start == at.stop:
                continue
            places, has = find_sorted(postings.rows[at], mine)
            counts = postings.counts[at][places[has]]
            weight = weight_of(counts, lengths[has], corpus.mean_length)
            scores[here[has]] += term.times * term.rarity * weight
        start += len(part.alive)
    return scores


def word_weights(
    known: Sequence[KnownTerm], corpus: Corpus, positions: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Give rows the rarity of each term that they have, else 0; shape (positions, terms)."""
    weights, start = np.zeros((len(positions), len(known))), 0
    for number, part in enumerate(corpus.parts):
        for column, term in enumerate(known):
            rows = part.postings.rows[term.postings[number]]
            if len(rows):
                weights[find_sorted(rows, positions - start)[1], column] = term.rarity
        start += len(part.alive)
    return weights

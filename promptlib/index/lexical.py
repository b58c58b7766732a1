"""Words of rows, and their BM25 scores (Robertson and Zaragoza 2009, in Lucene's form).

An inverted index of counts, not of scores: which share of the rows has a word, and how long rows
are on average, changes with every write. So base and delta are scored together with the figures of
this moment, and an index that caught up answers exactly like one built afresh.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray

K1, B = 1.5, 0.75

# Scripts that put no spaces between words give pairs of characters, which overlap.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_WORDS = regex.compile(
    rf"(?P<unspaced>[{_UNSPACED}][{_UNSPACED}\p{{M}}]*)|(?:(?![{_UNSPACED}])[\p{{L}}\p{{M}}\p{{N}}_])+"
)
_ASCII_WORDS = re.compile("[a-z0-9_]+")  # the same of plain text, in a tenth of the time


def words_of(text: str) -> list[str]:
    """Cut a text into words, in lower case; no word is left out for being common."""
    if text.isascii():
        return _ASCII_WORDS.findall(text.lower())
    words: list[str] = []
    for match in _WORDS.finditer(unicodedata.normalize("NFKC", text).casefold()):
        word = match[0]
        if match["unspaced"] is None or len(word) < 3:
            words.append(word)
        else:
            words += [word[at : at + 2] for at in range(len(word) - 1)]
    return words


@lru_cache(maxsize=1 << 16)
def term_of(word: str) -> int:
    """Number a word by 64 bits of its hash: the same number in every index."""
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def terms_of(text: str) -> Counter[int]:
    """Count the terms of a text."""
    return Counter(map(term_of, words_of(text)))


@dataclass(frozen=True)
class Impacts:
    """What each posting was worth when its index was built, but for the rarity of the term."""

    weights: NDArray[np.float32]  # (p,)
    mean: float
    """The mean length of rows at that time."""


@dataclass(frozen=True)
class Postings:
    """Which rows have which terms, sorted by (term, row): an inverted index in five arrays."""

    terms: NDArray[np.uint64]  # (t,) distinct, sorted
    starts: NDArray[np.int64]  # (t + 1,): term i has the postings starts[i] to starts[i + 1]
    rows: NDArray[np.int32]  # (p,)
    counts: NDArray[np.int32]  # (p,) how often the row has the term
    lengths: NDArray[np.int32]  # (n,) terms of each row, repeats counted
    impacts: Impacts | None = None
    """Of a large index, for `likely_rows`."""

    def with_impacts(self) -> Postings:
        """Work out what each posting is worth now."""
        mean = float(self.lengths.mean()) if self.lengths.any() else 1.0
        weights = weight_of(self.counts, self.lengths[self.rows], mean)
        return replace(self, impacts=Impacts(weights.astype(np.float32), mean))

    def of(self, terms: Sequence[int]) -> list[slice]:
        """Find the postings of some terms."""
        if not len(self.terms):
            return [slice(0, 0)] * len(terms)
        wanted = np.array(terms, np.uint64)
        places = np.searchsorted(self.terms, wanted).clip(max=len(self.terms) - 1)
        starts = self.starts[places].tolist()
        ends = np.where(self.terms[places] == wanted, self.starts[places + 1], starts).tolist()
        return [*map(slice, starts, ends)]

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> Postings:
        """Index texts: row i is the i-th of them."""
        builder = PostingsBuilder()
        for text in texts:
            builder.add(text)
        return builder.done()

    def joined(self, kept: NDArray[np.bool_], more: Postings) -> Postings:
        """Keep some rows, numbered anew, and put others after them."""
        number = np.cumsum(kept, dtype=np.int32) - 1
        mine = kept[self.rows]
        return self.sorted(
            np.concatenate([self._spread[mine], more._spread]),
            np.concatenate([number[self.rows[mine]], more.rows + np.int32(kept.sum())]),
            np.concatenate([self.counts[mine], more.counts]),
            np.concatenate([self.lengths[kept], more.lengths]),
        )

    @property
    def _spread(self) -> NDArray[np.uint64]:
        return np.repeat(self.terms, np.diff(self.starts))

    @classmethod
    def sorted(
        cls, spread: NDArray[np.uint64], rows: NDArray[np.int32], counts: NDArray[np.int32],
        lengths: NDArray[np.int32],
    ) -> Postings:  # fmt: skip
        """Sort postings: the term, the row and the count of each, and the length of each row."""
        order = np.lexsort((rows, spread))
        terms, first = np.unique(spread[order], return_index=True)
        starts = np.append(first, len(rows)).astype(np.int64)
        return cls(terms, starts, rows[order], counts[order], lengths)


class PostingsBuilder:
    """Indexes texts one by one."""

    def __init__(self) -> None:
        self._spread, self._counts = array("Q"), array("i")
        self._sizes, self._lengths = array("i"), array("i")

    def add(self, text: str) -> None:
        """Add the next row."""
        terms = terms_of(text)
        self._spread.extend(terms)
        self._counts.extend(terms.values())
        self._sizes.append(len(terms))
        self._lengths.append(terms.total())

    def done(self) -> Postings:
        """Give the index."""
        return Postings.sorted(
            np.array(self._spread, np.uint64),
            np.repeat(np.arange(len(self._sizes), dtype=np.int32), self._sizes),
            np.array(self._counts, np.int32),
            np.array(self._lengths, np.int32),
        )


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


def weight_of(
    counts: NDArray[np.int32], lengths: NDArray[np.int32], mean: float
) -> NDArray[np.float64]:
    """Say what a term that a row has so often is worth by BM25, but for its rarity."""
    weights: NDArray[Any] = counts / (counts + K1 * (1 - B + B * lengths / mean))
    return weights


def find_sorted(
    rows: NDArray[np.int32], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Look numbers up among sorted ones, at least one: where each is, and whether it is there."""
    places = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    return places, rows[places] == wanted


@dataclass(frozen=True)
class KnownTerm:
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
    scores = [np.zeros(len(part.alive)) for part in corpus.parts]
    for term in known:
        for part, weights, at, score in zip(
            corpus.parts, corpus.weights, term.postings, scores, strict=True
        ):
            score[part.postings.rows[at]] += term.times * term.rarity * weights[at]
    return scores[0] if len(scores) == 1 else np.concatenate(scores)


def bm25_scores_at(
    known: Sequence[KnownTerm], corpus: Corpus, positions: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Score some rows alone; to the last bit what `bm25_scores` says of them."""
    start = 0
    scores: NDArray[np.float64] = np.zeros(len(positions))
    for number, part in enumerate(corpus.parts):
        here = np.flatnonzero((positions >= start) & (positions < start + len(part.alive)))
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

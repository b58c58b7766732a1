"""Words of rows, and their BM25 scores (Robertson and Zaragoza 2009, in Lucene's form).

An inverted index of counts, not of scores: which share of the rows has a word, and how long rows
are on average, changes with every write. So base and delta are scored together with the figures of
this moment, and an index that caught up answers exactly like one built afresh.
"""

from __future__ import annotations

import hashlib
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import regex
from numpy.typing import NDArray

K1, B = 1.5, 0.75

# Scripts that put no spaces between words give pairs of characters, which overlap.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_WORDS = regex.compile(
    rf"(?P<unspaced>[{_UNSPACED}][{_UNSPACED}\p{{M}}]*)|(?:(?![{_UNSPACED}])[\p{{L}}\p{{M}}\p{{N}}_])+"
)


def words_of(text: str) -> list[str]:
    """Cut a text into words, in lower case; no word is left out for being common."""
    words: list[str] = []
    normal = text if text.isascii() else unicodedata.normalize("NFKC", text)
    for match in _WORDS.finditer(normal.casefold()):
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
class Postings:
    """Which rows have which terms, sorted by (term, row): an inverted index in five arrays."""

    terms: NDArray[np.uint64]  # (t,) distinct, sorted
    starts: NDArray[np.int64]  # (t + 1,): term i has the postings starts[i] to starts[i + 1]
    rows: NDArray[np.int32]  # (p,)
    counts: NDArray[np.int32]  # (p,) how often the row has the term
    lengths: NDArray[np.int32]  # (n,) terms of each row, repeats counted

    def of(self, term: int) -> slice:
        """Find the postings of a term."""
        at = int(np.searchsorted(self.terms, np.uint64(term)))
        if at == len(self.terms) or int(self.terms[at]) != term:
            return slice(0, 0)
        return slice(int(self.starts[at]), int(self.starts[at + 1]))

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> Postings:
        """Index texts: row i is the i-th of them."""
        spread, counts, sizes, lengths = array("Q"), array("i"), array("i"), array("i")
        for text in texts:
            terms = terms_of(text)
            spread.extend(terms)
            counts.extend(terms.values())
            sizes.append(len(terms))
            lengths.append(terms.total())
        return cls._sorted(
            np.array(spread, np.uint64),
            np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
            np.array(counts, np.int32),
            np.array(lengths, np.int32),
        )

    def joined(self, kept: NDArray[np.bool_], more: Postings) -> Postings:
        """Keep some rows, numbered anew, and put others after them."""
        number = np.cumsum(kept, dtype=np.int32) - 1
        mine = kept[self.rows]
        return self._sorted(
            np.concatenate([self._spread[mine], more._spread]),
            np.concatenate([number[self.rows[mine]], more.rows + np.int32(kept.sum())]),
            np.concatenate([self.counts[mine], more.counts]),
            np.concatenate([self.lengths[kept], more.lengths]),
        )

    @property
    def _spread(self) -> NDArray[np.uint64]:
        return np.repeat(self.terms, np.diff(self.starts))

    @classmethod
    def _sorted(
        cls, spread: NDArray[np.uint64], rows: NDArray[np.int32], counts: NDArray[np.int32],
        lengths: NDArray[np.int32],
    ) -> Postings:  # fmt: skip
        order = np.lexsort((rows, spread))
        terms, first = np.unique(spread[order], return_index=True)
        starts = np.append(first, len(rows)).astype(np.int64)
        return cls(terms, starts, rows[order], counts[order], lengths)


Part = tuple[Postings, NDArray[np.bool_]]
"""An index, and which of its rows are alive."""


@dataclass(frozen=True)
class KnownTerm:
    """A term of a query that some row alive has."""

    times: int
    """In the query."""
    rarity: float
    """Its inverse document frequency, among the rows alive."""
    postings: tuple[slice, ...]
    """Where its rows are, in each part."""


def known_terms(query: Counter[int], parts: Sequence[Part]) -> list[KnownTerm]:
    """Look up the terms of a query, in one order, so that sums over them are always the same."""
    alive_rows = sum(int(alive.sum()) for _, alive in parts)
    known = []
    for term, times in sorted(query.items()):
        found = tuple(postings.of(term) for postings, _ in parts)
        having = sum(
            int(np.count_nonzero(alive[postings.rows[at]]))
            for (postings, alive), at in zip(parts, found, strict=True)
        )
        if having:
            rarity = float(np.log1p((alive_rows - having + 0.5) / (having + 0.5)))
            known.append(KnownTerm(times, rarity, found))
    return known


def bm25_scores(known: Sequence[KnownTerm], parts: Sequence[Part]) -> NDArray[np.float64]:
    """Score all rows of all parts, one after the other, for the terms of a query; shape (n,).

    Only rows alive make the statistics. Rows without any of the terms score 0. Equal rows score
    equal to the last bit, wherever they lie.
    """
    alive_rows = sum(int(alive.sum()) for _, alive in parts)
    total = sum(int(postings.lengths[alive].sum()) for postings, alive in parts)
    mean = total / alive_rows if total else 1.0
    scores = [np.zeros(len(alive)) for _, alive in parts]
    for term in known:
        for (postings, _), at, score in zip(parts, term.postings, scores, strict=True):
            rows, counts = postings.rows[at], postings.counts[at]
            stretch = K1 * (1 - B + B * postings.lengths[rows] / mean)
            score[rows] += term.times * term.rarity * (counts / (counts + stretch))
    return np.concatenate(scores)


def word_weights(
    known: Sequence[KnownTerm], parts: Sequence[Part], positions: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Give rows the rarity of each term that they have, else 0; shape (positions, terms).

    `positions` count through all parts, one after the other.
    """
    weights, start = np.zeros((len(positions), len(known))), 0
    for part, (postings, alive) in enumerate(parts):
        for column, term in enumerate(known):
            rows = postings.rows[term.postings[part]]  # sorted
            if len(rows):
                near = rows[np.searchsorted(rows, positions - start).clip(max=len(rows) - 1)]
                weights[near == positions - start, column] = term.rarity
        start += len(alive)
    return weights

"""Words of rows: an inverted index of counts, not of scores, which change with every write."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray

K1, B = 1.5, 0.75

# Scripts that put no spaces between words give pairs of characters, which overlap.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_ASCII_WORDS = re.compile("[a-z0-9_]+")  # the same of plain text, in a tenth of the time


def words_of(text: str) -> list[str]:
    """Cut a text into words, in lower case; no word is left out for being common."""
    if text.isascii():
        return _ASCII_WORDS.findall(text.lower())
    words: list[str] = []
    for match in _any_words().finditer(unicodedata.normalize("NFKC", text).casefold()):
        word = match[0]
        if match["unspaced"] is None or len(word) < 3:
            words.append(word)
        else:
            words += [word[at : at + 2] for at in range(len(word) - 1)]
    return words


@lru_cache
def _any_words() -> Any:
    """Compile what cuts any text, when it is needed.

    What that leaves to the garbage collector has finalisers, and an interrupt that meets one of
    those is lost.
    """
    return regex.compile(
        rf"(?P<unspaced>[{_UNSPACED}][{_UNSPACED}\p{{M}}]*)"
        rf"|(?:(?![{_UNSPACED}])[\p{{L}}\p{{M}}\p{{N}}_])+"
    )


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
        """Sort postings: the term, the row and the count of each, and the length of each row.

        Those of one term and row become one.
        """
        order = np.lexsort((rows, spread))
        spread, rows, counts = spread[order], rows[order], counts[order]
        is_first = np.ones(len(rows), bool)
        is_first[1:] = (spread[1:] != spread[:-1]) | (rows[1:] != rows[:-1])
        first = np.flatnonzero(is_first)
        if len(first) < len(rows):
            spread, rows = spread[first], rows[first]
            counts = np.add.reduceat(counts, first, dtype=np.int32)
        terms, first = np.unique(spread, return_index=True)
        starts = np.append(first, len(rows)).astype(np.int64)
        return cls(terms, starts, rows, counts, lengths)


class PostingsBuilder:
    """Indexes texts one by one."""

    def __init__(self) -> None:
        self._spread, self._lengths = array("Q"), array("i")

    def add(self, text: str) -> None:
        """Add the next row."""
        before = len(self._spread)
        self._spread.extend(map(term_of, words_of(text)))
        self._lengths.append(len(self._spread) - before)

    def done(self) -> Postings:
        """Give the index."""
        lengths = np.array(self._lengths, np.int32)
        spread = np.array(self._spread, np.uint64)
        rows = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        return Postings.sorted(spread, rows, np.ones(len(rows), np.int32), lengths)


def weight_of(
    counts: NDArray[np.int32], lengths: NDArray[np.int32], mean: float
) -> NDArray[np.float64]:
    """Say what a term that a row has so often is worth by BM25, but for its rarity."""
    weights: NDArray[Any] = counts / (counts + K1 * (1 - B + B * lengths / mean))
    return weights

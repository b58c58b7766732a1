"""Which texts are near copies of each other: by meaning, or letter by letter. Pure.

A rule of both: an embedding takes a typing error for another word, and an edit distance takes
another way of saying it for another thing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptlib.embedding.embedder import Progress, Vectors
from promptlib.errors import MissingDependencyError

Codes = NDArray[np.int64]
Floats = NDArray[np.float32]

NEIGHBOURS = 16
LETTERS = 0.9
"""Share of letters that stand in the same order, from which two texts are near copies."""
SLIP = 3
"""Letters of a word for each that may be wrong, missing or out of order: "and" and "adn"."""

LETTER_DIM = 256
"""Columns that the letters of a text are hashed to: only candidates are sought there."""
BLOCK, FEW = 2_000, 250
"""Rows that are looked at together, and rows that are compared with all at once."""

LONGEST = 2_000
"""Characters of a text that are compared letter by letter."""


@dataclass(frozen=True)
class Neighbours:
    """The nearest others of each of n texts, the nearest first."""

    places: Codes
    """(n, k); -1 where there are fewer."""
    cosine: Floats
    """(n, k)."""


@dataclass(frozen=True)
class Twins:
    """Pairs of near copies."""

    pairs: Codes
    """Places of two texts, the first the smaller: (pairs, 2)."""
    cosine: Floats
    letters: Floats
    """Share of letters in common, from 0 to 1."""

    def __len__(self) -> int:
        return len(self.pairs)

    def groups(self, count: int) -> Codes:
        """Number the groups of texts that are linked by pairs, (count,)."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        ones = np.ones(len(self.pairs), np.int8)
        links = coo_matrix((ones, (self.pairs[:, 0], self.pairs[:, 1])), shape=(count, count))
        found: Codes = connected_components(links, directed=False)[1].astype(np.int64)
        return found


def find_neighbours(
    vectors: Vectors, k: int = NEIGHBOURS, progress: Progress | None = None
) -> Neighbours:
    """Find the k nearest others of each row of unit vectors, exactly, by FAISS."""
    import faiss

    count = len(vectors)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    wanted = min(k + 1, count)
    places = np.full((count, k), -1, np.int64)
    cosine = np.full((count, k), -1, np.float32)
    faiss.omp_set_num_threads(os.cpu_count() or 1)  # of this thread; searches of one query set it
    for start in range(0, count, BLOCK):
        block = slice(start, start + BLOCK)
        found, near = index.search(vectors[block], wanted)
        own = near == np.arange(start, start + len(near))[:, None]
        own[~own.any(axis=1), -1] = True  # among many equals it may not find itself
        places[block, : wanted - 1] = near[~own].reshape(len(near), -1)
        cosine[block, : wanted - 1] = found[~own].reshape(len(near), -1)
        if progress is not None:
            progress(min(start + BLOCK, count), count)
    return Neighbours(places, cosine)


def find_twins(
    neighbours: Neighbours, texts: Sequence[str], letters: Floats, vectors: Vectors, near: float
) -> Twins:
    """Find the pairs of texts whose cosine is at least `near`, or whose letters are.

    `texts` are normalised, `letters` their `letter_vectors`. Where all neighbours of a text are so
    near, more are looked for.
    """
    meant = _pairs(_near_pairs(neighbours, vectors, near))
    candidates = find_neighbours(letters)
    spelt = _pairs(np.argwhere(candidates.cosine > 0.5), candidates.places)
    pairs = np.unique(np.concatenate([meant, spelt]), axis=0)
    alike, cosine = _letters(pairs, texts), _cosines(pairs, vectors)
    kept = (cosine >= near) | (alike >= LETTERS)
    return Twins(pairs[kept], cosine[kept], alike[kept])


def letter_vectors(texts: Sequence[str]) -> Floats:
    """Hash the runs of two to four letters of each text to a unit vector, (texts, LETTER_DIM).

    Cosines are near those of the runs themselves.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=LETTER_DIM)
    made: Floats = np.empty((len(texts), LETTER_DIM), np.float32)
    for start in range(0, len(texts), BLOCK):
        part = [text[:LONGEST] for text in texts[start : start + BLOCK]]
        made[start : start + BLOCK] = hashing.transform(part).toarray()
    return made


def stars(pairs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, list[int]]]:
    """Group near copies around survivors: (survivor, those directly near it), each in one group.

    Nothing is given up for a row that it isn't itself near to: chains of copies aren't one group.
    """
    near: dict[int, set[int]] = {}
    for one, other in pairs:
        near.setdefault(one, set()).add(other)
        near.setdefault(other, set()).add(one)
    taken: set[int] = set()
    for centre in sorted(near, key=lambda row: (-len(near[row]), row)):
        if centre in taken:
            continue
        if members := sorted(near[centre] - taken):
            taken |= {centre, *members}
            yield centre, members


def _near_pairs(neighbours: Neighbours, vectors: Vectors, near: float) -> Codes:
    rows, columns = np.nonzero(neighbours.cosine >= near)
    found = [np.stack([rows, neighbours.places[rows, columns]], axis=1)]
    full = np.flatnonzero(neighbours.cosine[:, -1] >= near)
    for start in range(0, len(full), FEW):
        part = full[start : start + FEW]
        at, others = np.nonzero(vectors[part] @ vectors.T >= near)
        found.append(np.stack([part[at], others], axis=1))
    return np.concatenate(found)


def _pairs(found: Codes, places: Codes | None = None) -> Codes:
    """Give pairs with the smaller place first, each once and none with itself."""
    if places is not None:
        found = np.stack([found[:, 0], places[found[:, 0], found[:, 1]]], axis=1)
    found = np.sort(found.astype(np.int64), axis=1)
    kept: Codes = np.unique(found[(found[:, 0] != found[:, 1]) & (found[:, 0] >= 0)], axis=0)
    return kept.reshape(-1, 2)


def _same_words(one: str, other: str, distance: Callable[[str, str], int]) -> bool:
    """Whether texts differ by slips and left-out words, not by a word that stands for another.

    "What does CPR mean?" and "What does IBM mean?" have most letters in common.
    """

    def odd(words: set[str], others: set[str]) -> bool:
        return not all(any(_is_slip(word, each, distance) for each in others) for word in words)

    mine, theirs = {*one.split()}, {*other.split()}
    left, right = mine - theirs, theirs - mine
    return not (odd(left, right) and odd(right, left))


def _is_slip(one: str, other: str, distance: Callable[[str, str], int]) -> bool:
    if any(letter.isdigit() for letter in one + other):
        return False  # another number is another thing
    return distance(one, other) <= max(len(one), len(other)) // SLIP


def _cosines(pairs: Codes, vectors: Vectors) -> Floats:
    made = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), BLOCK):
        part = pairs[start : start + BLOCK]
        made[start : start + BLOCK] = np.einsum(
            "nd,nd->n", vectors[part[:, 0]], vectors[part[:, 1]]
        )
    return made


def _letters(pairs: Codes, texts: Sequence[str]) -> Floats:
    """Say which share of letters two texts have in common, their words in order or sorted."""
    try:
        from rapidfuzz import fuzz
        from rapidfuzz.distance import OSA
    except ImportError:
        raise MissingDependencyError("near copies", "audit") from None
    made = np.empty(len(pairs), np.float32)
    least = 100 * LETTERS
    for at, (one, other) in enumerate(pairs.tolist()):
        first, second = texts[one][:LONGEST], texts[other][:LONGEST]
        alike = max(
            fuzz.ratio(first, second, score_cutoff=least),
            fuzz.token_sort_ratio(first, second, score_cutoff=least),
        )
        made[at] = alike if alike and _same_words(first, second, OSA.distance) else 0
    shares: Floats = made / np.float32(100)
    return shares

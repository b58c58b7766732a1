"""Which rows are near copies of each other. Pure: unit vectors in, pairs and groups out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

NEAR_DUPLICATE = 0.95
"""Rows at least so similar (cosine) say nearly the same."""

BLOCK = 2_000
"""Rows that are compared with all others at a time: 80 MB for 10,000."""

Pairs = NDArray[np.int64]
Codes = NDArray[np.int64]
Floats = NDArray[np.float32]


def blocks(vectors: Floats, others: Floats | None = None) -> Iterator[tuple[int, Floats]]:
    """Go through all cosines, a block of rows at a time: (first row, (rows, others))."""
    others = vectors if others is None else others
    for start in range(0, len(vectors), BLOCK):
        yield start, vectors[start : start + BLOCK] @ others.T


def near_pairs(vectors: Floats, least: float = NEAR_DUPLICATE) -> Iterator[Pairs]:
    """Go through the pairs of rows (i < j) that are near copies, some at a time: (pairs, 2)."""
    for start, cosine in blocks(vectors):
        first, second = np.nonzero(cosine >= least)
        first = first + start
        yield np.stack([first, second], axis=1)[first < second]


def group_twins(vectors: Floats, least: float = NEAR_DUPLICATE) -> Codes:
    """Number the groups of rows that are linked by near copies, (n,)."""
    groups = np.arange(len(vectors))
    for pairs in near_pairs(vectors, least):
        if len(pairs):
            groups = _joined(groups, pairs)
    found: Codes = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    return found


def _joined(groups: Codes, pairs: Pairs) -> Codes:
    """Join the groups that pairs link: only groups are kept, however many pairs there are."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = len(groups)
    rows, columns = groups[pairs[:, 0]], groups[pairs[:, 1]]
    links = coo_matrix((np.ones(len(pairs), np.int8), (rows, columns)), shape=(count, count))
    joined: Codes = connected_components(links, directed=False)[1][groups].astype(np.int64)
    return joined

"""A vote of the nearest examples: what stands in for a model that is shown them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from promptlib.curation.likeness import blocks
from promptlib.selection.pool import TEMPERATURE

NEIGHBOURS = 8
"""How many of the nearest rows vote."""

Floats = NDArray[np.float32]
Codes = NDArray[np.int64]


def vote(
    vectors: Floats, codes: Codes, asked: Floats, *, classes: int, neighbours: int = NEIGHBOURS,
    groups: Codes | None = None, asked_groups: Codes | None = None,
) -> Codes:  # fmt: skip
    """Let the nearest rows vote for the class of each row that is asked, (asked,).

    A vote counts exp(cosine / TEMPERATURE). With `groups`, no row of the same group has a vote:
    leave-one-out. Those asked are the rows themselves unless `asked_groups` says their groups.
    """
    asked_groups = groups if asked_groups is None else asked_groups
    answers = np.empty(len(asked), np.int64)
    for start, cosine in blocks(asked, vectors):
        rows = slice(start, start + len(cosine))
        if groups is not None and asked_groups is not None:
            cosine[asked_groups[rows, None] == groups[None, :]] = -np.inf
        count = min(neighbours, cosine.shape[1])
        near = np.argpartition(-cosine, count - 1, axis=1)[:, :count]
        weight = np.exp((np.take_along_axis(cosine, near, axis=1) - 1) / TEMPERATURE)
        votes = np.zeros((len(cosine), classes))
        np.add.at(votes, (np.arange(len(cosine))[:, None], codes[near]), weight)
        answers[rows] = votes.argmax(axis=1)
    return answers

"""Which rows are worth a label next: those that stand for most of what no example covers yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from promptlib.audit.copies import find_neighbours
from promptlib.audit.retrieval import SHOWN
from promptlib.audit.rows import AuditRows
from promptlib.embedding.embedder import Embedder
from promptlib.errors import ConfigError
from promptlib.example import Example, retrieval_text

NEIGHBOURS = 150
"""Of each row in the graph, as in Su et al. 2022, who chose among 3,000."""

PART = 20
"""Of few rows, a twentieth are neighbours: were all of them, all would have the same votes."""


@dataclass(frozen=True)
class NextRow:
    """A row to label, and how many others it stands for."""

    example: Example
    votes: float


def label_next(
    candidates: Sequence[Example], rows: AuditRows | None, embedder: Embedder, count: int
) -> list[NextRow]:
    """Choose rows to label by vote-k (Su et al. 2022, arXiv:2209.01975), the most telling first.

    Every candidate votes for its nearest; a vote counts a tenth for each of them that is chosen,
    and for each row of the store that a prompt for it would show. Raises ConfigError without
    candidates.
    """
    known = {example.content_hash for example in rows.examples} if rows is not None else set()
    new = [example for example in candidates if example.content_hash not in known]
    if not new or count < 1:
        raise ConfigError("there is nothing to choose from: every row is in the store already")
    recipe = rows.settings.embed if rows is not None else None
    texts = [retrieval_text(e.input, recipe) if recipe else retrieval_text(e.input) for e in new]
    vectors = embedder.embed(texts)
    both = vectors if rows is None else np.concatenate([vectors, rows.vectors])
    k = min(NEIGHBOURS, max(SHOWN, len(both) // PART), len(both) - 1)
    near = find_neighbours(both, k).places[: len(new)]
    supported = (near[:, :SHOWN] >= len(new)).sum(axis=1).astype(np.float64)
    near = np.where((near >= 0) & (near < len(new)), near, len(new))
    chosen: list[NextRow] = []
    left = np.ones(len(new) + 1, bool)
    left[-1] = False
    voters = np.ones(len(new), bool)
    for _ in range(min(count, len(new))):
        weight = np.where(voters, 10.0**-supported, 0.0)
        votes = np.bincount(near.ravel(), np.repeat(weight, near.shape[1]), minlength=len(new) + 1)
        at = int(np.where(left, votes, -1).argmax())
        chosen.append(NextRow(new[at], float(votes[at])))
        left[at] = voters[at] = False
        supported += (near == at).any(axis=1)
    return chosen

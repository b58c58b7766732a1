"""Strategies by which examples add to each other: each scores a candidate given those taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from promptlib.selection.pool import (
    DIGITS,
    FORBIDDEN,
    TEMPERATURE,
    VALUE_TEMPERATURE,
    Floats,
    Gains,
    Pool,
    Positions,
    descending,
    fused,
    label_votes,
    rank_weights,
)

DPP_TEMPERATURE = 0.1
"""How strongly the kernel of `dpp` prefers relevant candidates, as published."""

NEW_LABEL = 0.1
"""What the first example of a label is worth to `balanced` beside the most relevant one."""

PART = 8
"""Rows of a product of vectors that are worked out at a time."""

NOTHING = 1e-10
"""The least a candidate adds: what those taken have is less than rounding can tell."""


class _Mmr:
    """Maximal marginal relevance (Carbonell and Goldstein 1998): near the query, unlike each other.

    The score is lambda_mult * similarity - (1 - lambda_mult) * nearness to the one most like it
    among those taken.
    """

    def __init__(self, pool: Pool) -> None:
        self._likeness = _likeness(pool, np.float32).astype(np.float64).round(DIGITS)
        self._unlike = 1 - pool.weights.lambda_mult
        self._relevance = pool.weights.lambda_mult * pool.similarity
        self._closest = np.full(len(pool), -np.inf)
        self.scores = self._relevance

    def take(self, position: int) -> None:
        np.maximum(self._closest, self._likeness[position], out=self._closest)
        self.scores = self._relevance - self._unlike * self._closest


class _Dpp:
    """Determinantal point process (Chen et al. 2018, arXiv:1709.05135, algorithm 1).

    The kernel is r_i * (1 + cosine_ij) / 2 * r_j with r = exp(hybrid's score / (2 * 0.1)), as in
    CEIL (Ye et al. 2023) but for the score, there the cosine. A candidate adds the logarithm of
    the factor by which it multiplies the determinant; the score is that times VALUE_TEMPERATURE.
    """

    def __init__(self, pool: Pool) -> None:
        relevance = fused(pool)
        factors = np.exp((relevance - relevance.max(initial=0)) / (2 * DPP_TEMPERATURE))
        self._kernel = factors[:, None] * (1 + _likeness(pool)) / 2 * factors
        self._left = self._kernel.diagonal().copy()
        self._rows = np.zeros((len(pool), len(pool)))  # of the Cholesky factor, one a step
        self._taken = 0
        self._score()

    def take(self, position: int) -> None:
        if self._left[position] <= NOTHING:
            return  # those taken span all there is
        rows = self._rows[: self._taken]
        row = self._kernel[position] - rows[:, position] @ rows
        row /= np.sqrt(self._left[position])
        self._rows[self._taken] = row
        self._taken += 1
        self._left -= row * row
        self._score()

    def _score(self) -> None:
        self.scores = (VALUE_TEMPERATURE * np.log(np.maximum(self._left, NOTHING))).round(DIGITS)


class _Coverage:
    """Relevant examples that together have the query's words, for compositional tasks.

    Half hybrid's score, half the share of the query's words, by inverse document frequency, that
    the candidate has and none taken has. When nothing new can be covered, all words count anew
    (Set-BSR, Gupta et al. 2023, arXiv:2305.14907, with words in place of token vectors).
    """

    def __init__(self, pool: Pool) -> None:
        total = pool.words.max(axis=0, initial=0).sum() or 1.0
        self._words = (pool.words if len(pool.words) else np.zeros((len(pool), 0))) / (2 * total)
        self._has = self._words > 0
        self._relevance = fused(pool) / 2
        self._waiting = np.ones(len(pool), dtype=bool)
        self._open = np.ones(self._words.shape[1])
        self.scores = self._scored()

    def take(self, position: int) -> None:
        self._waiting[position] = False
        self._open[self._has[position]] = 0
        self.scores = self._scored()

    def _scored(self) -> Floats:
        new = self._words @ self._open
        if not new[self._waiting].any():
            self._open[:] = 1
            new = self._words @ self._open
        scores: Floats = (self._relevance + new).round(DIGITS)
        return scores


class _Balanced:
    """First the nearest of each of the likeliest labels, `min_labels` of them; then by relevance.

    Labels stand in order of their votes. The relevance is hybrid's score, plus `border` times
    closeness to the border of the two likeliest labels: 1 - |a - b| / (a + b) for the votes a and
    b of a candidate's neighbours (after Ambig-ICL, Gao et al. 2023, arXiv:2309.07900, with votes
    for the model's own guesses). `max_per_label` is a cap.
    """

    def __init__(self, pool: Pool) -> None:
        votes = label_votes(pool.similarity, pool.labels)
        by_votes = sorted(votes, key=lambda label: -votes[label])
        numbers = {label: number for number, label in enumerate(by_votes)}
        self._labels = np.array([numbers[label] for label in pool.labels], dtype=np.int64)
        self._taken = np.zeros(len(numbers), dtype=np.int64)
        self._most = pool.weights.max_per_label or np.inf
        self._open = pool.weights.min_labels
        self._relevance = fused(pool)
        if pool.weights.border and len(numbers) > 1:
            self._relevance = self._relevance + pool.weights.border * self._borders(pool)
        nearest = np.full(len(numbers), -np.inf)
        np.maximum.at(nearest, self._labels, pool.similarity)
        # The nearest of a label scores above all relevance, others of it less by their distance.
        first = 1 + pool.weights.border + NEW_LABEL * rank_weights(len(numbers))
        self._first = first[self._labels] + pool.similarity - nearest[self._labels]
        self.scores = self._scored()

    def take(self, position: int) -> None:
        label = self._labels[position]
        self._open -= not self._taken[label]
        self._taken[label] += 1
        self.scores = self._scored()

    def _scored(self) -> Floats:
        taken = self._taken[self._labels]
        scores = np.where(taken == 0, self._first, self._relevance)
        if self._open <= 0:
            scores = self._relevance.copy()
        scores[taken >= self._most] = -np.inf
        return scores

    def _borders(self, pool: Pool) -> Floats:
        weights = np.exp((_likeness(pool) - 1) / TEMPERATURE)
        np.fill_diagonal(weights, 0)
        one, other = (weights[:, self._labels == label].sum(axis=1) for label in (0, 1))
        closeness = 1 - np.abs(one - other) / (one + other + NOTHING)
        border: Floats = np.where(self._labels <= 1, closeness, 0).round(DIGITS)
        return border


class _Diverse:
    """Examples that stand for the others, whatever the query: facility location.

    A candidate adds what it shortens the mean distance of all candidates to the nearest taken one
    by (Lin and Bilmes 2012: monotone submodular, so taking the best each time is within 1 - 1/e of
    the best set). The score is the logarithm of that times VALUE_TEMPERATURE.
    """

    def __init__(self, pool: Pool) -> None:
        self._likeness = np.maximum(_likeness(pool, np.float32), 0)
        self._nearest = np.zeros(len(pool), dtype=np.float32)
        self.scores = self._scored()

    def take(self, position: int) -> None:
        np.maximum(self._nearest, self._likeness[position], out=self._nearest)
        self.scores = self._scored()

    def _scored(self) -> Floats:
        if not len(self._nearest):
            return np.zeros(0)
        shortened = np.maximum(self._likeness - self._nearest, 0).mean(axis=1, dtype=np.float64)
        scores: Floats = (VALUE_TEMPERATURE * np.log(np.maximum(shortened, NOTHING))).round(DIGITS)
        return scores


SETS: Mapping[str, Callable[[Pool], Gains]] = {
    "mmr": _Mmr,
    "dpp": _Dpp,
    "coverage": _Coverage,
    "balanced": _Balanced,
    "diverse": _Diverse,
}


def rank_greedily(gains: Gains, depth: int) -> tuple[Positions, Floats]:
    """Take the candidate of the best score, again and again; ties go to the first.

    After `depth` of them the others stand as they score then; those that may not be added last.
    """
    count = len(gains.scores)
    waiting = np.zeros(count)  # -inf for those taken
    order = np.empty(count, dtype=np.int64)
    scores = np.empty(count)
    for step in range(min(depth, count)):
        left = gains.scores + waiting
        best = int(left.argmax())
        if left[best] == -np.inf:
            depth = step
            break
        order[step], scores[step] = best, left[best]
        waiting[best] = -np.inf
        gains.take(best)
    if depth < count:
        left = np.maximum(gains.scores, FORBIDDEN) + waiting
        rest = descending(left)[: count - depth]
        order[depth:], scores[depth:] = rest, left[rest]
    # What is taken first can score less than the second: it has nothing to add to.
    return order, np.minimum.accumulate(scores)


def _likeness(pool: Pool, kind: type[np.floating] = np.float64) -> NDArray[np.floating]:
    """Give the cosine of each candidate with each, (n, n)."""
    vectors = pool.vectors.astype(kind)
    likeness = np.empty((len(pool), len(pool)), dtype=kind)
    # In parts too small for BLAS to share among threads: beside other work, waiting for those took
    # 100 times as long as the product.
    for start in range(0, len(pool), PART):
        part = slice(start, start + PART)
        np.matmul(vectors[part], vectors.T, out=likeness[part])
    return likeness

"""Fit examples into a token budget. Pure: scores and counts in, positions out.

The first k by rank, if the whole prompt fits with them. Otherwise the set of most value that fits,
then the whole counted, mended while it is over, filled while there is room. What is promised is
about the last count alone: it never exceeds the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from promptlib.errors import BudgetError

TEMPERATURE = 0.05
"""Value is exp((score - best) / TEMPERATURE): a near example is worth several distant ones."""

JOIN_SLACK = 2
"""Tokens that joining texts may save or cost per example: byte-pair counts don't add up."""

MAX_CELLS = 50_000_000
"""Of the table of the exact choice: one byte each, and some 100 ms in all."""

Count = Callable[[Sequence[int]], int]
"""Tokens of the whole prompt with the candidates at these positions, given best first."""


class DropReason(StrEnum):
    """Why an example was left out."""

    BEYOND_K = "beyond k"
    OVER_BUDGET = "over budget"
    BELOW_MIN_SCORE = "below min_score"


@dataclass(frozen=True)
class Fit:
    """The candidates to show, best first, with the exact count of the prompt that shows them."""

    chosen: tuple[int, ...]
    tokens: int
    dropped: dict[int, DropReason]
    costs: dict[int, int]
    """Position -> tokens of its example alone in the prompt, of those that were measured."""


def fit_examples(scores: Sequence[float], count: Count, *, k: int, limit: int) -> Fit:
    """Choose among candidates ranked best first: at most k, at most `limit` tokens in all.

    `scores` are the strategy's, `count` counts a whole prompt exactly. Raises BudgetError when the
    prompt is over the limit without any example.
    """
    ranks = range(len(scores))
    first = tuple(ranks[:k])
    tokens = count(first)
    if tokens <= limit:
        return Fit(first, tokens, dict.fromkeys(ranks[k:], DropReason.BEYOND_K), {})
    fixed = count(())
    if fixed > limit:
        raise BudgetError(
            f"the prompt has {fixed:,} tokens without any example, {limit:,} are available",
            fixed=fixed,
            available=limit,
        )
    costs = {i: max(0, count((i,)) - fixed) for i in ranks}
    values = example_values(scores)
    chosen = best_set(values, [costs[i] for i in ranks], k=k, room=limit - fixed)
    chosen, tokens = _mend(chosen, count, values, limit)
    chosen, tokens = _refill(chosen, tokens, count, costs, k, limit)
    left = (i for i in ranks if i not in chosen)
    # With fewer than k shown it was the budget; so it was for a better one than the last shown.
    reasons = {
        i: DropReason.OVER_BUDGET
        if len(chosen) < k or i < max(chosen, default=0)
        else DropReason.BEYOND_K
        for i in left
    }
    return Fit(tuple(chosen), tokens, reasons, costs)


def example_values(scores: Sequence[float]) -> NDArray[np.float64]:
    """Turn scores into values: exp((score - best) / TEMPERATURE)."""
    array = np.asarray(scores, dtype=np.float64)
    return np.exp((array - array.max(initial=-np.inf)) / TEMPERATURE) if len(array) else array


def best_set(values: NDArray[np.float64], costs: Sequence[int], *, k: int, room: int) -> list[int]:
    """Solve the 0/1 knapsack with a cardinality cap exactly, by dynamic programming.

    best[j, r] is the most value of at most j candidates in at most r tokens. Time is
    O(n k room), in numpy over (k, room). Returns positions in order; of equal sets, the one that
    holds the better ranked. Past MAX_CELLS, costs are rounded up to a coarser unit: the set still
    fits, and is the best one at that resolution.
    """
    n = len(values)
    k = min(k, n)
    room = min(room, sum(costs))
    unit = 1 + n * (k + 1) * (room + 1) // MAX_CELLS
    costs, room = [-(-cost // unit) for cost in costs], room // unit
    best = np.zeros((k + 1, room + 1))
    taken = np.zeros((n, k + 1, room + 1), dtype=bool)
    for i in reversed(range(n)):  # the best ranked last, so that it wins ties
        cost = costs[i]
        if cost > room:
            continue
        with_i = best[:-1, : room + 1 - cost] + values[i]
        better = with_i >= best[1:, cost:]
        taken[i, 1:, cost:] = better
        best[1:, cost:] = np.where(better, with_i, best[1:, cost:])
    chosen: list[int] = []
    for i in range(n):
        if k and taken[i, k, room]:
            chosen.append(i)
            k, room = k - 1, room - costs[i]
    return chosen


def _mend(
    chosen: list[int], count: Count, values: NDArray[np.float64], limit: int
) -> tuple[list[int], int]:
    """Leave out the least valuable while the whole is over the limit."""
    while (tokens := count(tuple(chosen))) > limit:
        worst = min(chosen, key=lambda i: (values[i], -i))
        chosen = [i for i in chosen if i != worst]
    return chosen, tokens


def _refill(
    chosen: list[int], tokens: int, count: Count, costs: dict[int, int], k: int, limit: int
) -> tuple[list[int], int]:
    """Try those left out, best first, while there is room."""
    for i in costs:
        slack = JOIN_SLACK * (len(chosen) + 1)
        if len(chosen) >= k or i in chosen or costs[i] > limit - tokens + slack:
            continue
        more = sorted([*chosen, i])
        if (total := count(tuple(more))) <= limit:
            chosen, tokens = more, total
    return chosen, tokens

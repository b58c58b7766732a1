"""The exact choice: the set of most value within a room, by dynamic programming. Pure."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_CELLS = 50_000_000
"""Of the table of the exact choice: one byte each, and some 100 ms in all."""


def best_set(
    values: NDArray[np.float64], costs: Sequence[int], *, k: int, room: int, min_k: int = 0
) -> list[int] | None:
    """Solve the 0/1 knapsack with a least and a greatest number of items exactly.

    best[j, r] is the most value of j items in at most r tokens (the textbook recurrence, with the
    number of items as a second dimension). Time is O(n k room), in numpy over (k, room). Returns
    positions in order; of equal sets, the one that holds the better ranked. None when no `min_k`
    items fit. Past MAX_CELLS, costs are rounded up to a coarser unit: the set still fits, and is
    the best one at that resolution.
    """
    useful = _undominated(values, costs, k, room)
    k, n = min(k, len(useful)), len(useful)
    sizes = [costs[i] for i in useful]
    room = min(room, sum(sorted(sizes)[n - k :]))
    unit = 1 + n * (k + 1) * (room + 1) // MAX_CELLS
    sizes, room = [-(-size // unit) for size in sizes], room // unit
    best = np.full((k + 1, room + 1), -np.inf)
    best[0] = 0
    taken = np.zeros((n, k + 1, room + 1), dtype=bool)
    for i in reversed(range(n)):  # the best ranked last, so that it wins ties
        size = sizes[i]
        if size > room:
            continue
        with_i = best[:-1, : room + 1 - size] + values[useful[i]]
        better = with_i >= best[1:, size:]
        better &= with_i > -np.inf
        taken[i, 1:, size:] = better
        np.copyto(best[1:, size:], with_i, where=better)
    full = best[:, room]
    if k < min_k or full[min_k:].max() == -np.inf:
        # At a coarse unit the cheapest may seem too dear.
        cheapest = sorted(useful, key=lambda i: costs[i])[:min_k] if unit > 1 else []
        fits = len(cheapest) == min_k and sum(costs[i] for i in cheapest) <= room * unit
        return sorted(cheapest) if fits else None
    number = min_k + int(full[min_k:].argmax())
    chosen: list[int] = []
    for i in range(n):
        if number and taken[i, number, room]:
            chosen.append(useful[i])
            number, room = number - 1, room - sizes[i]
    return chosen


def _undominated(values: NDArray[np.float64], costs: Sequence[int], k: int, room: int) -> list[int]:
    """Leave out what can't be in the answer: k better ones, no worse in value, cost no more.

    For any set that holds such an item, there is one with a better one in its place.
    """
    kept: list[int] = []
    cheaper: list[int] = []
    for i in np.argsort(-values, kind="stable").tolist():
        cost = costs[i]
        if cost <= room and bisect_right(cheaper, cost) < k:
            kept.append(i)
            insort(cheaper, cost)
    return sorted(kept)

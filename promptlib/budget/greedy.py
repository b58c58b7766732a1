"""The choice where examples add to each other: the best of three ways. Pure.

No way is exact in reasonable time. For a monotone submodular value and additive costs, density
greedy with the best single addition at each step reaches half of the optimum (Greedy+Max,
Yaroslavtsev et al. 2020, without a cap on the number); in practice nearly all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from promptlib.selection.pool import Gains, example_values


def best_of_three(
    start: Callable[[], Gains], costs: Sequence[int], *, k: int, room: int, min_k: int = 0
) -> list[int] | None:
    """Choose at most k ranks within `room` tokens; None when no `min_k` fit.

    The most valuable of: the best rank that fits again and again; the most value per token again
    and again; and each stage of that with the best single rank in place of all later ones.
    """
    price = np.maximum(np.asarray(costs, dtype=np.int64), 0)
    found = [_cheapest(start, price, min_k)] if min_k else [(0.0, [])]
    found.append(_walk(start, price, k, room, _by_value)[-1])
    found += _walk(start, price, k, room, _by_density)
    fits = [
        (value, chosen)
        for value, chosen in found
        if len(chosen) >= min_k and sum(price[i] for i in chosen) <= room
    ]
    return sorted(max(fits, key=lambda pair: pair[0])[1]) if fits else None


def rank_order(start: Callable[[], Gains], skipped: NDArray[np.bool_], k: int) -> list[int]:
    """Take the best rank that isn't skipped, k times at most."""
    return _walk(start, skipped.astype(np.int64), k, 0, _by_value)[-1][1]


Choice = tuple[float, list[int]]
Key = Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]]


def _by_value(values: NDArray[np.float64], price: NDArray[np.int64]) -> NDArray[np.float64]:
    return values


def _by_density(values: NDArray[np.float64], price: NDArray[np.int64]) -> NDArray[np.float64]:
    return values / np.maximum(price, 1)


def _walk(
    start: Callable[[], Gains], price: NDArray[np.int64], k: int, room: int, key: Key
) -> list[Choice]:
    """Take the best by `key` while one fits; returns each stage closed by the best single rank."""
    gains = start()
    best = float(gains.scores.max(initial=-np.inf))
    total, chosen = 0.0, list[int]()
    waiting = np.ones(len(price), dtype=bool)
    stages: list[Choice] = [(0.0, [])]
    while len(chosen) < k:
        scores = gains.scores
        values = example_values(scores, best)
        open_ = waiting & (price <= room) & (scores > -np.inf)
        if not open_.any():
            break
        single = int(np.where(open_, values, -1).argmax())
        stages.append((total + float(values[single]), [*chosen, single]))
        step = int(np.where(open_, key(values, price), -1).argmax())
        total += float(values[step])
        chosen = [*chosen, step]
        room -= int(price[step])
        waiting[step] = False
        gains.take(step)
    return [*stages, (total, chosen)]


def _cheapest(start: Callable[[], Gains], price: NDArray[np.int64], min_k: int) -> Choice:
    """Take the cheapest `min_k` that go together."""
    gains = start()
    best = float(gains.scores.max(initial=-np.inf))
    total, chosen = 0.0, list[int]()
    for step in np.argsort(price, kind="stable").tolist():
        if len(chosen) == min_k:
            break
        if gains.scores[step] > -np.inf:
            total += float(example_values(gains.scores, best)[step])
            chosen.append(step)
            gains.take(step)
    return total, chosen

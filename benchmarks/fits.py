"""The fit against every set there is: python benchmarks/fits.py

5,000 random instances and 1,000 that are made to be hard, of up to 12 candidates: one giant against
many small ones, equal value per token, near ties, texts that cost less or more together than apart.
Additive values, and the set values of the strategies that have one.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from common import median, save

from promptlib.budget.fit import DropReason, fit_examples
from promptlib.budget.greedy import best_of_three
from promptlib.embedding.embedder import unit_rows
from promptlib.selection.pool import VALUE_TEMPERATURE, Gains, Pool, Weights, example_values
from promptlib.selection.sets import SETS
from promptlib.selection.strategies import select_examples

FIXED = 20


def random_instance(chance: random.Random) -> tuple[list[float], list[int], int]:
    n = chance.randint(1, 12)
    scores = sorted((round(chance.uniform(0.3, 0.95), 5) for _ in range(n)), reverse=True)
    return scores, [chance.randint(1, 60) for _ in range(n)], 0


def hard_instance(chance: random.Random) -> tuple[list[float], list[int], int]:
    n = chance.randint(4, 12)
    kind = chance.choice(["giant", "ratio", "ties", "joins"])
    if kind == "giant":
        return [0.9] + [0.9 - chance.uniform(0, 0.05)] * (n - 1), [50] + [9] * (n - 1), 0
    if kind == "ratio":  # value per token is the same for all
        costs = sorted((chance.randint(5, 60) for _ in range(n)), reverse=True)
        return [0.9 + VALUE_TEMPERATURE * float(np.log(c / costs[0])) for c in costs], costs, 0
    if kind == "ties":
        scores = sorted((0.9 + chance.randint(-2, 2) * 1e-5 for _ in range(n)), reverse=True)
        return scores, [chance.randint(18, 22) for _ in range(n)], 0
    scores, costs, _ = random_instance(chance)
    return scores, costs, chance.choice([-3, -2, -1, 1, 2, 3])


def best(
    values: np.ndarray, tokens: dict[tuple[int, ...], int], k: int, limit: int
) -> tuple[int, ...]:
    fits = (s for s, total in tokens.items() if len(s) <= k and total <= limit)
    return max(fits, key=lambda s: values[list(s)].sum())


def additive(draws: int, make: object, chance: random.Random) -> dict[str, object]:
    optimal = over = 0
    shares, uses = [], []
    for _ in range(draws):
        scores, costs, join = make(chance)  # type: ignore[operator]
        k, limit = chance.randint(1, 8), FIXED + chance.randint(5, max(6, sum(costs)))

        def count(ranks: Sequence[int]) -> int:
            return FIXED + sum(costs[i] for i in ranks) + join * max(0, len(ranks) - 1)  # noqa: B023

        fit = fit_examples(scores, count, k=k, limit=limit)
        values = example_values(scores)
        sets = [s for n in range(len(costs) + 1) for s in combinations(range(len(costs)), n)]
        estimated = {s: FIXED + sum(costs[i] for i in s) for s in sets}
        real = {s: count(s) for s in sets}
        mine = values[list(fit.chosen)].sum()
        over += fit.tokens > limit or fit.tokens != count(fit.chosen)
        # Joins that save tokens may let in more than the sum of parts would.
        optimal += mine >= values[list(best(values, estimated, k, limit))].sum() - 1e-9 or join > 0
        top = best(values, real, k, limit)
        if values[list(top)].sum() > 0:
            shares.append(mine / values[list(top)].sum())
        if DropReason.OVER_BUDGET in fit.dropped.values():
            uses.append(fit.tokens / real[top])
    return {
        "instances": draws,
        "over_budget": int(over),
        "optimal_under_estimated_costs": int(optimal),
        "mean_share_of_the_optimum_under_real_costs": round(float(np.mean(shares)), 5),
        "lowest_share": round(float(min(shares)), 4),
        "tokens_against_the_optimum_where_left_out_for_room": round(float(np.mean(uses)), 4),
    }


def value_of(gains: Gains, ranks: Sequence[int]) -> float:
    """A set's value: its members in the order that adds most first."""
    top, left, total = float(gains.scores.max()), set(ranks), 0.0
    while left:
        step = max(left, key=lambda i: gains.scores[i])
        total += float(example_values(gains.scores, top)[step])
        gains.take(step)
        left.remove(step)
    return total


def of_sets(draws: int, seed: int) -> dict[str, object]:
    shares = defaultdict(list)
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        n = int(rng.integers(2, 11))
        pool = Pool(
            similarity=np.sort(rng.uniform(0.3, 0.9, n))[::-1].round(5),
            lexical=(rng.uniform(0, 9, n) * rng.integers(0, 2, n)).round(5),
            vectors=unit_rows(rng.normal(size=(n, 6)) + 1),
            labels=rng.choice(["a", "b", "c", "d"], n).tolist(),
            words=rng.choice([0, 0, 1.0, 2.5], (n, 5)),
            weights=Weights(max_per_label=int(rng.integers(1, 4))),
        )
        costs, k = rng.integers(5, 60, n).tolist(), int(rng.integers(1, 7))
        room = int(rng.integers(5, max(6, sum(costs))))
        sets = [s for m in range(k + 1) for s in combinations(range(n), m)]
        for name in SETS:
            start = select_examples(pool, strategy=name).gains
            assert start is not None
            chosen = best_of_three(start, costs, k=k, room=room) or []
            fits = (s for s in sets if sum(costs[i] for i in s) <= room)
            top = max(value_of(start(), s) for s in fits)
            if top > 0:
                shares[name].append(value_of(start(), chosen) / top)
    return {
        name: {
            "mean_share_of_the_optimum": round(float(np.mean(found)), 4),
            "median": round(median(found), 4),
            "lowest": round(float(min(found)), 4),
        }
        for name, found in shares.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", type=int, default=5000)
    parser.add_argument("--hard", type=int, default=1000)
    parser.add_argument("--sets", type=int, default=300)
    arguments = parser.parse_args()
    chance = random.Random(0)
    save(
        "fits",
        {
            "random": additive(arguments.random, random_instance, chance),
            "hard": additive(arguments.hard, hard_instance, chance),
            "set values": of_sets(arguments.sets, 0),
        },
    )


if __name__ == "__main__":
    main()

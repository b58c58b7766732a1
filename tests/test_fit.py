"""The fit, with plain numbers: no template, no tokenizer, no model."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.budget.fit import DropReason, FitOptions, fit_examples
from promptlib.errors import BudgetError, TooFewExamplesError
from promptlib.selection.pool import Pool, Weights, example_values
from promptlib.selection.strategies import select_examples


def counter(costs: Sequence[int], fixed: int = 10, join: int = 0):  # type: ignore[no-untyped-def]
    """Counts whole prompts; `join` makes the sum of parts an underestimate or overestimate."""

    def count(ranks: Sequence[int]) -> int:
        return fixed + sum(costs[i] for i in ranks) + join * max(0, len(ranks) - 1)

    return count


@given(
    st.lists(st.integers(0, 30), max_size=12),
    st.integers(0, 12),
    st.integers(0, 120),
    st.integers(-2, 3),
)
def test_never_over_the_limit(costs: list[int], k: int, limit: int, join: int) -> None:
    scores = [1 - i / 100 for i in range(len(costs))]
    count = counter(costs, join=join)
    if count(()) > limit and count(range(min(k, len(costs)))) > limit:
        with pytest.raises(BudgetError) as caught:
            fit_examples(scores, count, k=k, limit=limit)
        assert (caught.value.fixed, caught.value.available) == (10, limit)
        return
    fit = fit_examples(scores, count, k=k, limit=limit)
    assert count(fit.chosen) == fit.tokens <= limit and len(fit.chosen) <= k
    assert sorted([*fit.chosen, *fit.dropped]) == list(range(len(costs)))
    assert list(fit.chosen) == sorted(fit.chosen)


def test_the_first_k_are_the_answer_when_they_fit_after_one_count() -> None:
    counted: list[Sequence[int]] = []

    def count(ranks: Sequence[int]) -> int:
        counted.append(tuple(ranks))
        return 10

    fit = fit_examples([0.9, 0.8, 0.7], count, k=2, limit=10)
    assert fit.chosen == (0, 1) and counted == [(0, 1)]
    assert fit.dropped == {2: DropReason.BEYOND_K} and fit.costs == {}


def test_a_long_example_gives_way_to_the_next() -> None:
    fit = fit_examples([0.9, 0.89, 0.88], counter([90, 10, 10]), k=2, limit=40)
    assert fit.chosen == (1, 2) and fit.dropped == {0: DropReason.OVER_BUDGET}
    assert fit.costs == {0: 90, 1: 10, 2: 10}


def test_one_near_example_is_worth_more_than_two_distant_ones() -> None:
    fit = fit_examples([0.9, 0.5, 0.5], counter([20, 10, 10]), k=3, limit=30)
    assert fit.chosen == (0,)


def test_what_is_over_by_joining_is_mended_and_what_is_left_is_filled() -> None:
    # Alone 10 each, together 3 more a join: two fit into 25, three don't.
    fit = fit_examples([0.9, 0.9, 0.9], counter([10, 10, 10], fixed=0, join=3), k=3, limit=30)
    assert len(fit.chosen) == 2 and fit.tokens == 23
    # Joining saves 5 each time: the sum says two, the whole says three.
    costs = [10, 10, 10]
    fit = fit_examples([0.9, 0.9, 0.9, 0.1], counter([*costs, 40], 0, -2), k=4, limit=27)
    assert fit.chosen == (0, 1, 2) and fit.tokens == 26


def test_zero_shot() -> None:
    assert fit_examples([], counter([]), k=8, limit=10).chosen == ()
    assert fit_examples([0.5], counter([1]), k=0, limit=10).chosen == ()
    with pytest.raises(BudgetError, match="has 10 tokens without any example, 9 are available"):
        fit_examples([], counter([]), k=8, limit=9)


def test_values_fall_with_the_score() -> None:
    values = example_values([0.9, 0.85, 0.4])
    assert values[0] == 1 and values[1] == pytest.approx(np.exp(-2.5)) and 0 < values[2] < 1e-4
    assert len(example_values([])) == 0


@given(
    st.lists(st.integers(0, 30), max_size=10), st.integers(0, 6), st.integers(0, 6),
    st.integers(10, 100), st.none() | st.integers(1, 30), st.sampled_from([0.2, 0.5, 1.0]),
)  # fmt: skip
def test_floors_and_caps_hold_or_it_is_said(
    costs: list[int], k: int, min_k: int, limit: int, longest: int | None, share: float
) -> None:
    scores = [1 - i / 50 for i in range(len(costs))]
    usable = sorted(cost for cost in costs if longest is None or cost <= longest)
    room = min(limit - 10, int(share * limit))
    needed = min(min_k, k)
    possible = len(usable) >= needed and sum(usable[:needed]) <= room
    options = FitOptions(k=k, min_k=min_k, max_example_tokens=longest, share=share)
    if not possible:
        with pytest.raises(TooFewExamplesError, match=f"min_k asks for {needed} examples, "):
            fit_examples(scores, counter(costs), limit=limit, **options)
        return
    fit = fit_examples(scores, counter(costs), limit=limit, **options)
    assert needed <= len(fit.chosen) <= k and fit.tokens - 10 <= room
    assert longest is None or all(costs[i] <= longest for i in fit.chosen)
    giants = {i for i, reason in fit.dropped.items() if reason is DropReason.TOO_LONG}
    assert all(longest is not None and costs[i] > longest for i in giants)
    values = example_values(scores)
    indices = [i for i in range(len(costs)) if longest is None or costs[i] <= longest]
    sets = (s for n in range(needed, k + 1) for s in combinations(indices, n))
    best = max(values[list(s)].sum() for s in sets if sum(costs[i] for i in s) <= room)
    assert values[list(fit.chosen)].sum() == pytest.approx(best)


def test_a_giant_is_skipped_though_it_would_fit() -> None:
    fit = fit_examples([0.9, 0.8, 0.7], counter([50, 5, 5]), k=2, limit=99, max_example_tokens=20)
    assert fit.chosen == (1, 2) and fit.dropped == {0: DropReason.TOO_LONG}


def test_joins_that_cost_are_met_by_choosing_again() -> None:
    """Dropping the least valuable of the first choice would leave (0,); (1, 2) are worth more."""
    costs = [50, 25, 24]

    def count(ranks: Sequence[int]) -> int:
        return sum(costs[i] for i in ranks) + (5 if set(ranks) == {0, 1} else 0)

    fit = fit_examples([0.900, 0.896, 0.892], count, k=2, limit=75)
    assert fit.chosen == (1, 2)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from("abc")), min_size=1, max_size=9),
    st.integers(0, 9), st.integers(10, 150), st.integers(1, 3), st.integers(-2, 3),
)  # fmt: skip
def test_a_cap_on_labels_holds_under_a_budget(
    rows: list[tuple[int, str]], k: int, limit: int, most: int, join: int
) -> None:
    labels = "".join(label for _, label in rows)
    similarity = np.array([1 - i / 50 for i in range(len(rows))])
    weights = Weights(min_labels=0, max_per_label=most)
    pool = Pool(similarity, np.zeros(len(rows)), np.eye(len(rows)), list(labels), weights=weights)
    ranking = select_examples(pool, strategy="balanced")
    costs = [rows[i][0] for i in ranking.positions]
    count = counter(costs, join=join)
    fit = fit_examples(ranking.scores.tolist(), count, k=k, limit=limit, gains=ranking.gains)
    shown = [labels[ranking.positions[rank]] for rank in fit.chosen]
    assert count(fit.chosen) == fit.tokens <= limit and len(shown) <= k
    assert all(shown.count(label) <= most for label in "abc")
    for rank, reason in fit.dropped.items():
        label = labels[ranking.positions[rank]]
        assert (reason is DropReason.LABEL_CAP) == (shown.count(label) >= most)


@given(
    st.lists(st.tuples(st.integers(5, 40), st.floats(0, 1)), min_size=1, max_size=9),
    st.integers(1, 6), st.integers(5, 120),
)  # fmt: skip
def test_far_candidates_still_count(rows: list[tuple[int, float]], k: int, room: int) -> None:
    """One strong match far above the rest, as words give: the rest is chosen exactly too."""
    costs = [cost for cost, _ in rows]
    scores = [1.0, *sorted((0.25 * score for _, score in rows[1:]), reverse=True)]
    fit = fit_examples(scores, counter(costs, fixed=0), k=k, limit=room)
    values = [Fraction(float(value)) for value in example_values(scores)]
    sets = (s for n in range(k + 1) for s in combinations(range(len(costs)), n))
    best = max(sum(values[i] for i in s) for s in sets if sum(costs[i] for i in s) <= room)
    mine = sum(values[i] for i in fit.chosen)
    assert float((best - mine) / best) < 1e-12 if best else not fit.chosen


def test_the_rest_is_chosen_beside_a_strong_match() -> None:
    fit = fit_examples(
        [1.0, 0.24, 0.239, 0.238, 0.237], counter([10, 30, 10, 10, 10], 0), k=4, limit=40
    )
    assert fit.chosen == (0, 2, 3, 4)


def test_the_fixed_part_is_told_before_the_number_of_examples() -> None:
    with pytest.raises(BudgetError):
        fit_examples([0.9], counter([1], fixed=100), k=4, min_k=2, limit=50)

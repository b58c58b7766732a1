"""The fit, with plain numbers: no template, no tokenizer, no model."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.budget import fit as fit_module
from promptlib.budget.fit import DropReason, best_set, example_values, fit_examples
from promptlib.errors import BudgetError

costs_and_values = st.lists(st.tuples(st.integers(0, 12), st.floats(0.01, 1)), max_size=9)


def counter(costs: Sequence[int], fixed: int = 10, join: int = 0):  # type: ignore[no-untyped-def]
    """Counts whole prompts; `join` makes the sum of parts an underestimate or overestimate."""

    def count(ranks: Sequence[int]) -> int:
        return fixed + sum(costs[i] for i in ranks) + join * max(0, len(ranks) - 1)

    return count


def reference(values: Sequence[float], costs: Sequence[int], k: int, room: int) -> float:
    """The most value of any set that fits: every set is tried."""
    sets = (s for size in range(k + 1) for s in combinations(range(len(values)), size))
    return max(sum(values[i] for i in s) for s in sets if sum(costs[i] for i in s) <= room)


@given(costs_and_values, st.integers(0, 9), st.integers(0, 40))
def test_the_best_set_is_the_best(pairs: list[tuple[int, float]], k: int, room: int) -> None:
    costs, values = [c for c, _ in pairs], [v for _, v in pairs]
    chosen = best_set(np.array(values), costs, k=k, room=room)
    assert len(chosen) == len(set(chosen)) <= k and chosen == sorted(chosen)
    assert sum(costs[i] for i in chosen) <= room
    assert sum(values[i] for i in chosen) == pytest.approx(reference(values, costs, k, room))


@given(costs_and_values, st.integers(0, 9), st.integers(0, 40))
def test_a_coarser_table_still_fits(pairs: list[tuple[int, float]], k: int, room: int) -> None:
    costs, values = [c for c, _ in pairs], np.array([v for _, v in pairs])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "MAX_CELLS", 50)
        chosen = best_set(values, costs, k=k, room=room)
    assert sum(costs[i] for i in chosen) <= room and len(chosen) <= k


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
    assert values[0] == 1 and values[1] == pytest.approx(np.exp(-1)) and values[2] < 1e-4
    assert len(example_values([])) == 0

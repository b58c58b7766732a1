"""The exact choice against every set there is."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.budget import knapsack
from promptlib.budget.knapsack import best_set

costs_and_values = st.lists(
    st.tuples(st.integers(0, 12), st.floats(0.01, 1) | st.sampled_from([0.1, 0.2, 0.3])), max_size=9
)


def reference(
    values: Sequence[float], costs: Sequence[int], k: int, room: int, min_k: int
) -> float | None:
    """The most value of any set that fits: every set is tried."""
    sets = (s for size in range(min_k, k + 1) for s in combinations(range(len(values)), size))
    fits = [sum(values[i] for i in s) for s in sets if sum(costs[i] for i in s) <= room]
    return max(fits, default=None)


@given(costs_and_values, st.integers(0, 9), st.integers(0, 40), st.integers(0, 4))
def test_the_best_set_is_the_best(
    pairs: list[tuple[int, float]], k: int, room: int, min_k: int
) -> None:
    costs, values = [c for c, _ in pairs], [v for _, v in pairs]
    chosen = best_set(np.array(values), costs, k=k, room=room, min_k=min_k)
    expected = reference(values, costs, k, room, min_k)
    if chosen is None:
        assert expected is None
        return
    assert min_k <= len(chosen) == len(set(chosen)) <= k and chosen == sorted(chosen)
    assert sum(costs[i] for i in chosen) <= room
    assert sum(values[i] for i in chosen) == pytest.approx(expected)


@given(costs_and_values, st.integers(0, 9), st.integers(0, 40))
def test_a_coarser_table_still_fits(pairs: list[tuple[int, float]], k: int, room: int) -> None:
    costs, values = [c for c, _ in pairs], np.array([v for _, v in pairs])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knapsack, "MAX_CELLS", 50)
        chosen = best_set(values, costs, k=k, room=room)
    assert chosen is not None and sum(costs[i] for i in chosen) <= room and len(chosen) <= k


def test_of_equal_sets_the_better_ranked_is_taken() -> None:
    assert best_set(np.array([1.0, 1.0, 1.0]), [5, 5, 5], k=2, room=10) == [0, 1]
    assert best_set(np.array([1.0, 0.5, 0.5]), [9, 5, 5], k=2, room=10) == [0]


def test_a_coarser_table_refuses_no_floor_that_can_be_met() -> None:
    costs = [14_001 - 2 * i for i in range(64)]
    room = sum(sorted(costs)[:8])
    chosen = best_set(np.linspace(1, 0.5, 64), costs, k=8, room=room, min_k=8)
    assert chosen == list(range(56, 64))
    assert best_set(np.linspace(1, 0.5, 64), costs, k=8, room=room - 1, min_k=8) is None

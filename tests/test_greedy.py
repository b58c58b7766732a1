"""The choice where examples add to each other, against every set there is."""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.budget.greedy import best_of_three
from promptlib.selection.pool import VALUE_TEMPERATURE, Floats, Gains


class Covering:
    """A weighted cover: each candidate has some points, a set is worth the points it has."""

    def __init__(self, points: Sequence[frozenset[int]]) -> None:
        self.points = points
        self.have: frozenset[int] = frozenset()

    @property
    def scores(self) -> Floats:
        new = np.array([len(points - self.have) for points in self.points], dtype=float)
        return VALUE_TEMPERATURE * np.log(np.maximum(new, 1e-9))

    def take(self, position: int) -> None:
        self.have |= self.points[position]


def covering(points: Sequence[frozenset[int]]) -> Callable[[], Gains]:
    return lambda: Covering(points)


rows = st.lists(
    st.tuples(st.frozensets(st.integers(0, 9), min_size=1), st.integers(0, 12)), max_size=8
)


@given(rows, st.integers(0, 8), st.integers(0, 40), st.integers(0, 3))
def test_half_of_the_best_and_never_over(
    pairs: list[tuple[frozenset[int], int]], k: int, room: int, min_k: int
) -> None:
    points, costs = [p for p, _ in pairs], [c for _, c in pairs]
    chosen = best_of_three(covering(points), costs, k=k, room=room, min_k=min(min_k, k))
    fits = [
        s
        for size in range(min(min_k, k), k + 1)
        for s in combinations(range(len(points)), size)
        if sum(costs[i] for i in s) <= room
    ]
    if chosen is None:
        assert not fits
        return
    assert tuple(chosen) in fits
    if k >= len(points) and not min_k:  # the guarantee is for a budget alone
        best = max(len(frozenset().union(*(points[i] for i in s))) for s in fits)
        assert len(frozenset().union(*(points[i] for i in chosen))) >= best / 2


def test_it_is_the_best_of_three() -> None:
    big, small = frozenset(range(10)), frozenset([0])
    # By value per token the small one comes first, and leaves no room for the big one.
    assert best_of_three(covering([big, small]), [10, 1], k=2, room=10) == [0]
    # By value the big one comes first, and leaves no room for two that are worth more together.
    halves = [frozenset(range(6)), frozenset(range(6, 12))]
    assert best_of_three(covering([big, *halves]), [10, 5, 5], k=2, room=10) == [1, 2]


def test_min_k_takes_the_cheapest_where_value_would_not_fit() -> None:
    points = [frozenset(range(9)), frozenset([1]), frozenset([2])]
    assert best_of_three(covering(points), [10, 3, 3], k=3, room=10, min_k=2) == [1, 2]
    assert best_of_three(covering(points), [10, 8, 8], k=3, room=10, min_k=2) is None
    assert best_of_three(covering([]), [], k=3, room=10) == []


@pytest.mark.parametrize("room", [0, 5])
def test_what_costs_nothing_is_no_trouble(room: int) -> None:
    points = [frozenset([i]) for i in range(4)]
    assert best_of_three(covering(points), [0, 0, 6, 0], k=3, room=room) == [0, 1, 3]

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.errors import ConfigError
from promptlib.selection.ordering import ORDERS, order_examples
from promptlib.selection.strategies import STRATEGIES, select_examples

similarities = st.lists(st.floats(-1, 1), max_size=20).map(np.array)


@given(similarities, st.sampled_from(["auto", *STRATEGIES]), st.integers(0, 5))
def test_every_strategy_ranks_every_candidate_once(
    similarity: np.ndarray, strategy: str, seed: int
) -> None:
    ranking = select_examples(similarity, strategy=strategy, seed=seed)
    again = select_examples(similarity, strategy=strategy, seed=seed)
    assert sorted(ranking.positions) == list(range(len(similarity)))
    assert len(ranking.scores) == len(similarity) and (np.diff(ranking.scores) <= 0).all()
    assert (ranking.positions == again.positions).all()


def test_similar_is_nearest_first_and_keeps_the_order_of_ties() -> None:
    ranking = select_examples(np.array([0.1, 0.9, 0.5, 0.9]), strategy="similar")
    assert ranking.positions.tolist() == [1, 3, 2, 0]
    assert ranking.scores.tolist() == [0.9, 0.9, 0.5, 0.1] and ranking.strategy == "similar"


def test_random_depends_on_the_seed() -> None:
    similarity = np.arange(30) / 30
    first, second = (select_examples(similarity, strategy="random", seed=s) for s in (1, 2))
    assert first.positions.tolist() != second.positions.tolist()


def test_any_callable_is_a_strategy() -> None:
    def last_two(similarity: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        return np.array([len(similarity) - 1, len(similarity) - 2]), np.array([2.0, 1.0])

    ranking = select_examples(np.zeros(4), strategy=last_two)
    assert ranking.positions.tolist() == [3, 2] and ranking.strategy == "last_two"


@pytest.mark.parametrize("positions", [[0, 0], [4], [-1], [0, 1]])
def test_a_callable_that_ranks_wrongly_is_refused(positions: list[int]) -> None:
    def wrong(similarity: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        scores = [1.0] if positions == [0, 1] else [1.0] * len(positions)
        return np.array(positions), np.array(scores)

    with pytest.raises(ConfigError, match="strategy 'wrong' must return distinct positions"):
        select_examples(np.zeros(4), strategy=wrong)


def test_unknown_names_are_told_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no strategy 'similiar'; did you mean 'similar'"):
        select_examples(np.zeros(1), strategy="similiar")
    with pytest.raises(ConfigError, match="no order 'nearest'; did you mean"):
        order_examples([0], "nearest")


@given(st.integers(0, 12), st.sampled_from(list(ORDERS)), st.integers(0, 5))
def test_orders_are_permutations(count: int, order: str, seed: int) -> None:
    assert sorted(order_examples(range(count), order, seed)) == list(range(count))


def test_what_the_orders_mean() -> None:
    assert order_examples([0, 1, 2, 3, 4]) == [4, 3, 2, 1, 0]
    assert order_examples([0, 1, 2, 3, 4], "nearest-first") == [0, 1, 2, 3, 4]
    assert order_examples([0, 1, 2, 3, 4], "edges") == [1, 3, 4, 2, 0]
    one, two = (order_examples(range(20), "shuffled", seed) for seed in (1, 2))
    assert one != two and one == order_examples(range(20), "shuffled", 1)

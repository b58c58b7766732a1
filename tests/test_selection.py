import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.embedding.embedder import unit_rows
from promptlib.errors import ConfigError
from promptlib.selection.ordering import ORDERS, order_examples
from promptlib.selection.strategies import AUTO, STRATEGIES, Pool, select_examples


def pool(similarity: list[float], **parts: object) -> Pool:
    """A shortlist, nearest first; unlike vectors, no words and no labels unless given."""
    n = len(similarity)
    given: dict[str, object] = {
        "lexical": np.zeros(n), "vectors": np.eye(n, max(n, 1), dtype=np.float32),
        "labels": [None] * n,
    } | parts  # fmt: skip
    return Pool(np.array(similarity, dtype=float), **given)  # type: ignore[arg-type]


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    n = draw(st.integers(0, 20))
    numbers = st.lists(st.floats(0, 1).map(lambda x: round(x, 5)), min_size=n, max_size=n)
    vectors = np.random.default_rng(draw(st.integers(0, 99))).normal(size=(n, 4))
    return pool(
        sorted(draw(numbers), reverse=True),
        lexical=np.array(draw(numbers)) * draw(st.sampled_from([0, 10])),
        vectors=unit_rows(vectors) if n else np.zeros((0, 4), np.float32),
        labels=draw(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=n, max_size=n)),
        seed=draw(st.integers(0, 5)),
    )


@given(pools(), st.sampled_from(["auto", *STRATEGIES]))
def test_every_strategy_ranks_every_candidate_once_with_falling_scores(
    pool: Pool, strategy: str
) -> None:
    ranking, again = (select_examples(pool, strategy=strategy) for _ in range(2))
    assert sorted(ranking.positions) == list(range(len(pool)))
    assert len(ranking.scores) == len(pool) and (np.diff(ranking.scores) <= 0).all()
    assert (ranking.positions == again.positions).all()


def test_similar_is_nearest_first_and_keeps_the_order_of_ties() -> None:
    ranking = select_examples(pool([0.9, 0.9, 0.5, 0.1]), strategy="similar")
    assert ranking.positions.tolist() == [0, 1, 2, 3]
    assert ranking.scores.tolist() == [0.9, 0.9, 0.5, 0.1] and ranking.strategy == "similar"


def test_lexical_goes_by_words_and_falls_back_on_nearness() -> None:
    shortlist = pool([0.9, 0.8, 0.7, 0.6], lexical=np.array([0, 2.0, 0, 4.0]))
    ranking = select_examples(shortlist, strategy="lexical")
    assert ranking.positions.tolist() == [3, 1, 0, 2]
    assert ranking.scores.tolist() == [1, 0.5, 0, 0]


def test_hybrid_fuses_two_rankings_by_rank() -> None:
    shortlist = pool([0.9, 0.8, 0.7], lexical=np.array([0, 1.0, 3.0]))
    ranking = select_examples(shortlist, strategy="hybrid")
    one, two, three = 61 / 61, 61 / 62, 61 / 63
    assert ranking.positions.tolist() == [2, 1, 0]
    expected = [(three + one) / 2, (two + two) / 2, (one + 0) / 2]
    assert ranking.scores.tolist() == pytest.approx(expected, abs=1e-5)
    both_first = pool([0.9, 0.8], lexical=np.array([5.0, 1.0]))
    assert select_examples(both_first, strategy="hybrid").scores[0] == 1
    assert AUTO == "hybrid" == select_examples(both_first).strategy


def test_mmr_passes_over_what_is_like_what_it_has() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    ranking = select_examples(pool([0.9, 0.89, 0.6], vectors=vectors), strategy="mmr")
    assert ranking.positions.tolist() == [0, 2, 1]
    assert ranking.scores.tolist() == pytest.approx([0.45, 0.3, -0.055])


@given(pools())
def test_mmr_is_what_the_paper_says(pool: Pool) -> None:
    """Against the definition, written out."""
    left, chosen = list(range(len(pool))), list[int]()
    likeness = (pool.vectors @ pool.vectors.T).round(5)
    while left:

        def marginal(i: int) -> float:
            closest = max((float(likeness[i, j]) for j in chosen), default=0.0)
            return 0.5 * float(pool.similarity[i]) - 0.5 * closest

        best = max(map(marginal, left))
        step = int(select_examples(pool, strategy="mmr").positions[len(chosen)])
        assert marginal(step) == pytest.approx(best, abs=1e-6)
        chosen.append(step)
        left.remove(step)


def test_balanced_takes_turns_among_labels_by_their_votes() -> None:
    labels = ["a", "b", "b", "b", None]
    ranking = select_examples(pool([0.9, 0.9, 0.89, 0.88, 0.5], labels=labels), strategy="balanced")
    assert ranking.positions.tolist() == [1, 0, 4, 2, 3]  # three votes for b, one for a


def test_random_depends_on_the_seed() -> None:
    first, second = (
        select_examples(pool([0.5] * 30, seed=seed), strategy="random") for seed in (1, 2)
    )
    assert first.positions.tolist() != second.positions.tolist()


def test_any_callable_is_a_strategy() -> None:
    def last_two(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        return np.array([len(pool) - 1, len(pool) - 2]), np.array([2.0, 1.0])

    ranking = select_examples(pool([0.0] * 4), strategy=last_two)
    assert ranking.positions.tolist() == [3, 2] and ranking.strategy == "last_two"


@pytest.mark.parametrize(
    "returned",
    [
        None, [1, 2], ([0], [1.0], 3), "ab", ([0.5], [1.0]), ([True], [1.0]), ([[0]], [[1.0]]),
        ([0], [float("nan")]), ([0], [None]), ([0], ["high"]), ([0], [1 + 2j]), (0, 1.0),
    ],
)  # fmt: skip
def test_a_callable_that_returns_something_else_is_named(returned: object) -> None:
    def wrong(pool: Pool) -> object:
        return returned

    with pytest.raises(ConfigError, match="strategy 'wrong' must return "):
        select_examples(pool([0.0] * 4), strategy=wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="must be a name or a function, not 5"):
        select_examples(pool([0.0]), strategy=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("positions", [[0, 0], [4], [-1], [0, 1]])
def test_a_callable_that_ranks_wrongly_is_refused(positions: list[int]) -> None:
    def wrong(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        scores = [1.0] if positions == [0, 1] else [1.0] * len(positions)
        return np.array(positions), np.array(scores)

    with pytest.raises(ConfigError, match="strategy 'wrong' must return distinct positions"):
        select_examples(pool([0.0] * 4), strategy=wrong)


def test_unknown_names_are_told_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no strategy 'similiar'; did you mean 'similar'"):
        select_examples(pool([0.0]), strategy="similiar")
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

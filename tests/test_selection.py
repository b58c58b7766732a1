from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.embedding.embedder import unit_rows
from promptlib.errors import ConfigError
from promptlib.selection.ordering import ORDERS, order_examples
from promptlib.selection.pool import FORBIDDEN, VALUE_TEMPERATURE, Pool, Weights, fused, label_votes
from promptlib.selection.sets import SETS
from promptlib.selection.strategies import AUTO, STRATEGIES, select_examples


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
        words=np.random.default_rng(n).choice([0, 0.5, 2.0], size=(n, 3)),
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


def follow(
    pool: Pool, strategy: str, score: Callable[[int, list[int]], float], within: float = 2e-5
) -> None:
    """Each step of the strategy takes a candidate that scores as high as any."""
    chosen = list[int]()
    for step in select_examples(pool, strategy=strategy).positions.tolist():
        left = [i for i in range(len(pool)) if i not in chosen]
        assert score(step, chosen) >= max(score(i, chosen) for i in left) - within
        chosen.append(step)


@given(pools())
def test_dpp_multiplies_the_determinant_most(pool: Pool) -> None:
    """Against determinants of the whole kernel of those chosen and one more."""
    relevance = fused(pool)
    factors = np.exp((relevance - relevance.max(initial=0)) / 0.2)
    vectors = pool.vectors.astype(np.float64)
    kernel = factors[:, None] * (1 + vectors @ vectors.T) / 2 * factors

    def gain(i: int, chosen: list[int]) -> float:
        with_i = [*chosen, i]
        before = np.linalg.det(kernel[np.ix_(chosen, chosen)]) if chosen else 1.0
        if before < 1e-12:
            return 0.0  # they span all there is: whatever comes next
        factor = np.linalg.det(kernel[np.ix_(with_i, with_i)]) / before
        return VALUE_TEMPERATURE * np.log(max(factor, 1e-10)) if factor > 1e-6 else 0.0

    positions = select_examples(pool, strategy="dpp").positions.tolist()
    for step, position in enumerate(positions):
        chosen = positions[:step]
        best = max((gain(i, chosen) for i in positions[step:]), key=lambda g: g if g else -9.0)
        if best == 0.0 or np.linalg.det(kernel[np.ix_(chosen, chosen)]) < 1e-9:
            return
        assert gain(position, chosen) == pytest.approx(best, abs=1e-4)


def test_dpp_passes_over_a_twin() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    ranking = select_examples(pool([0.9, 0.89, 0.6], vectors=vectors), strategy="dpp")
    assert ranking.positions.tolist() == [0, 2, 1]


@given(pools())
def test_coverage_takes_what_has_most_of_the_words_still_open(pool: Pool) -> None:
    relevance, total = fused(pool), pool.words.max(axis=0, initial=0).sum() or 1
    open_words = set(range(3))

    def share(i: int) -> float:
        return sum(pool.words[i, w] for w in open_words) / total

    left = list(range(len(pool)))
    for step in select_examples(pool, strategy="coverage").positions.tolist():
        if not any(share(i) for i in left):
            open_words = set(range(3))
        score = {i: (relevance[i] + share(i)) / 2 for i in left}
        assert score[step] >= max(score.values()) - 2e-5
        open_words -= {w for w in range(3) if pool.words[step, w]}
        left.remove(step)


def test_coverage_prefers_two_halves_to_the_same_half_twice() -> None:
    words = np.array([[2.0, 2.0, 0, 0], [2.0, 2.0, 0, 0], [0, 0, 2.0, 2.0]])
    ranking = select_examples(pool([0.9, 0.8, 0.7], words=words), strategy="coverage")
    assert ranking.positions.tolist() == [0, 2, 1]


@given(pools(), st.integers(0, 5), st.none() | st.integers(1, 3))
def test_balanced_begins_with_labels_and_keeps_its_cap(
    drawn: Pool, min_labels: int, most: int | None
) -> None:
    weights = Weights(min_labels=min_labels, max_per_label=most)
    given_pool = replace(drawn, weights=weights)
    ranking = select_examples(given_pool, strategy="balanced")
    labels = [given_pool.labels[i] for i in ranking.positions]
    votes = label_votes(given_pool.similarity, given_pool.labels)
    first = labels[: min(min_labels, len(votes))]
    assert len(set(first)) == len(first)
    assert [votes[label] for label in first] == sorted(votes.values(), reverse=True)[: len(first)]
    for rank, position in enumerate(ranking.positions[: len(first)].tolist()):
        same = [i for i, label in enumerate(given_pool.labels) if label == labels[rank]]
        assert given_pool.similarity[position] == max(given_pool.similarity[same])
    allowed = [x for x, score in zip(labels, ranking.scores, strict=True) if score > FORBIDDEN]
    assert not most or all(allowed.count(label) <= most for label in allowed)
    rest = ranking.positions[len(first) : len(allowed)]
    if most is None:
        assert (np.diff(fused(given_pool)[rest]) <= 0).all()


def test_balanced_takes_the_labels_by_their_votes() -> None:
    labels = ["a", "b", "b", "b", None]
    ranking = select_examples(pool([0.9, 0.9, 0.89, 0.88, 0.5], labels=labels), strategy="balanced")
    assert ranking.positions.tolist() == [1, 0, 4, 2, 3]  # three votes for b, one for a


def test_balanced_can_prefer_the_border_of_two_labels() -> None:
    """Three of a label lie together, the fourth between the two labels."""
    angles = np.radians([0, 2, 4, 40, 80, 82])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    shortlist = pool(
        [0.9, 0.89, 0.88, 0.8, 0.7, 0.69], vectors=vectors, labels=["a", "a", "a", "a", "b", "b"]
    )
    for border, third in ((0.0, 1), (0.5, 3)):
        weights = Weights(min_labels=2, border=border)
        ranking = select_examples(replace(shortlist, weights=weights), strategy="balanced")
        assert ranking.positions.tolist()[:3] == [0, 4, third]


@given(pools())
def test_diverse_shortens_the_distance_of_all_most(pool: Pool) -> None:
    likeness = np.maximum(pool.vectors.astype(np.float64) @ pool.vectors.T.astype(np.float64), 0)

    def reached(chosen: list[int]) -> float:
        return float(likeness[chosen].max(axis=0).mean()) if chosen else 0.0

    def gain(i: int, chosen: list[int]) -> float:
        return reached([*chosen, i]) - reached(chosen)

    follow(pool, "diverse", gain, within=1e-4)


def test_diverse_does_not_ask_the_query() -> None:
    vectors = unit_rows(np.random.default_rng(0).normal(size=(9, 5)))
    near, far = pool([0.9] * 9, vectors=vectors), pool([0.1] * 9, vectors=vectors)
    one, two = (select_examples(p, strategy="diverse").positions.tolist() for p in (near, far))
    assert one == two


@given(pools(), st.sampled_from(sorted(SETS)), st.integers(0, 20))
def test_a_shallow_ranking_begins_like_a_deep_one(pool: Pool, strategy: str, depth: int) -> None:
    deep = select_examples(pool, strategy=strategy)
    shallow = select_examples(pool, strategy=strategy, depth=depth)
    assert shallow.positions[:depth].tolist() == deep.positions[:depth].tolist()
    assert sorted(shallow.positions) == list(range(len(pool)))
    assert (np.diff(shallow.scores) <= 0).all()


@given(st.floats(0, 1), st.floats(0, 1))
def test_lexical_weight_goes_from_meaning_to_words(one: float, other: float) -> None:
    shortlist = pool([0.9, 0.5], lexical=np.array([1.0, 9.0]))
    low, high = sorted((one, other))
    by_meaning, by_words = (
        fused(replace(shortlist, weights=Weights(lexical_weight=w))) for w in (low, high)
    )
    assert by_meaning[0] >= by_words[0] and by_meaning[1] <= by_words[1]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"lambda_mult": 2}, "lambda_mult must be a number from 0 to 1, not 2"),
        ({"lexical_weight": "half"}, "lexical_weight must be a number from 0 to 1, not 'half'"),
        ({"border": -1}, "border must be a number from 0 to 1, not -1"),
        ({"border": float("nan")}, "border must be a number from 0 to 1, not nan"),
        ({"border": float("inf")}, "border must be a number from 0 to 1, not inf"),
        ({"min_labels": 1.5}, "min_labels must be a whole number, 0 or more, not 1.5"),
        ({"max_per_label": 0}, "max_per_label must be a whole number, 1 or more, not 0"),
    ],
)
def test_weights_that_cannot_be(weights: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Weights(**weights)
    assert str(caught.value) == message


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

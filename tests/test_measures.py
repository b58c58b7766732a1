"""What is measured of a prompt's examples, with plain numbers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.evaluation.measures import Shown, measure, overlap, vote
from promptlib.intervals import Bootstrap, p_value


def shown(labels: list[str | None], **parts: Any) -> Shown:
    """Examples of these labels, best first, all alike; the query's label is "a"."""
    n = len(labels)
    given_parts = {
        "labels": labels, "similarity": np.full(n, 0.5), "vectors": np.eye(max(n, 1))[:n],
        "words": np.zeros((n, 2)), "all_words": np.zeros(2), "outputs": [""] * n, "label": "a",
        "output": "a", "same": 10, "classes": 3, "k": 4,
    } | parts  # fmt: skip
    return Shown(**given_parts)


def test_label_hit_and_vote() -> None:
    near = measure(shown(["b", "a"], similarity=np.array([0.9, 0.5])))
    assert near["label_hit"] == 1 and near["vote_accuracy"] == 0
    many = measure(shown(["b", "a", "a"], similarity=np.array([0.52, 0.5, 0.5])))
    assert many["vote_accuracy"] == 1
    assert measure(shown(["b", None]))["label_hit"] == 0


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.floats(0, 1)), max_size=8),
)
def test_the_vote_is_the_heaviest_label(rows: list[tuple[str | None, float]]) -> None:
    labels, cosines = [label for label, _ in rows], [cosine for _, cosine in rows]
    totals = {
        label: sum(float(np.exp(c / 0.05)) for x, c in rows if x == label)
        for label in {*labels} - {None}
    }
    winner = vote(labels, cosines)
    assert (winner is None) == (not totals)
    assert not totals or totals[winner] == pytest.approx(max(totals.values()), rel=1e-9)


def test_ndcg_counts_place_and_what_there_could_be() -> None:
    assert measure(shown(["a", "a", "b", "b"], same=2))["ndcg"] == 1
    assert measure(shown(["b", "b", "a", "a"], same=2))["ndcg"] == pytest.approx(
        (1 / np.log2(4) + 1 / np.log2(5)) / (1 + 1 / np.log2(3))
    )
    assert measure(shown(["a"], same=4))["ndcg"] < 1  # three more could have been shown
    assert measure(shown(["a"], same=0))["ndcg"] == 0


def test_labels_words_and_redundancy() -> None:
    words = np.array([[2.0, 0, 0], [2.0, 0, 1.0]])
    vectors = np.array([[1.0, 0], [0.6, 0.8]])
    found = measure(
        shown(["a", "b"], words=words, all_words=np.array([2.0, 5.0, 1.0]), vectors=vectors)
    )
    assert found["label_coverage"] == pytest.approx(2 / 3) and found["examples"] == 2
    assert found["word_coverage"] == pytest.approx(3 / 8)
    assert found["redundancy"] == pytest.approx(0.6)
    alone = measure(shown(["a"]))
    assert "redundancy" not in alone and "word_coverage" not in alone


def test_texts_are_compared_by_their_words() -> None:
    found = measure(shown([None, None], label=None, output="x y z", outputs=["q", "z y w"]))
    assert found["output_similarity"] == pytest.approx(2 / 3) and "vote_accuracy" not in found
    assert overlap("a b", "a b") == 1 and overlap("a", "b") == 0 == overlap("", "")
    nothing = measure(shown([], label=None, output="x", outputs=[]))
    assert nothing["output_similarity"] == 0 == nothing["examples"]


def test_an_interval_holds_the_mean_and_narrows() -> None:
    rng = np.random.default_rng(0)
    for n in (50, 5_000):
        values = (rng.random(n) < 0.8).astype(float)
        estimate = Bootstrap(n).estimate(values)
        assert estimate is not None and estimate.low < estimate.value < estimate.high
        error = 1.96 * np.sqrt(0.8 * 0.2 / n)
        assert (estimate.high - estimate.low) / 2 == pytest.approx(error, rel=0.25)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng, inside = np.random.default_rng(1), 0
    for _ in range(200):
        estimate = Bootstrap(100).estimate((rng.random(100) < 0.7).astype(float))
        assert estimate is not None
        inside += estimate.low <= 0.7 <= estimate.high
    assert 0.90 <= inside / 200 <= 0.99


def test_pairs_see_what_two_intervals_would_not() -> None:
    rng = np.random.default_rng(2)
    hard = rng.random(400)
    one, other = (hard < 0.70).astype(float), (hard < 0.67).astype(float)
    difference = Bootstrap(400).difference(one, other)
    assert difference is not None and difference.low > 0 and difference.is_gain
    assert difference.p < 0.01
    same = Bootstrap(400).difference(one, one)
    assert same is not None and (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_undefined_values_are_left_out() -> None:
    values = np.array([1.0, np.nan, 0.0, 1.0])
    estimate = Bootstrap(4).estimate(values)
    assert estimate is not None and estimate.value == pytest.approx(2 / 3)
    assert Bootstrap(4).estimate(np.full(4, np.nan)) is None
    assert Bootstrap(4).difference(values, np.full(4, np.nan)) is None


def test_p_values_are_those_of_the_published_tests() -> None:
    from scipy import stats

    votes = np.array([1.0] * 9 + [-1.0] * 2 + [0.0] * 50)
    assert p_value(votes) == pytest.approx(stats.binomtest(9, 11).pvalue)
    amounts = np.array([0.1, 0.2, -0.05, 0.3, 0.15])
    assert p_value(amounts) == pytest.approx(stats.ttest_1samp(amounts, 0).pvalue)
    assert p_value(np.zeros(5)) == 1 == p_value(np.array([np.nan]))


def test_few_queries_are_never_a_clear_gain() -> None:
    two = Bootstrap(2).difference(np.ones(2), np.zeros(2))
    assert two is not None and two.low > 0 and not two.is_gain
    rng, clear = np.random.default_rng(0), 0
    for _ in range(400):
        found = Bootstrap(5).difference(rng.normal(size=5), np.zeros(5))
        clear += found is not None and found.is_gain
    assert clear / 400 < 0.05

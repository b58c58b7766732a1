"""What is learned from vectors: votes, probes, curves; each held against another way to get it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.curation.likeness import group_twins, near_pairs
from promptlib.curation.sample import Sample, read_sample
from promptlib.intervals import mean_of, wilson
from promptlib.learning.curves import FURTHEST, fit_power_law, measure_curve
from promptlib.learning.probe import choose_strength, cross_validated, fit_probe, folds
from promptlib.learning.vote import vote
from promptlib.project import Project


def clouds(
    rows: int, classes: int = 3, spread: float = 0.7, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(classes, 16))
    codes = rng.integers(0, classes, rows)
    vectors = middles[codes] + spread * rng.normal(size=(rows, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), codes


@given(st.integers(2, 40), st.integers(0, 50))
def test_twins_are_rows_linked_by_near_copies(rows: int, seed: int) -> None:
    vectors, _ = clouds(rows, spread=0.15, seed=seed)
    groups = group_twins(vectors)
    cosine = vectors @ vectors.T
    near = cosine >= 0.95
    linked = np.eye(rows, dtype=bool) | near
    for _ in range(rows):
        linked = linked | (linked @ near)
    assert ((groups[:, None] == groups[None, :]) == linked).all()
    assert sum(map(len, near_pairs(vectors))) == np.triu(near, 1).sum()


def test_a_vote_counts_near_rows_and_never_its_own() -> None:
    vectors, codes = clouds(200)
    groups = np.arange(200)
    ours = vote(vectors, codes, vectors, classes=3, groups=groups)
    cosine = vectors.astype(np.float64) @ vectors.T
    for row in range(200):
        others = np.delete(np.arange(200), row)
        near = others[np.argsort(-cosine[row, others])[:8]]
        votes = np.bincount(codes[near], np.exp(cosine[row, near] / 0.05), minlength=3)
        assert ours[row] == votes.argmax()


@given(st.integers(4, 60), st.integers(1, 5), st.integers(0, 99))
def test_folds_keep_groups_whole_and_ask_every_row_once(rows: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups, codes = np.arange(rows) // size, rng.integers(0, 3, rows)
    if len(np.unique(groups)) < 2:
        return
    asked = []
    for train, test in folds(codes, groups):
        assert not {*groups[train]} & {*groups[test]}
        asked += test.tolist()
    assert sorted(asked) == list(range(rows))


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_a_probe_predicts_what_scikit_learn_does(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression

    vectors, codes = clouds(120, classes=max(classes, 1))
    probe = fit_probe(vectors, codes, classes=classes + 1)
    shares = probe.predict_proba(vectors)
    assert shares.shape == (120, classes + 1)
    assert shares.sum(axis=1) == pytest.approx(1) and (shares[:, -1] == 0).all()
    if classes > 1:
        model = LogisticRegression(C=10, max_iter=300).fit(vectors, codes)
        assert (probe.predict(vectors) == model.predict(vectors)).all()
        assert np.abs(shares[:, :-1] - model.predict_proba(vectors)).max() < 1e-4


@given(
    st.floats(0.5, 1.0), st.floats(0.1, 1.5), st.floats(0.1, 1.5),
)  # fmt: skip
def test_a_power_law_is_found_again(a: float, b: float, c: float) -> None:
    sizes = np.array([50.0, 100, 200, 400, 800, 1600])
    values = a - b * sizes**-c
    fitted_a, fitted_b, fitted_c = fit_power_law(sizes, values[None, :])
    again = fitted_a - fitted_b * sizes**-fitted_c
    assert np.abs(again - values).max() < 0.004
    assert fitted_a <= 1 and fitted_b >= 0 and 0 < fitted_c <= 2


def test_a_curve_of_separable_classes_rises_and_is_carried_on() -> None:
    vectors, codes = clouds(1_500, classes=6, spread=1.1)

    def learner(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        found = vote(vectors[train], codes[train], vectors[test], classes=6)
        return np.equal(found, codes[test])

    curve = measure_curve("vote", learner, np.arange(1_500))
    assert curve is not None and curve.shape == "power law"
    assert curve.points[-1].value > curve.points[0].value
    assert [band.rows for band in curve.ahead] == [1_500, 3_000, 6_000]
    assert max(band.rows for band in curve.ahead) == FURTHEST * 1_500
    assert all(band.low <= band.value <= band.high <= 1 for band in curve.ahead)


def test_a_curve_that_goes_down_is_not_carried_on() -> None:
    def learner(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        return (test % 100) / 100 > len(train) / 1_000

    curve = measure_curve("worse", learner, np.arange(1_000))
    assert curve is not None and curve.shape == "not identifiable"
    assert curve.ahead == () and not curve.pays and curve.doubling.high < 0


def test_a_flat_curve_is_flat_and_a_handful_of_rows_has_none() -> None:
    def learner(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        return test % 2 == 0

    curve = measure_curve("flat", learner, np.arange(800))
    assert curve is not None and curve.shape == "flat" and not curve.pays
    assert measure_curve("few", learner, np.arange(40)) is None


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilson_is_statsmodels_formula(hits: int, more: int) -> None:
    tries = hits + more
    found = wilson(hits, tries)
    assert 0 <= found.low <= found.value <= found.high <= 1
    z = 1.959963984540054
    for end in (found.low, found.high):  # ends solve (p - end)^2 = z^2 end (1 - end) / n
        off = (found.value - end) ** 2 - z * z * end * (1 - end) / tries
        assert off == pytest.approx(0, abs=1e-9) or end in (0.0, 1.0)


def test_the_mean_of_few_values_is_unsure() -> None:
    from scipy import stats

    values = np.array([0.1, 0.4, 0.3])
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert (mean_of(values).low, mean_of(values).high) == pytest.approx((low, high))
    assert mean_of(values[:1]).high == np.inf


@pytest.fixture(scope="module")
def banking(real_project: Project) -> Sample:
    index = real_project.index("banking77")
    with index.store.database.read() as connection:
        return read_sample(index, index.refresh(connection), connection, 3_000)


def test_stand_ins_agree_with_scikit_learn_on_banking77(banking: Sample) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier

    vectors, codes, groups = banking.vectors, banking.codes, banking.twins
    classes = len(banking.labels)
    strength = choose_strength(vectors, codes, groups, classes=classes)
    shares = cross_validated(vectors, codes, groups, classes=classes, strength=strength)
    ours = (shares.argmax(axis=1) == codes).mean()
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=1)
    splits = list(splitter.split(vectors, codes, groups))
    model = LogisticRegression(C=strength, solver="newton-cg", max_iter=300)
    theirs = (cross_val_predict(model, vectors, codes, cv=splits) == codes).mean()
    assert abs(ours - theirs) < 0.01

    neighbours = KNeighborsClassifier(
        8, metric="cosine", weights=lambda distance: np.exp(-distance / 0.05)
    )
    theirs = (cross_val_predict(neighbours, vectors, codes, cv=splits) == codes).mean()
    held_out = np.concatenate([
        vote(vectors[train], codes[train], vectors[test], classes=classes) == codes[test]
        for train, test in splits
    ])  # fmt: skip
    assert abs(held_out.mean() - theirs) < 0.01


@pytest.mark.parametrize("size", [1, 2, 5, 20])
def test_a_fifth_of_the_rows_tests_whatever_the_groups(size: int) -> None:
    sizes = []

    def learner(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        sizes.append((len(train), len(test)))
        assert not {*(train // size)} & {*(test // size)}
        return test % 3 == 0

    curve = measure_curve("any", learner, np.arange(1_000) // size)
    assert curve is not None and max(sizes)[0] >= 800 and min(test for _, test in sizes) > 150


def test_one_large_group_trains() -> None:
    groups = np.where(np.arange(1_000) < 300, 0, np.arange(1_000))
    tested = []

    def learner(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        tested.append(test)
        return test % 2 == 0

    measure_curve("any", learner, groups)
    assert all((each >= 300).all() for each in tested)


def test_many_equal_rows_take_little_memory() -> None:
    vectors = np.repeat(clouds(3)[0], 1_500, axis=0)
    tracemalloc.start()
    assert len(np.unique(group_twins(vectors))) <= 3
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500e6

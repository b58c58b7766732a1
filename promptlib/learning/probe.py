"""Logistic regression on frozen embeddings: what stands in for a model that is trained."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from promptlib.threads import one_thread

Floats = NDArray[np.float32]
Codes = NDArray[np.int64]
Shares = NDArray[np.float64]

STRENGTHS = (3.0, 10.0, 30.0)
"""Inverse regularisation that is tried; unit vectors want little of it."""

USUAL = 10.0
"""The strength that most stores choose."""

TRIED_ON = 2_000
"""Rows that the choice among STRENGTHS is made on."""

FOLDS = 5


class Probe:
    """A logistic head: scores are vectors @ weights.T + bias, one column a class."""

    def __init__(self, weights: Floats, bias: Floats) -> None:
        self.weights = weights
        self.bias = bias

    def predict_proba(self, vectors: Floats) -> Shares:
        """Give each class's probability, (n, classes); rows sum to one."""
        scores = (vectors @ self.weights.T + self.bias).astype(np.float64)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        found: Shares = shares / shares.sum(axis=1, keepdims=True)
        return found

    def predict(self, vectors: Floats) -> Codes:
        """Name the likeliest class of each row."""
        best: Codes = self.predict_proba(vectors).argmax(axis=1)
        return best


def fit_probe(
    vectors: Floats, codes: Codes, *, classes: int, strength: float = USUAL, balanced: bool = False
) -> Probe:
    """Fit a head; classes that no row has are never predicted.

    `balanced` weighs classes alike, whatever their sizes.
    """
    from sklearn.linear_model import LogisticRegression

    present = np.unique(codes)
    weights = np.zeros((classes, vectors.shape[1]), np.float32)
    bias = np.full(classes, -np.inf, np.float32)
    if len(present) == 1:
        bias[present] = 0
        return Probe(weights, bias)
    with one_thread(), warnings.catch_warnings():  # few rows of many classes begin a curve
        warnings.simplefilter("ignore")
        weight = "balanced" if balanced else None
        model = LogisticRegression(C=strength, max_iter=300, class_weight=weight)
        model.fit(vectors, codes)
    if len(present) == 2:  # one row of weights, for the second class
        weights[present[1]], bias[present] = model.coef_[0], (0, model.intercept_[0])
    else:
        weights[present], bias[present] = model.coef_, model.intercept_
    return Probe(weights, bias)


def choose_strength(vectors: Floats, codes: Codes, groups: Codes, *, classes: int) -> float:
    """Choose among STRENGTHS by the first rows, each group whole on one side."""
    few = slice(TRIED_ON)
    vectors, codes, groups = vectors[few], codes[few], groups[few]
    train, test = next(folds(codes, groups))
    right = [
        (fit_probe(vectors[train], codes[train], classes=classes, strength=strength)
         .predict(vectors[test]) == codes[test]).mean()
        for strength in STRENGTHS
    ]  # fmt: skip
    return STRENGTHS[int(np.argmax(right))]


def cross_validated(
    vectors: Floats, codes: Codes, groups: Codes, *, classes: int, strength: float
) -> Shares:
    """Give each row's probabilities by a head that has seen no row of its group, (n, classes)."""
    shares = np.empty((len(codes), classes))
    for train, test in folds(codes, groups):
        probe = fit_probe(vectors[train], codes[train], classes=classes, strength=strength)
        shares[test] = probe.predict_proba(vectors[test])
    return shares


def folds(codes: Codes, groups: Codes, count: int = FOLDS, seed: int = 0) -> Iterator[
    tuple[Codes, Codes]
]:  # fmt: skip
    """Split rows into parts of like classes, each group whole: (train, test) positions."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    count = min(count, len(np.unique(groups)))
    with warnings.catch_warnings():  # classes of fewer rows than folds are spread as far as they go
        warnings.simplefilter("ignore")
        try:
            splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
            found = list(splitter.split(codes, codes, groups))
        except ValueError:  # every class is that small
            found = list(GroupKFold(count).split(codes, codes, groups))
    yield from found

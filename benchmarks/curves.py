"""How far the advisor's learning curves and stand-ins can be trusted.

python benchmarks/curves.py [SET ...] [--draws N]

Bands: from an eighth of a set's rows the curve is carried on to twice and four times as many, and
held against what is measured there, on rows that took no part. An 80 % band should cover most.

Agreement: vote and probe against scikit-learn's own, with other splits.
"""

from __future__ import annotations

import argparse

import numpy as np
from common import save
from sets import add_sets, prepared

from promptlib.curation.sample import Sample, read_sample
from promptlib.learning.curves import measure_curve
from promptlib.learning.probe import USUAL, cross_validated, fit_probe
from promptlib.learning.vote import vote

TESTED = 3_000


def main() -> None:
    parser = argparse.ArgumentParser()
    add_sets(parser)
    parser.add_argument("--draws", type=int, default=8)
    told = parser.parse_args()
    project, files = prepared(told.sets)
    figures, covered, tried = {}, 0, 0
    for name in files:
        index = project.index(name)
        with index.store.database.read() as connection:
            sample = read_sample(index, index.refresh(connection), connection, 20_000)
        hits = [hit for seed in range(told.draws) for hit in draw(sample, seed)]
        covered, tried = covered + sum(hits), tried + len(hits)
        ours, theirs = agreement(sample)
        figures[name] = {"covered": float(np.mean(hits)), "ours": ours, "scikit-learn": theirs}
        print(name, figures[name], flush=True)
    figures["all"] = {"covered": covered / tried, "bands": tried}
    save("curves", figures)


def draw(sample: Sample, seed: int) -> list[bool]:
    """Carry the curves of an eighth of the rows on; say for each band whether it held."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.flatnonzero(sample.codes >= 0))
    few = len(order) // 8
    mine, more, asked = order[:few], order[: 4 * few], order[4 * few :][:TESTED]
    vectors, codes, classes = sample.vectors, sample.codes, len(sample.labels)

    def by_vote(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        found = vote(vectors[train], codes[train], vectors[test], classes=classes)
        return np.equal(found, codes[test])

    def by_probe(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        probe = fit_probe(vectors[train], codes[train], classes=classes)
        return np.equal(probe.predict(vectors[test]), codes[test])

    hits = []
    for learner in (by_vote, by_probe):

        def on_mine(train: np.ndarray, test: np.ndarray, learner=learner) -> np.ndarray:
            return learner(mine[train], mine[test])

        curve = measure_curve("curve", on_mine, sample.twins[mine])
        if curve is None or not curve.ahead:
            continue
        for band in curve.ahead[1:]:
            truth = learner(more[: band.rows], asked).mean()
            hits.append(bool(band.low <= truth <= band.high))
    return hits


def agreement(sample: Sample) -> tuple[list[float], list[float]]:
    """Accuracy of probe and vote: ours, and scikit-learn's on other splits."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier

    rows = np.flatnonzero(sample.codes >= 0)
    vectors, codes, groups = sample.vectors[rows], sample.codes[rows], sample.twins[rows]
    classes = len(sample.labels)
    shares = cross_validated(vectors, codes, groups, classes=classes, strength=USUAL)
    voted = vote(vectors, codes, vectors, classes=classes, groups=groups)
    ours = [(shares.argmax(axis=1) == codes).mean(), (voted == codes).mean()]
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=1)
    model = LogisticRegression(C=USUAL, max_iter=300)
    head = cross_val_predict(model, vectors, codes, cv=splitter, groups=groups)
    # Twenty folds are nearer to leaving out one row at a time than five are.
    neighbours = KNeighborsClassifier(8, metric="cosine", weights=_weights)
    many = StratifiedGroupKFold(20, shuffle=True, random_state=1)
    near = cross_val_predict(neighbours, vectors, codes, cv=many, groups=groups)
    theirs = [(head == codes).mean(), (near == codes).mean()]
    return [round(float(x), 4) for x in ours], [round(float(x), 4) for x in theirs]


def _weights(distance: np.ndarray) -> np.ndarray:
    return np.exp(-distance / 0.05)


if __name__ == "__main__":
    main()

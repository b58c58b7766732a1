"""What stands in for language models that weren't asked: votes for one that is shown examples, a
logistic head for one that is trained on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.advice.facts import Fact
from promptlib.curation.sample import Sample
from promptlib.curation.suspects import suspects
from promptlib.embedding.embedder import Progress
from promptlib.evaluation.measures import overlap
from promptlib.example import output_text
from promptlib.intervals import Estimate, mean_of, wilson
from promptlib.learning.curves import Curve, Learner, measure_curve
from promptlib.learning.probe import (
    choose_strength,
    cross_validated,
    fit_probe,
    folds,
)
from promptlib.learning.vote import NEIGHBOURS, vote

MOST_CLASSES = 200
"""Beyond so many classes neither stand-in says much."""

LIKENESS = "likeness of the best example"
"""What is measured of stores whose outputs are texts."""

LIMITS = (
    "the vote of the nearest examples stands in for a model that is shown them, a logistic head "
    "on frozen embeddings for a trained one",
    "both see only what the embedder sees: negation, sentiment and reasoning are hard for it",
    "the vote knows nothing of what a language model knows already: easy tasks look harder",
    "the head flatters training below 20 examples a class, and where there are many classes",
    "wrong labels lower both",
)
"""To be printed beside what they show."""


@dataclass(frozen=True)
class StandIns:
    """What the stand-ins have shown."""

    facts: dict[str, Fact]
    curves: tuple[Curve, ...] = ()
    suspected: NDArray[np.bool_] | None = None
    """Of the sample's rows, those whose label is doubtful."""


def classification(sample: Sample, *, quick: bool, report: Progress | None = None) -> StandIns:
    """Compare both stand-ins on the labelled rows, near copies held apart.

    The vote is leave-one-out, the head cross-validated. `quick` looks at one fold for both, and
    draws no curves.
    """
    rows = np.flatnonzero(sample.codes >= 0)
    vectors, codes, groups = sample.vectors[rows], sample.codes[rows], sample.twins[rows]
    classes = len(sample.labels)
    if classes < 2 or classes > MOST_CLASSES or len(np.unique(groups)) < 10:
        return StandIns({})
    if quick:
        few = _compared(*_one_fold(vectors, codes, groups, classes))
        return StandIns(_of_a_part(few) if len(sample) < sample.rows else few)
    voted = vote(vectors, codes, vectors, classes=classes, groups=groups) == codes
    strength = choose_strength(vectors, codes, groups, classes=classes)
    shares = cross_validated(vectors, codes, groups, classes=classes, strength=strength)
    facts = _compared(codes, voted, shares.argmax(axis=1) == codes, "out-of-fold")
    marked = np.zeros(len(sample), bool)
    marked[rows] = suspects(shares, codes)

    def by_vote(train: NDArray[np.int64], test: NDArray[np.int64]) -> NDArray[Any]:
        found = vote(vectors[train], codes[train], vectors[test], classes=classes)
        return np.equal(found, codes[test])

    def by_probe(train: NDArray[np.int64], test: NDArray[np.int64]) -> NDArray[Any]:
        probe = fit_probe(vectors[train], codes[train], classes=classes, strength=strength)
        return np.equal(probe.predict(vectors[test]), codes[test])

    found = _curves({"vote of examples": by_vote, "trained head": by_probe}, groups, report)
    if found:
        facts["doubling_gain"] = Fact.of(found[-1].doubling, "stand-in", "of the trained head")
    return StandIns(facts, found, marked)


def generation(sample: Sample, *, quick: bool, report: Progress | None = None) -> StandIns:
    """Measure how like the right output the best example's output is, as examples grow in number.

    That there is a pattern to follow, not that a model follows it.
    """
    if quick or len(sample) < 20:
        return StandIns({})
    outputs = [output_text(example.output) for example in sample.examples]

    def best(train: NDArray[np.int64], test: NDArray[np.int64]) -> NDArray[np.float64]:
        cosine = sample.vectors[test] @ sample.vectors[train].T
        count = min(NEIGHBOURS, len(train))
        near = train[np.argpartition(-cosine, count - 1, axis=1)[:, :count]]
        return np.array([
            max(overlap(outputs[one], outputs[at]) for one in each)
            for at, each in zip(test.tolist(), near.tolist(), strict=True)
        ])  # fmt: skip

    return StandIns({}, _curves({LIKENESS: best}, sample.twins, report))


def _one_fold(
    vectors: NDArray[np.float32], codes: NDArray[np.int64], groups: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any], str]:
    train, test = next(folds(codes, groups))
    voted = vote(vectors[train], codes[train], vectors[test], classes=classes)
    probe = fit_probe(vectors[train], codes[train], classes=classes)
    right = np.equal(voted, codes[test]), np.equal(probe.predict(vectors[test]), codes[test])
    return codes[test], *right, "held out"


def _compared(
    codes: NDArray[np.int64], voted: NDArray[Any], learned: NDArray[Any], how: str
) -> dict[str, Fact]:
    """Say how often each was right, and which was more often."""
    majority = codes == np.bincount(codes).argmax()
    note = f"{len(codes):,} rows {how}, near copies held apart"
    return {
        "vote_accuracy": _share(voted, note),
        "probe_accuracy": _share(learned, note),
        "majority_accuracy": _share(majority, "always the largest class"),
        "probe_over_vote": _paired(learned, voted),
        "vote_over_majority": _paired(voted, majority),
    }


def _of_a_part(facts: dict[str, Fact]) -> dict[str, Fact]:
    """Say of accuracies on a part of the rows that all of them may do better."""
    found = dict(facts)
    for name in ("vote_accuracy", "probe_accuracy"):
        fact = facts[name]
        note = f"{fact.note}; all rows would do better"
        found[name] = replace(fact, high=1.0, note=note)
    return found


def _curves(
    learners: dict[str, Learner], groups: NDArray[np.int64], report: Progress | None
) -> tuple[Curve, ...]:
    found: Sequence[Curve | None] = [
        measure_curve(name, learner, groups, report=report) for name, learner in learners.items()
    ]
    return tuple(curve for curve in found if curve is not None)


def _share(right: NDArray[np.bool_], note: str) -> Fact:
    return Fact.of(wilson(int(right.sum()), len(right)), "stand-in", note)


def _paired(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> Fact:
    """Compare answers to the same questions."""
    found = mean_of(one.astype(np.float64) - other)
    inside = Estimate(found.value, max(-1.0, found.low), min(1.0, found.high))
    return Fact.of(inside, "stand-in", "paired, both are stand-ins")

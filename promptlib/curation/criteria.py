"""The five criteria of training data as scores: is it representative, diverse, balanced, consistent
and relevant? Pure: arrays in, findings out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from promptlib.curation.diversity import diversity_beside
from promptlib.curation.likeness import NEAR_DUPLICATE, blocks, group_twins, near_pairs
from promptlib.curation.sample import Sample
from promptlib.example import output_text
from promptlib.intervals import Estimate, wilson
from promptlib.threads import one_thread

Floats = NDArray[np.float32]
Grade = Literal["good", "fair", "bad"]

RESAMPLES = 200
SEPARATION_ROWS = 1_000
"""Rows of each side that a classifier is asked to tell apart."""
LEAST = 20
"""Rows of a side, near copies counting once, below which nothing is told apart."""
EQUAL = 0.9999
"""The cosine of texts that are the same but for rounding."""
EASY_K = 8
"""Rows of a store that a query reaches."""


@dataclass(frozen=True)
class Criterion:
    """One criterion: its score with a 95 % interval, and what that is worth."""

    name: str
    meaning: str
    """Of the score."""
    score: Estimate | None
    """None where it can't be measured."""
    grade: Grade | None
    thresholds: str
    affected: Sequence[str] = field(default=(), repr=False)
    """Ids of the rows to look at."""
    beside: Mapping[str, float] = field(default_factory=dict)
    """Further measurements, by name."""
    missing: str = ""
    """What it would take to measure it."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "name": self.name, "meaning": self.meaning, "grade": self.grade,
            "score": vars(self.score) if self.score else None, "thresholds": self.thresholds,
            "affected": list(self.affected), "beside": dict(self.beside), "missing": self.missing,
        }  # fmt: skip


def five_criteria(
    sample: Sample,
    general: Floats,
    *,
    log: Floats | None = None,
    suspected: NDArray[np.bool_] | None = None,
) -> tuple[Criterion, ...]:
    """Measure all five; `log` are real queries' vectors, `suspected` marks doubtful labels."""
    return (
        representative(sample, log),
        diverse(sample, general),
        balanced(sample),
        consistent(sample, suspected),
        relevant(sample, log),
    )


def representative(sample: Sample, log: Floats | None) -> Criterion:
    """Ask a classifier to tell rows from queries: the less it can, the more alike they are."""
    told = "good below .60, bad above .75 (AUC of rows against queries)"
    meaning = "how well a classifier tells the store's inputs from real queries; .5 is not at all"
    score = None if log is None else separation(sample.vectors, log)
    if log is None or score is None:
        return Criterion(
            "representative", meaning, None, None, told,
            missing=f"at least {LEAST} different queries and rows: --queries LOG.jsonl",
        )  # fmt: skip
    own = _nearest(sample.vectors, sample.vectors, apart=True)
    uncovered = _nearest(log, sample.vectors) < np.percentile(own, 5)
    return Criterion(
        "representative", meaning, score, _grade(-score.value, -0.60, -0.75), told,
        beside={"uncovered_queries": float(uncovered.mean())},
    )  # fmt: skip


def diverse(sample: Sample, general: Floats) -> Criterion:
    """Compare the variety of the rows, near copies left out, with that of everyday English."""
    first = np.unique(sample.twins, return_index=True)[1]
    copies = np.ones(len(sample), bool)
    copies[first] = False
    rate = wilson(int(copies.sum()), len(sample))
    told = "good up to 10 % near copies, bad above 30 %"
    beside = {}
    if len(first) >= 20:
        beside["variety_beside_everyday_english"] = diversity_beside(
            sample.vectors[first], general
        ).value
    return Criterion(
        "diverse", "share of rows that are near copies (cosine .95) of another", rate,
        _grade(-rate.value, -0.10, -0.30), told,
        affected=sample.ids(copies), beside=beside,
    )  # fmt: skip


def balanced(sample: Sample) -> Criterion:
    """Count the classes that would be as even as these: exp(entropy) of their shares."""
    told = "good from .9, bad below .7"
    meaning = "effective number of classes as a share of all"
    codes = sample.codes[sample.codes >= 0]
    sizes = np.bincount(codes, minlength=len(sample.labels))
    if len(sample.labels) < 2 or not len(codes):
        missing = "labels of two or more classes"
        return Criterion("balanced", meaning, None, None, told, missing=missing)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(codes), sizes / sizes.sum(), RESAMPLES)
    # A resample is less even than what it is drawn from: the interval is moved by that much.
    values = np.array([_evenness(row) for row in drawn])
    value = _evenness(sizes)
    low, high = np.percentile(values, [2.5, 97.5]) + value - values.mean()
    small = np.isin(sample.codes, np.flatnonzero(sizes < 8)) & (sample.codes >= 0)
    return Criterion(
        "balanced", meaning, Estimate(value, float(low), min(1.0, float(high))),
        _grade(value, 0.9, 0.7), told,
        affected=sample.ids(small),
        beside={"classes_below_8_rows": float((sizes < 8).sum())},
    )  # fmt: skip


def consistent(sample: Sample, suspected: NDArray[np.bool_] | None) -> Criterion:
    """Look for near copies of each other that have different answers.

    Rows whose label is doubtful are among those to look at.
    """
    told = "good up to 1 %, bad from 3 %"
    meaning = "share of pairs of near copies whose answers differ"
    answers, known = _answers(sample), sample.codes >= 0
    # Texts that are generated differ without being wrong; for the same input twice they shouldn't.
    least = NEAR_DUPLICATE if sample.labels else EQUAL
    pairs, clashes, marked = 0, 0, np.zeros(len(sample), bool)
    for part in near_pairs(sample.vectors, least):
        if sample.labels:
            part = part[known[part].all(axis=1)]
        clash = answers[part[:, 0]] != answers[part[:, 1]]
        pairs, clashes = pairs + len(part), clashes + int(clash.sum())
        marked[part[clash].ravel()] = True
    beside = {"pairs": float(pairs)}
    if suspected is not None:
        beside["suspected_labels"] = float(suspected.sum() / max(1, known.sum()))
        marked |= suspected
    if pairs < LEAST:
        missing = f"{LEAST} pairs of near copies, of which there are {pairs}"
        return Criterion(
            "consistent", meaning, None, None, told, affected=sample.ids(marked), beside=beside,
            missing=missing,
        )  # fmt: skip
    rate = wilson(clashes, pairs)
    return Criterion(
        "consistent", meaning, rate, _grade(-rate.value, -0.01, -0.03), told,
        affected=sample.ids(marked), beside=beside,
    )  # fmt: skip


def relevant(sample: Sample, log: Floats | None) -> Criterion:
    """Count the rows that no query ever reaches."""
    told = "good up to 25 %, bad above 50 % (prune those)"
    meaning = f"share of rows that are never among the {EASY_K} nearest of a query"
    enough = 0 if log is None else EASY_K * len(log)
    if log is None or enough < 2 * len(sample):
        wanted = -(-2 * len(sample) // EASY_K)
        return Criterion(
            "relevant", meaning, None, None, told,
            missing=f"at least {wanted:,} real queries, so that each row has a chance: --queries",
        )  # fmt: skip
    reached = np.zeros(len(sample), bool)
    for _, cosine in blocks(log, sample.vectors):
        count = min(EASY_K, len(sample))
        reached[np.argpartition(-cosine, count - 1, axis=1)[:, :count]] = True
    rate = wilson(int((~reached).sum()), len(sample))
    return Criterion(
        "relevant", meaning, rate, _grade(-rate.value, -0.25, -0.50), told,
        affected=sample.ids(~reached),
    )  # fmt: skip


def separation(first: Floats, second: Floats, seed: int = 0) -> Estimate | None:
    """Measure how well a classifier tells two samples apart: five-fold AUC, with its interval.

    A classifier two-sample test (Lopez-Paz & Oquab 2017); .5 is chance. None where a side has too
    few rows, near copies counting once.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict

    rng = np.random.default_rng(seed)
    drawn = (rows[rng.permutation(len(rows))[:SEPARATION_ROWS]] for rows in (first, second))
    parts = list(map(_thinned, drawn))
    if min(map(len, parts)) < LEAST:
        return None
    vectors = np.concatenate(parts)
    side = np.repeat([0, 1], [len(part) for part in parts])
    model = LogisticRegression(C=10, max_iter=300, class_weight="balanced")
    with one_thread():
        scores = cross_val_predict(model, vectors, side, cv=5, method="decision_function")
    value = float(roc_auc_score(side, scores))
    # Hanley & McNeil 1982.
    one, two = value / (2 - value), 2 * value**2 / (1 + value)
    n, m = map(len, parts)
    variance = value * (1 - value) + (n - 1) * (one - value**2) + (m - 1) * (two - value**2)
    half = 1.96 * (max(0.0, variance) / (n * m)) ** 0.5
    return Estimate(value, max(0.0, value - half), min(1.0, value + half))


def _thinned(rows: Floats) -> Floats:
    """Keep one of near copies: on both sides of a fold they would be told by heart."""
    return rows[np.unique(group_twins(rows), return_index=True)[1]]


def _nearest(asked: Floats, rows: Floats, *, apart: bool = False) -> Floats:
    """Give each asked row's highest cosine; with `apart`, to another row than itself."""
    best = np.empty(len(asked), np.float32)
    for start, cosine in blocks(asked, rows):
        if apart:
            at = np.arange(len(cosine))
            cosine[at, start + at] = -1
        best[start : start + len(cosine)] = cosine.max(axis=1)
    return best


def _answers(sample: Sample) -> NDArray[np.int64]:
    """Number the rows' labels, or in a store without labels their outputs."""
    if sample.labels:
        return sample.codes
    texts = [output_text(example.output) for example in sample.examples]
    codes: NDArray[np.int64] = np.unique(texts, return_inverse=True)[1]
    return codes


def effective_classes(sizes: NDArray[np.int64]) -> float:
    """Give the number of classes that would be as even as these: exp(entropy) of their shares."""
    shares = sizes[sizes > 0] / sizes.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _evenness(sizes: NDArray[np.int64]) -> float:
    return effective_classes(sizes) / len(sizes)


def _grade(value: float, good: float, bad: float) -> Grade:
    return "good" if value >= good else "bad" if value < bad else "fair"

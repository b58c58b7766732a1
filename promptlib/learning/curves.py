"""Learning curves: how accuracy grows with examples, and how far that can be carried on.

Accuracy is fitted as a - b * n ** -c by least squares that weight a size by its rows (Figueroa et
al. 2012: "Predicting sample size required for classification performance"). The band comes from
resampling seeds and test rows, each resample fitted thrice: with all sizes, and without the one or
two smallest, since where a power law begins isn't known either. `benchmarks/curves.py` counts how
often bands hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from promptlib.embedding.embedder import Progress
from promptlib.intervals import Estimate, mean_of

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Learner = Callable[[Codes, Codes], NDArray[Any]]
"""(positions to learn from, positions asked) -> how right each answer is, from 0 to 1."""

SIZES, SEEDS = 6, 5
FEWEST_SIZES = 5
"""That a law is fitted to: small stores have no room for the sixth."""
TEST_SHARE, TEST_ROWS = 0.2, 1_000
LEAST_TRAIN = 4
"""Rows that the smallest size has at least."""
RESAMPLES = 200
BAND = 0.8
FURTHEST = 4
"""A curve is never carried beyond so many times the data."""
PAYS = 0.01
"""What a doubling of the data must bring to pay: a point."""

WIDEST = 0.25
"""A band that is wider than that, at the furthest, tells nothing."""

Shape = Literal["power law", "flat", "not identifiable"]

_EXPONENTS = np.geomspace(0.05, 2, 60)


@dataclass(frozen=True)
class Band:
    """Where a curve is expected at some number of rows: its middle 80 %."""

    rows: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """Accuracy by number of examples, measured and carried on."""

    name: str
    sizes: Sequence[int]
    points: Sequence[Estimate]
    """Mean accuracy at each size, with its 95 % interval over seeds."""
    doubling: Estimate
    """What the last doubling brought, paired by seed and test row."""
    ahead: Sequence[Band]
    """At all rows, twice and four times as many; empty where no law can be told."""
    shape: Shape

    @property
    def pays(self) -> bool:
        """Whether more examples clearly still bring something."""
        return self.doubling.low > PAYS

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        points = zip(self.sizes, self.points, strict=True)
        return {
            "name": self.name,
            "shape": self.shape,
            "points": [{"rows": n, **vars(point)} for n, point in points],
            "doubling": vars(self.doubling),
            "ahead": [vars(band) for band in self.ahead],
        }


def measure_curve(
    name: str, learner: Learner, groups: Codes, *, sizes: int = SIZES,
    seeds: int = SEEDS, report: Progress | None = None,
) -> Curve | None:  # fmt: skip
    """Measure a learner on growing parts of the rows; None where there are too few for that.

    Each seed draws other test rows, whole groups of near copies, and grows one training set.
    """
    while sizes > FEWEST_SIZES and _least(len(groups), sizes) < LEAST_TRAIN:
        sizes -= 1
    parts = [_split(groups, np.random.default_rng(seed)) for seed in range(seeds)]
    room = min(len(train) for train, _ in parts)
    tested = min(len(test) for _, test in parts)
    steps = [room >> halvings for halvings in reversed(range(sizes))]
    if steps[0] < LEAST_TRAIN or tested < LEAST_TRAIN:
        return None
    right = np.empty((seeds, sizes, tested))
    for seed, (train, test) in enumerate(parts):
        for at, size in enumerate(steps):
            right[seed, at] = learner(train[:size], test[:tested])
            if report is not None:
                report(seed * sizes + at + 1, seeds * sizes)
    return _curve(name, np.array(steps), right, len(groups))


def _least(rows: int, sizes: int) -> int:
    """Say how many rows the smallest size has."""
    return int((1 - TEST_SHARE) * rows) >> (sizes - 1)


def fit_power_law(sizes: Floats, accuracies: Floats) -> tuple[Floats, Floats, Floats]:
    """Fit a - b * n ** -c to each row of accuracies, (fits, sizes); b >= 0, a <= 1.

    Returns a, b and c, each (fits,): the best of 60 exponents from 0.05 to 2.
    """
    weights = sizes / sizes.sum()
    best = np.full(len(accuracies), np.inf)
    a, b, c = (np.zeros(len(accuracies)) for _ in range(3))
    for exponent in _EXPONENTS:
        shrunk = sizes**-exponent
        middle = weights @ shrunk
        off = weights * (shrunk - middle)
        slope = np.maximum(0, -(accuracies @ off) / (off @ (shrunk - middle)))
        top = accuracies @ weights + slope * middle
        through_one = (1 - accuracies) @ (weights * shrunk) / (weights @ shrunk**2)
        slope, top = np.where(top > 1, through_one, slope), np.minimum(top, 1)
        errors = (accuracies - (top[:, None] - slope[:, None] * shrunk)) ** 2 @ weights
        better = errors < best
        best[better], a[better], b[better], c[better] = (
            errors[better], top[better], slope[better], exponent,
        )  # fmt: skip
    return a, b, c


def _split(groups: Codes, rng: np.random.Generator) -> tuple[Codes, Codes]:
    """Draw training and test rows, in random order, each group on one side."""
    wanted = min(TEST_ROWS, max(1, int(TEST_SHARE * len(groups))))
    sizes = np.bincount(groups).tolist()
    taken, room = [], wanted
    for group in rng.permutation(len(sizes)).tolist():
        if sizes[group] <= room:  # those too large for the test train
            taken.append(group)
            room -= sizes[group]
    order = rng.permutation(len(groups))
    is_test = np.isin(groups[order], taken)
    return order[~is_test], order[is_test]


def _curve(name: str, sizes: Codes, right: Floats, rows: int) -> Curve:
    """Make a curve of how right answers are, (seeds, sizes, test rows)."""
    by_seed = right.mean(axis=2)
    points = [mean_of(by_seed[:, at]) for at in range(len(sizes))]
    doubling = mean_of(by_seed[:, -1] - by_seed[:, -2])
    ahead: Sequence[Band] = ()
    shape: Shape = "not identifiable"
    if not _falls(by_seed):
        ahead = _bands(sizes, _widened(_resampled(right), right, sizes), rows)
        if ahead[-1].high - ahead[-1].low > WIDEST:
            ahead = ()
        else:
            shape = "power law" if _rises(by_seed) else "flat"
    return Curve(name, sizes.tolist(), points, doubling, ahead, shape)


def _rises(by_seed: Floats) -> bool:
    return mean_of(by_seed[:, -1] - by_seed[:, 0]).low > 0


def _falls(by_seed: Floats) -> bool:
    """Whether accuracy clearly falls somewhere: no power law does (Viering & Loog 2021)."""
    steps = np.diff(by_seed, axis=1)
    return any(mean_of(steps[:, at]).high < 0 for at in range(steps.shape[1]))


def _resampled(right: Floats) -> Floats:
    """Resample seeds, and test rows within each: mean accuracies, (RESAMPLES, sizes)."""
    rng = np.random.default_rng(0)
    seeds, sizes, tested = right.shape
    found = np.zeros((RESAMPLES, sizes))
    for number, chosen in enumerate(rng.integers(0, seeds, (RESAMPLES, seeds)).tolist()):
        for seed in chosen:
            drawn = rng.integers(0, tested, tested)
            found[number] += right[seed][:, drawn].mean(axis=1) / seeds
    return found


def _widened(resampled: Floats, right: Floats, sizes: Codes) -> Floats:
    """Widen what resamples differ by, since the seeds' training rows are mostly the same ones.

    The variance of a mean over seeds is short by 1 + seeds * test / train (Nadeau & Bengio 2003).
    """
    seeds, _, tested = right.shape
    factor = (1 + seeds * tested / sizes[-1]) ** 0.5
    middle = right.mean(axis=(0, 2))
    found: Floats = middle + (resampled - middle) * factor
    return found


def _bands(sizes: Codes, resampled: Floats, rows: int) -> list[Band]:
    laws = [
        fit_power_law(sizes[start:].astype(float), resampled[:, start:])
        for start in range(min(3, len(sizes) - 2))
    ]
    a, b, c = (np.concatenate(parts) for parts in zip(*laws, strict=True))
    tail = 100 * (1 - BAND) / 2
    bands = []
    for wanted in (rows, 2 * rows, FURTHEST * rows):
        values = np.clip(a - b * float(wanted) ** -c, 0, 1)
        low, middle, high = np.percentile(values, [tail, 50, 100 - tail])
        bands.append(Band(wanted, float(middle), float(low), float(high)))
    return bands

"""How sure a figure is: intervals of means and shares, and paired tests on the same queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 2_000
LEVEL = 0.95
_PARTS = [slice(start, start + 200) for start in range(0, RESAMPLES, 200)]


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Difference(Estimate):
    """The mean of paired differences, with its interval and the p-value of there being none."""

    p: float

    def __str__(self) -> str:
        return f"{self.value:+.3f} ({self.low:+.3f} to {self.high:+.3f})"

    @property
    def is_gain(self) -> bool:
        """Whether it is clearly above zero, by the interval and by the test.

        Few queries make the bootstrap too sure of itself; the test isn't.
        """
        return self.low > 0 and self.p < 1 - LEVEL


class Bootstrap:
    """Resamples queries (Efron 1979, percentile intervals): the same ones for every measure."""

    def __init__(self, queries: int, seed: int = 0) -> None:
        rng, shares = np.random.default_rng(seed), np.full(queries, 1 / queries)
        self._times = np.empty((RESAMPLES, queries), dtype=np.uint16)
        for part in _PARTS:
            self._times[part] = rng.multinomial(queries, shares, part.stop - part.start)

    def estimate(self, values: Floats) -> Estimate | None:
        """Estimate the mean of values, (queries,), where they are defined; None if nowhere."""
        defined = ~np.isnan(values)
        if not defined.any():
            return None
        low, high = self._interval(np.where(defined, values, 0), defined)
        return Estimate(float(values[defined].mean()), low, high)

    def difference(self, values: Floats, over: Floats) -> Difference | None:
        """Estimate how much higher values are than others of the same queries."""
        delta = values - over
        found = self.estimate(delta)
        if found is None:
            return None
        return Difference(found.value, found.low, found.high, p_value(delta))

    def _interval(self, values: Floats, defined: NDArray[np.bool_]) -> tuple[float, float]:
        counts, sums = np.empty(RESAMPLES), np.empty(RESAMPLES)
        for part in _PARTS:
            times = self._times[part].astype(np.float64)
            counts[part], sums[part] = times @ defined, times @ values
        means = sums[counts > 0] / counts[counts > 0]
        tail = 100 * (1 - LEVEL) / 2
        low, high = np.percentile(means, [tail, 100 - tail])
        return float(low), float(high)


def wilson(hits: int, tries: int, level: float = LEVEL) -> Estimate:
    """Estimate a share of so many tries, one at least, by the score interval (Wilson 1927)."""
    from statistics import NormalDist

    z = NormalDist().inv_cdf((1 + level) / 2)
    share, spread = hits / tries, z * z / tries
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * (share * (1 - share) / tries + spread / (4 * tries)) ** 0.5
    # Rounding must not put the share itself outside.
    return Estimate(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)))


def mean_of(values: Floats) -> Estimate:
    """Estimate a mean by Student's interval: one value alone says nothing of its spread."""
    from scipy.special import stdtrit

    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, -np.inf, np.inf)
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    half = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * error
    return Estimate(mean, mean - half, mean + half)


def p_value(differences: Floats) -> float:
    """Test whether paired differences have no direction.

    The exact sign test, which is McNemar's for right and wrong answers; for measures that differ
    on nearly every query, Student's paired test, which also sees by how much.
    """
    from scipy import stats

    known = differences[~np.isnan(differences)]
    changed = known[known != 0]
    if not len(changed):
        return 1.0
    if np.isin(changed, (-1, 1)).all():
        return float(stats.binomtest(int((changed > 0).sum()), len(changed)).pvalue)
    if len(known) < 2:
        return 1.0
    if np.ptp(known) <= 1e-9 * np.abs(known).max():  # the same everywhere, but for rounding
        return 0.0
    return float(stats.ttest_1samp(known, 0).pvalue)

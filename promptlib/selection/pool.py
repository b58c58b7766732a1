"""A shortlist as a strategy sees it, and what strategies make of one. Pure: arrays and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from promptlib.errors import ConfigError
from promptlib.text import is_number, is_whole

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

TEMPERATURE = 0.05
"""Of votes for labels, exp(similarity / TEMPERATURE): one near example counts as much as several
distant ones."""

VALUE_TEMPERATURE = 0.02
"""Of the value that is fitted into a budget; see `example_values`. Measured on seven sets: more
evens examples out and loses votes, less gives up labels for a slightly nearer one."""

STEEP = 10
"""Temperatures below the best score, from which on values fall ten times as slowly."""

DIGITS = 5
"""Scores are rounded to this many digits, so that ties are ties on every machine."""

NO_VECTORS = np.zeros((0, 0), np.float16)
"""What strategies that score each candidate by itself get for vectors."""

FORBIDDEN = -1e6
"""The score of a candidate that may not be added to those ranked before it."""

RRF_K = 60
"""Rank fusion's constant, as published: how slowly the weight of a rank falls."""


@dataclass(frozen=True)
class Weights:
    """What strategies can be told; each reads its own."""

    lambda_mult: float = 0.5
    """mmr: nearness to the query (1) against difference from what is chosen already (0)."""
    lexical_weight: float = 0.5
    """The share of words in hybrid's score, against meaning; dpp, coverage and balanced use it."""
    min_labels: int = 4
    """balanced: so many labels come first, one example each."""
    max_per_label: int | None = None
    """balanced: show at most so many examples of one label."""
    border: float = 0.0
    """balanced: how much to prefer examples near the border of the two likeliest labels."""

    def __post_init__(self) -> None:
        for name in ("lambda_mult", "lexical_weight", "border"):
            value = getattr(self, name)
            if not (is_number(value) and 0 <= value <= 1):
                raise ConfigError(f"{name} must be a number from 0 to 1, not {value!r}")
        for name, least in (("min_labels", 0), ("max_per_label", 1)):
            value = getattr(self, name)
            if name == "max_per_label" and value is None:
                continue
            if not is_whole(value, least):
                raise ConfigError(f"{name} must be a whole number, {least} or more, not {value!r}")

    def of(self, strategy: str) -> Weights:
        """Keep those that a strategy reads; all, for one that isn't built in."""
        read = READ.get(strategy)
        if read is None:
            return self
        return Weights(**{name: getattr(self, name) for name in read})

    def changed(self) -> dict[str, Any]:
        """Give those that differ from the defaults."""
        pairs = ((spec.name, getattr(self, spec.name), spec.default) for spec in fields(self))
        return {name: value for name, value, default in pairs if value != default}


_FUSED = ("lexical_weight",)

READ: Mapping[str, Sequence[str]] = {
    "similar": (), "lexical": (), "random": (), "diverse": (), "mmr": ("lambda_mult",),
    "hybrid": _FUSED, "dpp": _FUSED, "coverage": _FUSED,
    "balanced": (*_FUSED, "min_labels", "max_per_label", "border"),
}  # fmt: skip
"""Strategy -> the weights that it reads."""


@dataclass(frozen=True)
class Pool:
    """A shortlist as parallel arrays, nearest first; in any order where no query is asked."""

    similarity: Floats
    """The cosine of each candidate with the query, (n,)."""
    lexical: Floats
    """Its BM25 score for the query, 0 or more, (n,)."""
    vectors: NDArray[np.floating]
    """Its unit vector as it is stored, in half precision, (n, dim). Only strategies that look at
    more than one candidate at a time get it."""
    labels: Sequence[str | None]
    seed: int = 0
    weights: Weights = field(default_factory=Weights)
    words: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    """The inverse document frequency of each of the query's words where the candidate has it, else
    0, (n, words). Only strategies that look at words get it."""

    def __len__(self) -> int:
        return len(self.similarity)


class Gains(Protocol):
    """The value of a set, an example at a time."""

    @property
    def scores(self) -> Floats:
        """What each candidate would add to those taken, (n,); -inf for what may not be added."""

    def take(self, position: int) -> None:
        """Add a candidate to the set, which changes the scores of the others."""


@dataclass(frozen=True)
class Ranking:
    """Positions in the shortlist, best first, and the strategy's score of each."""

    positions: Positions
    scores: Floats
    strategy: str
    start: Callable[[], Gains] | None = None
    """Starts a set, for strategies by which examples add to each other; None where the score of
    one doesn't depend on the others."""

    @property
    def gains(self) -> Callable[[], Gains] | None:
        """Start a set over ranks instead of positions."""
        start = self.start
        return None if start is None else lambda: _InRanks(start(), self.positions)

    def cut(self, depth: int) -> Ranking:
        """Keep the first ranks."""
        if depth >= len(self.positions):
            return self
        return replace(self, positions=self.positions[:depth], scores=self.scores[:depth])


class _InRanks:
    """The gains of a set over ranks instead of positions."""

    def __init__(self, gains: Gains, positions: Positions) -> None:
        self._gains = gains
        self._positions = positions

    @property
    def scores(self) -> Floats:
        return self._gains.scores[self._positions]

    def take(self, position: int) -> None:
        self._gains.take(int(self._positions[position]))


Strategy = Callable[[Pool], tuple[Positions, Floats]]
"""A shortlist -> (positions, best first; the score of each, which never rises)."""


def descending(values: Floats) -> Positions:
    """Order positions by value, the greatest first; ties keep their order."""
    return np.argsort(-values, kind="stable")


def rank_weights(count: int) -> Floats:
    """Weigh ranks as rank fusion does, scaled: 1 for the first, then falling."""
    weights: Floats = (RRF_K + 1) / (RRF_K + 1 + np.arange(count))
    return weights


def example_values(scores: Sequence[float] | Floats, best: float | None = None) -> Floats:
    """Turn scores into values: exp((score - best) / VALUE_TEMPERATURE).

    Far below the best they fall more slowly, so that sums of floats still tell far ones apart.
    """
    array = np.asarray(scores, dtype=np.float64)
    if not len(array):
        return array
    below = ((array.max() if best is None else best) - array) / VALUE_TEMPERATURE
    return np.exp(-np.minimum(below, STEEP) - np.maximum(below - STEEP, 0) / 10)


def fused(pool: Pool) -> Floats:
    """Score by nearness and shared words, (n,): reciprocal rank fusion (Cormack et al. 2009).

    1 for a candidate that is first in both. `lexical_weight` is the share of the words.
    """
    weights = rank_weights(len(pool))
    nearness, words = np.empty(len(pool)), np.empty(len(pool))
    nearness[descending(pool.similarity)] = words[descending(pool.lexical)] = weights
    share = pool.weights.lexical_weight
    score: Floats = (1 - share) * nearness + share * np.where(pool.lexical > 0, words, 0)
    return score.round(DIGITS)


def label_votes(
    similarity: Floats, labels: Sequence[str | None] | NDArray[np.object_]
) -> dict[str | None, float]:
    """Give each label its share of the votes exp(similarity / TEMPERATURE) of the shortlist.

    An estimate of how likely it is the query's (Narnoli and Surdeanu 2026: models that are shown
    relevant examples behave much like such a vote).
    """
    votes = np.exp((similarity - similarity.max(initial=-1)) / TEMPERATURE).tolist()
    total: dict[str | None, float] = dict.fromkeys(labels, 0.0)
    for label, vote in zip(labels, votes, strict=True):
        total[label] += vote
    whole = sum(total.values())
    return {label: round(share / whole, DIGITS) for label, share in total.items()}

"""Ways of ranking a shortlist. Pure: arrays in, positions out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.errors import ConfigError, did_you_mean

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

RRF_K = 60
"""Rank fusion's constant, as published: how slowly the weight of a rank falls."""

LAMBDA_MULT = 0.5
"""MMR's weight of nearness to the query against difference from what is chosen already."""

TEMPERATURE = 0.05
"""Of the votes of candidates for their labels: exp(similarity / TEMPERATURE)."""

DIGITS = 5
"""Scores are rounded to this many digits, so that ties are ties on every machine."""


@dataclass(frozen=True)
class Pool:
    """A shortlist as parallel arrays, nearest first."""

    similarity: Floats
    """The cosine of each candidate with the query, (n,)."""
    lexical: Floats
    """Its BM25 score for the query, 0 or more, (n,)."""
    vectors: NDArray[np.floating]
    """Its unit vector as it is stored, in half precision, (n, dim)."""
    labels: Sequence[str | None]
    seed: int = 0

    def __len__(self) -> int:
        return len(self.similarity)


@dataclass(frozen=True)
class Ranking:
    """Positions in the shortlist, best first, and the strategy's score of each."""

    positions: Positions
    scores: Floats
    strategy: str


Strategy = Callable[[Pool], tuple[Positions, Floats]]
"""A shortlist -> (positions, best first; the score of each, which never rises)."""


def similar(pool: Pool) -> tuple[Positions, Floats]:
    """Nearest first (KATE, Liu et al. 2021, arXiv:2101.06804)."""
    order = _descending(pool.similarity)
    return order, pool.similarity[order]


def lexical(pool: Pool) -> tuple[Positions, Floats]:
    """By shared words: BM25 as a share of the best (Robertson and Zaragoza 2009).

    Candidates that share no word come last, nearest first, with score 0.
    """
    scores = pool.lexical / max(pool.lexical.max(initial=0), 1e-9)
    order = np.lexsort((-pool.similarity, -scores))
    return order, scores[order]


def hybrid(pool: Pool) -> tuple[Positions, Floats]:
    """Nearness and shared words by reciprocal rank fusion (Cormack et al. 2009).

    The score is 1 for a candidate that is first in both.
    """
    nearness, words = np.empty(len(pool)), np.empty(len(pool))
    nearness[_descending(pool.similarity)] = words[_descending(pool.lexical)] = _weights(len(pool))
    fused = ((nearness + np.where(pool.lexical > 0, words, 0)) / 2).round(DIGITS)
    order = _descending(fused)
    return order, fused[order]


def mmr(pool: Pool) -> tuple[Positions, Floats]:
    """Maximal marginal relevance (Carbonell and Goldstein 1998): near the query, unlike each other.

    The score of the next one is LAMBDA_MULT * similarity - (1 - LAMBDA_MULT) * its nearness to
    the one most like it among those before.
    """
    vectors = pool.vectors.astype(np.float32)
    likeness = (vectors @ vectors.T).astype(np.float64).round(DIGITS)
    relevance = LAMBDA_MULT * pool.similarity
    closest = np.full(len(pool), -np.inf)
    waiting = np.ones(len(pool), dtype=bool)
    order = np.empty(len(pool), dtype=np.int64)
    scores = np.empty(len(pool))
    for step in range(len(pool)):
        marginal = relevance - (1 - LAMBDA_MULT) * closest if step else relevance.copy()
        marginal[~waiting] = -np.inf
        best = int(marginal.argmax())
        order[step], scores[step] = best, marginal[best]
        waiting[best] = False
        closest = np.maximum(closest, likeness[best])
    # The first has nothing before it to be unlike; scores that only fall can be compared.
    return order, np.minimum.accumulate(scores)


def balanced(pool: Pool) -> tuple[Positions, Floats]:
    """The nearest of each label, then the second nearest of each, and so on.

    Labels are in order of their candidates' summed votes exp(similarity / TEMPERATURE); the score
    is the weight of the rank.
    """
    votes = np.exp((pool.similarity - pool.similarity.max(initial=-1)) / TEMPERATURE)
    groups: dict[str | None, list[int]] = {}
    for position in _descending(pool.similarity).tolist():
        groups.setdefault(pool.labels[position], []).append(position)
    strongest = sorted(groups.values(), key=lambda group: -round(float(votes[group].sum()), DIGITS))
    rounds = range(max(map(len, strongest), default=0))
    order = [group[turn] for turn in rounds for group in strongest if turn < len(group)]
    positions = np.array(order, dtype=np.int64)
    return positions, _weights(len(pool))


def random(pool: Pool) -> tuple[Positions, Floats]:
    """Any order, the same for the same seed; all score alike."""
    return np.random.default_rng(pool.seed).permutation(len(pool)), np.zeros(len(pool))


STRATEGIES: Mapping[str, Strategy] = {
    "similar": similar,
    "mmr": mmr,
    "lexical": lexical,
    "hybrid": hybrid,
    "balanced": balanced,
    "random": random,
}
AUTO = "hybrid"
"""What `auto` stands for: a real model answered best with it on two of three sets, and as well as
with `similar` on the third."""

BY_MEANING = ("similar", "mmr", "balanced")
"""Strategies whose candidates are the nearest alone; the others look for shared words too."""


def strategy_name(strategy: str | Strategy) -> str:
    """Resolve `auto` and name a callable; raises ConfigError for an unknown name."""
    if callable(strategy):
        return str(getattr(strategy, "__name__", type(strategy).__name__))
    if not isinstance(strategy, str):
        raise ConfigError(f"strategy must be a name or a function, not {strategy!r}")
    name = AUTO if strategy == "auto" else strategy
    if name not in STRATEGIES:
        known = ["auto", *STRATEGIES]
        raise ConfigError(f"no strategy {strategy!r}; {did_you_mean(strategy, known)}")
    return name


def select_examples(pool: Pool, *, strategy: str | Strategy = "auto") -> Ranking:
    """Rank a shortlist by a strategy: a name, or a callable of the same form.

    Raises ConfigError for an unknown name, or when a callable doesn't rank each position at most
    once.
    """
    name = strategy_name(strategy)
    if isinstance(strategy, str):
        positions, scores = STRATEGIES[name](pool)
        return Ranking(positions, scores, name)
    try:
        positions, scores = strategy(pool)
        return _checked(name, np.asarray(positions), np.asarray(scores), len(pool))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"strategy {name!r} must return (positions, scores): {error}") from error


def _descending(values: Floats) -> Positions:
    return np.argsort(-values, kind="stable")


def _weights(count: int) -> Floats:
    """Weigh ranks as rank fusion does, scaled: 1 for the first, then falling."""
    weights: Floats = (RRF_K + 1) / (RRF_K + 1 + np.arange(count))
    return weights


def _checked(name: str, positions: Any, scores: Any, count: int) -> Ranking:
    """Refuse what a callable may get wrong."""
    whole = positions.dtype.kind in "iu" or not positions.size
    ranks = whole and positions.ndim == 1 and len(set(positions.tolist())) == len(positions)
    inside = ranks and all(0 <= position < count for position in positions.tolist())
    if not inside or scores.shape != positions.shape:
        raise ConfigError(
            f"strategy {name!r} must return distinct positions below {count} and a score for each"
        )
    if scores.dtype.kind not in "iuf" or not np.isfinite(scores).all():
        raise ConfigError(f"strategy {name!r} must return scores that are finite numbers")
    return Ranking(positions.astype(np.int64), scores.astype(np.float64), name)

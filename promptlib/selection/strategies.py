"""Ways of ranking a shortlist, by name. Pure: arrays in, positions out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from promptlib.errors import ConfigError, did_you_mean
from promptlib.selection.pool import (
    Floats,
    Pool,
    Positions,
    Ranking,
    Strategy,
    descending,
    fused,
)
from promptlib.selection.sets import SETS, rank_greedily


def similar(pool: Pool) -> tuple[Positions, Floats]:
    """Nearest first (KATE, Liu et al. 2021, arXiv:2101.06804)."""
    order = descending(pool.similarity)
    return order, pool.similarity[order]


def lexical(pool: Pool) -> tuple[Positions, Floats]:
    """By shared words: BM25 as a share of the best (Robertson and Zaragoza 2009).

    Candidates that share no word come last, nearest first, with score 0.
    """
    scores = pool.lexical / max(pool.lexical.max(initial=0), 1e-9)
    order = np.lexsort((-pool.similarity, -scores))
    return order, scores[order]


def hybrid(pool: Pool) -> tuple[Positions, Floats]:
    """Nearness and shared words by reciprocal rank fusion (Cormack et al. 2009)."""
    scores = fused(pool)
    order = descending(scores)
    return order, scores[order]


def random(pool: Pool) -> tuple[Positions, Floats]:
    """Any order, the same for the same seed; all score alike."""
    return np.random.default_rng(pool.seed).permutation(len(pool)), np.zeros(len(pool))


SINGLE: Mapping[str, Strategy] = {
    "similar": similar,
    "lexical": lexical,
    "hybrid": hybrid,
    "random": random,
}
"""Strategies that score each candidate by itself; SETS has the others."""

STRATEGIES = (*SINGLE, *SETS)

AUTO = "hybrid"
"""What `auto` stands for, unless something else was measured to be better for the store: a real
model answered best with it on two of three sets, and as well as with `similar` on the third."""

BY_MEANING = ("similar", "mmr")
"""Strategies whose candidates are the nearest alone; the others look for shared words too."""

QUERY_FREE = ("diverse", "random")
"""Strategies that need no query: they draw their candidates from the whole store."""

NO_WORDS = (*BY_MEANING, *QUERY_FREE)


def strategy_name(strategy: str | Strategy) -> str:
    """Check a strategy and name a callable; raises ConfigError for an unknown name."""
    if callable(strategy):
        return str(getattr(strategy, "__name__", type(strategy).__name__))
    if not isinstance(strategy, str):
        raise ConfigError(f"strategy must be a name or a function, not {strategy!r}")
    known = ("auto", *STRATEGIES)
    if strategy not in known:
        raise ConfigError(f"no strategy {strategy!r}; {did_you_mean(strategy, known)}")
    return strategy


def select_examples(
    pool: Pool, *, strategy: str | Strategy = "auto", depth: int | None = None
) -> Ranking:
    """Rank a shortlist by a strategy: a name, or a callable of the same form.

    Strategies that take one example after the other do so for `depth` ranks, all by default, and
    sort the rest by what each would add then. `auto` is the built-in default here: only a store
    knows what was measured for it. Raises ConfigError for an unknown name, or when a callable
    doesn't rank each position at most once.
    """
    name = strategy_name(strategy)
    if isinstance(strategy, str):
        name = AUTO if name == "auto" else name
        if name in SINGLE:
            return Ranking(*SINGLE[name](pool), name)
        positions, scores = rank_greedily(SETS[name](pool), len(pool) if depth is None else depth)
        return Ranking(positions, scores, name, lambda: SETS[name](pool))
    try:
        given, values = strategy(pool)
        return _checked(name, np.asarray(given), np.asarray(values), len(pool))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"strategy {name!r} must return (positions, scores): {error}") from error


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

"""Ways of ranking a shortlist. Pure: numbers in, positions out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptlib.errors import ConfigError, did_you_mean

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Positions in the shortlist, best first, and the strategy's score of each."""

    positions: NDArray[np.int64]
    scores: Floats
    strategy: str


Strategy = Callable[[Floats, int], tuple[NDArray[np.int64], Floats]]
"""(similarity of each candidate, seed) -> (positions, best first; the score of each)."""


def similar(similarity: Floats, seed: int) -> tuple[NDArray[np.int64], Floats]:
    """Nearest first (KATE, Liu et al. 2021, arXiv:2101.06804)."""
    order = np.argsort(-similarity, kind="stable")
    return order, similarity[order]


def random(similarity: Floats, seed: int) -> tuple[NDArray[np.int64], Floats]:
    """Any order, the same for the same seed; all score alike."""
    return np.random.default_rng(seed).permutation(len(similarity)), np.zeros(len(similarity))


STRATEGIES: Mapping[str, Strategy] = {"similar": similar, "random": random}
AUTO = "similar"
"""What `auto` stands for."""


def select_examples(
    similarity: Floats, *, strategy: str | Strategy = "auto", seed: int = 0
) -> Ranking:
    """Rank a shortlist by a strategy: a name, or a callable of the same form.

    `similarity` is the cosine of each candidate with the query, shape (n,). Raises ConfigError for
    an unknown name, or when a callable doesn't rank each position at most once.
    """
    similarity = np.asarray(similarity, dtype=np.float64)
    if isinstance(strategy, str):
        name = AUTO if strategy == "auto" else strategy
        if name not in STRATEGIES:
            known = ["auto", *STRATEGIES]
            raise ConfigError(f"no strategy {strategy!r}; {did_you_mean(strategy, known)}")
        function = STRATEGIES[name]
    else:
        name, function = getattr(strategy, "__name__", type(strategy).__name__), strategy
    positions, scores = function(similarity, seed)
    if not isinstance(strategy, str):
        _check(name, np.asarray(positions).tolist(), len(scores), len(similarity))
    return Ranking(np.asarray(positions, np.int64), np.asarray(scores, np.float64), name)


def _check(name: str, positions: list[int], scores: int, count: int) -> None:
    """Refuse what a callable may get wrong."""
    inside = all(0 <= position < count for position in positions)
    distinct = len(set(positions)) == len(positions)
    if not (inside and distinct and scores == len(positions)):
        raise ConfigError(
            f"strategy {name!r} must return distinct positions below {count} and a score for each"
        )

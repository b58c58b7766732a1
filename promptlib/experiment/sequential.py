"""Stop when the answer is clear, without paying for it: tests that may be looked at at any time.

Looking at a p-value after each question until it is small enough finds differences that aren't
there. An e-value may be looked at as often as one likes: under no difference it reaches 1/a with
probability a at most, ever (Ville 1939; Grünwald, de Heide and Koolen 2024, arXiv:1906.07801).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

LEVEL = 0.05


def e_value(wins: int, losses: int) -> float:
    """Weigh the evidence that one of two wins more often, of the questions that they differ on.

    The chance of a win is given a flat prior (the beta-binomial mixture, Robbins 1970); capped so
    that it stays a number.
    """
    many = wins + losses
    log_beta = math.lgamma(wins + 1) + math.lgamma(losses + 1) - math.lgamma(many + 2)
    return math.exp(min(700.0, log_beta + many * math.log(2)))


def is_clear(wins: int, losses: int, comparisons: int = 1, level: float = LEVEL) -> bool:
    """Whether the evidence suffices, among so many comparisons that are looked at together."""
    return e_value(wins, losses) >= comparisons / level


def wins_and_losses(mine: Sequence[float], theirs: Sequence[float]) -> tuple[int, int]:
    """Count on how many questions one did better, and on how many worse, each at least by half.

    Scores between right and wrong count as a step only where they differ by 0.5 or more.
    """
    gaps = [one - other for one, other in zip(mine, theirs, strict=True)]
    return sum(gap >= 0.5 for gap in gaps), sum(gap <= -0.5 for gap in gaps)

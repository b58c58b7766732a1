"""Ask many ways a few questions, the better half some more, and so on.

Successive halving (Karnin, Koren and Somekh 2013; Jamieson and Talwalkar 2016, arXiv:1502.07943).
A way that is clearly worse than the best leaves at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from promptlib.errors import ConfigError
from promptlib.evaluation.ways import Way
from promptlib.experiment.asking import Examiner
from promptlib.experiment.examining import experiment_of
from promptlib.experiment.sequential import is_clear, wins_and_losses

FIRST_ROUND = 6
"""Questions that every way is asked at least."""


@dataclass(frozen=True)
class Round:
    """One round of the search."""

    questions: int
    """That each way has been asked by its end."""
    standing: Sequence[tuple[Way, float, int]]
    """The ways in it, best first, with their mean score and how many answers it is of."""


def halve(examiner: Examiner, questions: Sequence[int], calls: int) -> list[Round]:
    """Ask, and keep the better half, until one is left or questions or calls are used up."""
    prepared = examiner.prepared
    alive = list(range(len(prepared.arms)))
    rounds: list[Round] = []
    asked = 0
    halvings = max(1, math.ceil(math.log2(len(alive))))
    while not examiner.is_over:
        left = calls - examiner.answers.calls
        share = max(FIRST_ROUND, left // (max(1, halvings - len(rounds)) * len(alive)))
        more = min(share, left // len(alive), len(questions) - asked)
        if more < 1:
            break
        examiner.ask(questions[asked : asked + more], alive)
        asked += more
        standing = _standing(examiner, alive)
        answered = examiner.answers.rows
        rounds.append(
            Round(asked, [(prepared.arms[a].way, mean, len(answered[a])) for a, mean in standing])
        )
        order = [arm for arm, _ in standing]
        half = order[: max(1, math.ceil(len(order) / 2))]
        alive = [arm for arm in half if not _is_beaten(examiner, arm, order[0], len(prepared.arms))]
        if len(alive) == 1:
            break
    if not rounds:
        # Nothing could be asked: let the error, or the limit, say why.
        experiment_of(examiner)
        raise ConfigError(examiner.answers.stopped or "too few calls for as many ways")
    return rounds


def _standing(examiner: Examiner, arms: Sequence[int]) -> list[tuple[int, float]]:
    def mean(arm: int) -> float:
        rows = examiner.answers.rows[arm]
        return float(np.mean([row.score for row in rows.values()])) if rows else 0.0

    # Of equals the one that proxies put first: that is how arms are ordered.
    return sorted(((arm, mean(arm)) for arm in arms), key=lambda item: (-item[1], item[0]))


def _is_beaten(examiner: Examiner, arm: int, best: int, ways: int) -> bool:
    wins, losses = wins_and_losses(*examiner.answers.scores(arm, best))
    return arm != best and losses > wins and is_clear(wins, losses, comparisons=ways)


def standing_of(rounds: Sequence[Round]) -> list[Way]:
    """List all ways that were asked, those that came furthest first."""
    return list(dict.fromkeys(way for each in reversed(rounds) for way, *_ in each.standing))

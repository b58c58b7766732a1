"""One budget for history and examples. Pure: counts in, what to keep out.

Everything, if it fits. Otherwise the part with priority claims its room first, up to its share;
the other takes what is left; and what is left after both is offered again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from promptlib.budget.fit import Fit, fit_examples
from promptlib.errors import BudgetError

Part = Literal["history", "examples"]

CountBoth = Callable[[Sequence[int], int], int]
"""Tokens of the whole prompt with the candidates at these positions, given best first, and with
so many of the newest turns."""


@dataclass(frozen=True)
class Shared:
    """The examples to show, and how many of the newest turns stay."""

    fit: Fit
    turns: int


def fit_both(
    scores: Sequence[float],
    turns: int,
    count: CountBoth,
    *,
    k: int,
    limit: int,
    priority: Part = "history",
    share: float = 1.0,
) -> Shared:
    """Choose turns and examples within `limit` tokens in all.

    `share` is how much of the room that both have together the first claim may take. Raises
    BudgetError when the prompt is over the limit without either.
    """

    def examples(kept: int, most: int) -> Fit:
        return fit_examples(scores, lambda ranks: count(ranks, kept), k=k, limit=most)

    def newest(chosen: Sequence[int], most: int) -> int:
        """Find how many turns fit; more turns cost more, so halving finds the border."""
        dropped = bisect_left(range(turns), True, key=lambda n: count(chosen, turns - n) <= most)
        return turns - dropped

    if not turns:
        return Shared(examples(0, limit), 0)
    everything = tuple(range(min(k, len(scores))))
    if count(everything, turns) <= limit:
        return Shared(examples(turns, limit), turns)
    alone = count((), 0)
    claim = min(limit, alone + int(share * max(0, limit - alone)))
    if priority == "history":
        kept = newest((), claim)
        fit = examples(kept, limit)
        kept = max(kept, newest(fit.chosen, limit))
        return Shared(replace(fit, tokens=count(fit.chosen, kept)), kept)
    fit = examples(0, claim)
    kept = newest(fit.chosen, limit)
    try:
        return Shared(examples(kept, limit), kept)
    except BudgetError:  # a template that says more when it has no examples to show
        return Shared(replace(fit, tokens=count(fit.chosen, kept)), kept)

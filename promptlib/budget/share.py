"""One budget for history and examples. Pure: counts in, what to keep out.

Everything, if it fits. Otherwise the part with priority claims its room first, up to its share;
the other takes what is left; and what is left after both is offered again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Unpack

from promptlib.budget.fit import Fit, FitOptions, fit_examples
from promptlib.errors import BudgetError, TooFewExamplesError

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
    limit: int,
    priority: Part = "history",
    claim: float = 1.0,
    **options: Unpack[FitOptions],
) -> Shared:
    """Choose turns and examples within `limit` tokens in all.

    `claim` is how much of the room that both have together the first claim may take; the options
    are those of `fit_examples`. Raises BudgetError when the prompt is over the limit without
    either, TooFewExamplesError when `min_k` examples can't be shown even without history.
    """

    def examples(kept: int, most: int, k: int | None = None) -> Fit:
        wanted = options if k is None else FitOptions(**{**options, "k": k})
        return fit_examples(scores, lambda ranks: count(ranks, kept), limit=most, **wanted)

    def at_least(kept: int, most: int) -> tuple[Fit, int]:
        """Fit examples beside turns; these give way to the least number that there must be."""
        try:
            return examples(kept, most), kept
        except TooFewExamplesError:
            return examples(0, limit, k=options.get("min_k", 0)), 0

    def newest(chosen: Sequence[int], most: int) -> int:
        """Find how many turns fit; more turns cost more, so halving finds the border."""
        dropped = bisect_left(range(turns), True, key=lambda n: count(chosen, turns - n) <= most)
        return turns - dropped

    if not turns:
        return Shared(examples(0, limit), 0)
    everything = tuple(range(min(options["k"], len(scores))))
    if count(everything, turns) <= limit:
        return Shared(examples(turns, limit), turns)
    alone = count((), 0)
    first = min(limit, alone + int(claim * max(0, limit - alone)))
    if priority == "history":
        kept = newest((), first)
        fit, kept = at_least(kept, limit)
        kept = max(kept, newest(fit.chosen, limit))
        return Shared(replace(fit, tokens=count(fit.chosen, kept)), kept)
    fit, _ = at_least(0, first)
    kept = newest(fit.chosen, limit)
    try:
        return Shared(examples(kept, limit), kept)
    except (BudgetError, TooFewExamplesError):
        # A template that says more when it has no examples to show, or joins that cost.
        return Shared(replace(fit, tokens=count(fit.chosen, kept)), kept)

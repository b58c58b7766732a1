"""One budget for sections, history and examples. Pure: counts in, what to keep out.

Everything, if it fits. Otherwise each part claims room in the order of its priority: a section
whole or not at all, history its newest turns, examples the best set; and what is left after all of
them is offered again. A section stays only while everything of higher priority does: all sections,
all turns, all examples that were wanted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Unpack

from promptlib.budget.fit import DropReason, Fit, FitOptions, fit_examples
from promptlib.errors import BudgetError, TooFewExamplesError

Claimant = Literal["section", "history", "examples"]

OFFERS = 3
"""How often what is left is offered again: examples that are chosen anew may leave more."""

Claim = tuple[Claimant, int]
"""Who claims; of sections, the how-manieth."""

CountAll = Callable[[Sequence[int], int, int], int]
"""Tokens of the whole prompt with the candidates at these positions, given best first, with so
many of the newest turns, and with so many sections of highest priority."""


class Priorities(NamedTuple):
    """Who claims room before whom: the higher first; of equals sections, then history."""

    history: float = 1.0
    examples: float = 0.0
    sections: tuple[float, ...] = ()
    """Highest first."""


@dataclass(frozen=True)
class Shared:
    """The examples to show, how many of the newest turns stay, and how many sections."""

    fit: Fit
    turns: int = 0
    sections: int = 0


def fit_all(
    scores: Sequence[float],
    turns: int,
    count: CountAll,
    *,
    limit: int,
    priorities: Priorities = Priorities(),  # noqa: B008 (a constant)
    claim: float = 1.0,
    **options: Unpack[FitOptions],
) -> Shared:
    """Choose sections, turns and examples within `limit` tokens in all.

    `claim` is how much of the room for history and examples the first of them may take; the options
    are those of `fit_examples`. Raises BudgetError when the prompt is over the limit without
    any of them, TooFewExamplesError when `min_k` examples can't be shown even so.
    """
    return _Sharing(scores, turns, count, limit, priorities, claim, options).share()


@dataclass
class _Sharing:
    scores: Sequence[float]
    turns: int
    count: CountAll
    limit: int
    priorities: Priorities
    claim: float
    options: FitOptions
    is_least: bool = False
    """Whether examples could only be shown at the cost of all else."""

    def share(self) -> Shared:
        sections = len(self.priorities.sections)
        if not self.turns and not sections:
            return Shared(self._examples(0, 0, self.limit))
        everything = tuple(range(min(self.options["k"], len(self.scores))))
        if self.count(everything, self.turns, sections) <= self.limit:
            return Shared(self._examples(self.turns, sections, self.limit), self.turns, sections)
        claims = self._claims()
        kept = Shared(Fit((), 0, {}, {}))
        first = next(claimant for claimant, _ in claims if claimant != "section")
        for claimant, number in claims:
            kept = self._claimed(kept, claimant, number, self._most(kept, claimant == first))
        for _ in range(OFFERS):
            before = kept.fit.chosen, kept.turns, kept.sections
            for claimant, number in claims:
                kept = self._offered(kept, claimant, number, first)
            if (kept.fit.chosen, kept.turns, kept.sections) == before:
                break
        tokens = self.count(kept.fit.chosen, kept.turns, kept.sections)
        return replace(kept, fit=replace(kept.fit, tokens=tokens))

    def _claims(self) -> list[Claim]:
        claims: list[tuple[float, Claim]] = [
            *((at, ("section", number)) for number, at in enumerate(self.priorities.sections)),
            (self.priorities.history, ("history", 0)),
            (self.priorities.examples, ("examples", 0)),
        ]
        return [claim for _, claim in sorted(claims, key=lambda claim: -claim[0])]

    def _most(self, kept: Shared, is_first: bool) -> int:
        """Say how long the prompt may become: the first part that can shrink has its share."""
        if not is_first or self.claim >= 1:
            return self.limit
        alone = self.count((), 0, kept.sections)
        return min(self.limit, alone + int(self.claim * max(0, self.limit - alone)))

    def _claimed(self, kept: Shared, claimant: Claimant, number: int, most: int) -> Shared:
        """Give a part what it may have of `most` tokens, beside what is kept."""
        if claimant == "section":
            return self._with_section(kept, number)
        if claimant == "history":
            return replace(kept, turns=self._newest(kept, most))
        try:
            return replace(kept, fit=self._examples(kept.turns, kept.sections, most))
        except TooFewExamplesError:  # all else gives way to the least number there must be
            self.is_least = True
            least = self.options.get("min_k", 0)
            return Shared(self._examples(0, 0, self.limit, k=least))

    def _offered(self, kept: Shared, claimant: Claimant, number: int, first: Claimant) -> Shared:
        """Offer a part what all have left; examples that came last mostly have had that."""
        if claimant == "section":
            return self._with_section(kept, number)
        if claimant == "history":
            return replace(kept, turns=max(kept.turns, self._newest(kept, self.limit)))
        if first == "examples" or self.is_least:
            # A template that says more without examples, or joins that cost: then it stays.
            with suppress(BudgetError, TooFewExamplesError):
                fit = self._examples(kept.turns, kept.sections, self.limit)
                self.is_least = False
                return replace(kept, fit=fit)
        return kept

    def _with_section(self, kept: Shared, number: int) -> Shared:
        """Keep a section if all that comes before it is kept, and there is room."""
        at = self.priorities.sections[number]
        lacks_turns = kept.turns < self.turns and at < self.priorities.history
        lacks_examples = self._is_crowded(kept.fit) and at < self.priorities.examples
        if kept.sections == number and not lacks_turns and not lacks_examples:
            tokens = self.count(kept.fit.chosen, kept.turns, number + 1)
            if tokens <= self.limit:
                return replace(kept, sections=number + 1)
        return kept

    def _is_crowded(self, fit: Fit) -> bool:
        """Whether examples were left out for want of room that all share."""
        if len(fit.chosen) >= min(self.options["k"], len(self.scores)):
            return False
        wants_more = self.is_least or DropReason.OVER_BUDGET in fit.dropped.values()
        return wants_more and self.options.get("share", 1.0) >= 1

    def _newest(self, kept: Shared, most: int) -> int:
        """Find how many turns fit; more turns cost more, so halving finds the border."""

        def fits(dropped: int) -> bool:
            turns = self.turns - dropped
            return self.count(kept.fit.chosen, turns, kept.sections) <= most

        return self.turns - bisect_left(range(self.turns), True, key=fits)

    def _examples(self, turns: int, sections: int, most: int, k: int | None = None) -> Fit:
        wanted = self.options if k is None else FitOptions(**{**self.options, "k": k})

        def count(ranks: Sequence[int]) -> int:
            return self.count(ranks, turns, sections)

        return fit_examples(self.scores, count, limit=most, **wanted)

"""Fit examples into a token budget. Pure: scores and counts in, positions out.

The first k by rank, if the whole prompt fits with them. Otherwise the set of most value that fits,
then the whole counted, chosen again while it is over, filled while there is room. What is promised
is about the last count alone: it never exceeds the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NoReturn, Required, TypedDict

import numpy as np
from numpy.typing import NDArray

from promptlib.budget.greedy import best_of_three, rank_order
from promptlib.budget.knapsack import best_set
from promptlib.errors import BudgetError, TooFewExamplesError
from promptlib.selection.pool import FORBIDDEN, Gains, example_values

JOIN_SLACK = 2
"""Tokens that joining texts may save or cost per example: byte-pair counts don't add up."""

TRIES = 8
"""How often a set is chosen again because its parts cost more together than one by one."""

Count = Callable[[Sequence[int]], int]
"""Tokens of the whole prompt with the candidates at these positions, given best first."""


class FitOptions(TypedDict, total=False):
    """What `fit_examples` takes beside scores, count and limit."""

    k: Required[int]
    min_k: int
    max_example_tokens: int | None
    share: float
    gains: Callable[[], Gains] | None


class DropReason(StrEnum):
    """Why an example was left out."""

    BEYOND_K = "beyond k"
    OVER_BUDGET = "over budget"
    TOO_LONG = "over max_example_tokens"
    LABEL_CAP = "label cap"
    BELOW_MIN_SCORE = "below min_score"
    DUPLICATE = "duplicate of a better one"
    EQUALS_QUERY = "equals the query"
    STATIC = "shown as a static example"


@dataclass(frozen=True)
class Fit:
    """The candidates to show, best first, with the exact count of the prompt that shows them."""

    chosen: tuple[int, ...]
    tokens: int
    dropped: dict[int, DropReason]
    costs: dict[int, int]
    """Position -> tokens of its example alone in the prompt, of those that were measured."""


def fit_examples(
    scores: Sequence[float],
    count: Count,
    *,
    k: int,
    limit: int,
    min_k: int = 0,
    max_example_tokens: int | None = None,
    share: float = 1.0,
    gains: Callable[[], Gains] | None = None,
) -> Fit:
    """Choose among candidates ranked best first: at most k, at most `limit` tokens in all.

    `scores` are the strategy's, `count` counts a whole prompt exactly. Examples longer than
    `max_example_tokens` are skipped; all together take at most `share` of the limit. Where examples
    add to each other, `gains` starts a set over the ranks. Raises BudgetError when the prompt is
    over the limit without any example, TooFewExamplesError when `min_k` of them can't be shown.
    """
    fitter = _Fitter(scores, count, k, limit, min(min_k, k), max_example_tokens, share, gains)
    return fitter.fit()


@dataclass
class _Fitter:
    """One fit: what its steps share."""

    scores: Sequence[float]
    count: Count
    k: int
    limit: int
    min_k: int
    max_example_tokens: int | None
    share: float
    gains: Callable[[], Gains] | None

    def __post_init__(self) -> None:
        self.ranks = range(len(self.scores))
        self.costs: dict[int, int] = {}

    def fit(self) -> Fit:
        if len(self.scores) < self.min_k:
            self._check_fixed()
            self._too_few(f"there are only {len(self.scores)} to choose from")
        first = self._first()
        tokens = self.count(first)
        if tokens <= self._most and len(first) >= self.min_k:
            return self._result(first, tokens)
        self._check_fixed()
        chosen, tokens = self._within()
        chosen, tokens = self._with_what_joins_save(chosen, tokens)
        chosen, tokens = self._refilled(chosen, tokens)
        if len(chosen) < self.min_k:
            room = max(0, self._most - self.fixed)
            limits = [f"{room:,} tokens"]
            limits += ["max_example_tokens"] * any(map(self._is_giant, self.ranks))
            limits += ["the label cap"] * bool(self._forbidden(chosen))
            self._too_few(f"{len(chosen)} fit into {' and '.join(limits)}")
        return self._result(tuple(chosen), tokens)

    def _check_fixed(self) -> None:
        if self.fixed > self.limit:
            raise BudgetError(
                f"the prompt has {self.fixed:,} tokens without any example, "
                f"{self.limit:,} are available",
                fixed=self.fixed,
                available=self.limit,
            )

    # -- what examples cost ----------------------------------------------------------------------

    @cached_property
    def fixed(self) -> int:
        """What the prompt costs without examples."""
        return self.count(())

    @cached_property
    def _most(self) -> int:
        """What the prompt may cost with examples."""
        if self.share >= 1:
            return self.limit
        return min(self.limit, self.fixed + int(self.share * self.limit))

    def _cost(self, rank: int) -> int:
        cost = self.costs.get(rank)
        if cost is None:
            cost = self.costs[rank] = max(0, self.count((rank,)) - self.fixed)
        return cost

    def _is_giant(self, rank: int) -> bool:
        return self.max_example_tokens is not None and self._cost(rank) > self.max_example_tokens

    # -- choosing --------------------------------------------------------------------------------

    def _first(self) -> tuple[int, ...]:
        """Take the best k by rank, without giants and within caps."""
        if self.max_example_tokens is not None and self.gains is not None:
            giants = np.array([self._is_giant(rank) for rank in self.ranks], dtype=bool)
            return tuple(sorted(rank_order(self.gains, giants, self.k)))
        first: list[int] = []
        for rank in self.ranks:
            if len(first) == self.k or self.scores[rank] <= FORBIDDEN:
                break
            if not self._is_giant(rank):
                first.append(rank)
        return tuple(first)

    @cached_property
    def _values(self) -> NDArray[np.float64]:
        return example_values(self.scores)

    def _choose(self, room: int) -> list[int] | None:
        """Choose the set of most value whose costs, one by one, add up to `room` at most."""
        room = max(0, room)
        costs = [room + 1 if self._is_giant(rank) else self._cost(rank) for rank in self.ranks]
        if self.gains is not None:
            return best_of_three(self.gains, costs, k=self.k, room=room, min_k=self.min_k)
        return best_set(self._values, costs, k=self.k, room=room, min_k=self.min_k)

    def _within(self) -> tuple[list[int], int]:
        """Choose with less room, while the whole costs more than its parts did one by one."""
        room = self._most - self.fixed
        chosen: list[int] | None = None
        for _ in range(TRIES):
            better = self._choose(room)
            if better is None:
                break
            chosen = better
            if (tokens := self.count(tuple(chosen))) <= self._most:
                return chosen, tokens
            room = min(room, self._sum(chosen)) - (tokens - self._most)
        return self._mended(chosen or [])

    def _mended(self, chosen: list[int]) -> tuple[list[int], int]:
        """Leave out the least valuable while the whole is over."""
        while (tokens := self.count(tuple(chosen))) > self._most and chosen:
            worst = min(chosen, key=lambda rank: (self._values[rank], -rank))
            chosen = [rank for rank in chosen if rank != worst]
        return chosen, tokens

    def _with_what_joins_save(self, chosen: list[int], tokens: int) -> tuple[list[int], int]:
        """Choose again with the tokens that joining has saved, if that gives more value."""
        saved = self.fixed + self._sum(chosen) - tokens
        if saved > 0 and self.gains is None:
            more = self._choose(self._most - self.fixed + saved)
            if more and self._values[more].sum() > self._values[chosen].sum():
                total = self.count(tuple(more))
                if total <= self._most:
                    return more, total
        return chosen, tokens

    def _refilled(self, chosen: list[int], tokens: int) -> tuple[list[int], int]:
        """Try those left out, best first, while there is room."""
        forbidden = self._forbidden(chosen)
        for rank in self.ranks:
            slack = JOIN_SLACK * (len(chosen) + 1)
            too_long = self._is_giant(rank) or self._cost(rank) > self._most - tokens + slack
            if len(chosen) >= self.k or rank in chosen or rank in forbidden or too_long:
                continue
            more = sorted([*chosen, rank])
            if (total := self.count(tuple(more))) <= self._most:
                chosen, tokens = more, total
                forbidden = self._forbidden(chosen)
        return chosen, tokens

    def _sum(self, chosen: Iterable[int]) -> int:
        return sum(self._cost(rank) for rank in chosen)

    def _forbidden(self, chosen: Iterable[int]) -> set[int]:
        """Find the ranks that may not be added to a set."""
        if self.gains is None:
            return set()
        gains = self.gains()
        for rank in chosen:
            gains.take(rank)
        return set(np.flatnonzero(gains.scores == -np.inf).tolist())

    # -- reporting -------------------------------------------------------------------------------

    def _result(self, chosen: tuple[int, ...], tokens: int) -> Fit:
        last, full = max(chosen, default=-1), len(chosen) >= self.k
        capped: set[int] = set()
        if self.scores and self.scores[-1] <= FORBIDDEN:
            capped = self._forbidden(chosen)
        dropped: dict[int, DropReason] = {}
        for rank in self.ranks:
            if rank in chosen:
                continue
            if rank in self.costs and self._is_giant(rank):
                dropped[rank] = DropReason.TOO_LONG
            elif rank in capped:
                dropped[rank] = DropReason.LABEL_CAP
            elif full and rank > last:
                dropped[rank] = DropReason.BEYOND_K
            else:  # fewer than k are shown, or a worse one: it was the budget
                dropped[rank] = DropReason.OVER_BUDGET
        return Fit(chosen, tokens, dropped, self.costs)

    def _too_few(self, why: str) -> NoReturn:
        raise TooFewExamplesError(f"min_k asks for {self.min_k} examples, {why}")

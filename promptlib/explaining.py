"""Why each candidate is in the prompt, or isn't: what the choice knew of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from promptlib.budget.fit import DropReason, Fit
from promptlib.example import Example
from promptlib.index.candidates import Candidates
from promptlib.prompt import DroppedExample, PromptExample
from promptlib.selection.pool import FORBIDDEN, example_values, label_votes

LeftOut = Sequence[tuple[DropReason, Candidates]]
"""Rows that were found and may not be shown, by reason."""


class Seen(NamedTuple):
    """What is told of candidates, without the index that they can read their vectors from."""

    ids: NDArray[np.str_]
    similarity: NDArray[np.float64]
    lexical: NDArray[np.float64]
    labels: NDArray[np.object_]

    @classmethod
    def of(cls, found: Candidates) -> Seen:
        """Keep of candidates what is told."""
        return cls(found.ids, found.similarity, found.lexical, found.labels)


@dataclass(frozen=True)
class Explanation:
    """A choice among candidates."""

    found: Seen
    positions: NDArray[np.int64]
    """Of the ranked among those that were found, best first."""
    scores: NDArray[np.float64]
    """The strategy's, of each rank."""
    fit: Fit
    left_out: Sequence[tuple[DropReason, Seen]]
    """Those that were found beside them and may not be shown, by reason."""
    knows_words: bool
    """Whether the search looked at words."""

    def chosen(
        self, ranks: Sequence[int], examples: Sequence[Example], cost: Callable[[int], int]
    ) -> tuple[PromptExample, ...]:
        """Tell of those that are shown; `cost` measures one whose cost isn't known."""
        known = self.fit.costs
        return tuple(
            PromptExample(
                **self._facts(rank), example=example,
                measure=partial(int, known[rank]) if rank in known else partial(cost, rank),
            )
            for rank, example in zip(ranks, examples, strict=True)
        )  # fmt: skip

    def dropped(self) -> tuple[DroppedExample, ...]:
        """Tell of all the others, by rank; those that weren't ranked come last."""
        return (*self._outranked(), *self._unranked())

    def _facts(self, rank: int) -> dict[str, Any]:
        at = int(self.positions[rank])
        score = float(self.scores[rank])
        return {
            "id": str(self.found.ids[at]),
            "rank": rank + 1,
            "score": score if score > FORBIDDEN else None,
            "similarity": float(self.found.similarity[at]),
            "lexical": float(self.found.lexical[at]) if self.knows_words else None,
            "label": self.found.labels[at],
            "posterior": self._votes.get(self.found.labels[at]),
            "value": float(self._values[rank]),
        }

    def _outranked(self) -> Iterator[DroppedExample]:
        for rank, reason in self.fit.dropped.items():
            yield DroppedExample(
                **self._facts(rank), tokens=self.fit.costs.get(rank), reason=reason
            )

    def _unranked(self) -> Iterator[DroppedExample]:
        rank = len(self.positions)
        for reason, rows in self.left_out:
            for at, id in enumerate(rows.ids.tolist()):
                rank += 1
                yield DroppedExample(
                    id=id, rank=rank, score=None, similarity=float(rows.similarity[at]),
                    lexical=float(rows.lexical[at]) if self.knows_words else None,
                    label=rows.labels[at], posterior=self._votes.get(rows.labels[at]),
                    value=None, tokens=None, reason=reason,
                )  # fmt: skip

    @cached_property
    def _values(self) -> Any:
        return example_values(self.scores)

    @cached_property
    def _votes(self) -> dict[str | None, float]:
        votes = label_votes(self.found.similarity, self.found.labels)
        return {label: vote for label, vote in votes.items() if label is not None}

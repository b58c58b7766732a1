"""A finished prompt, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from promptlib.budget.fit import DropReason
from promptlib.budget.models import CountKind
from promptlib.example import Example
from promptlib.hint import Hint


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An example that was considered, and what the choice knew of it."""

    id: str
    rank: int
    """Among the candidates, 1 for the best."""
    score: float | None
    """The strategy's; None for one that wasn't ranked, or may not be added to those before."""
    similarity: float
    """The cosine with the query."""
    lexical: float | None
    """The BM25 score; None where the strategy doesn't look at words and nothing was to explain."""
    label: str | None
    posterior: float | None
    """The share of its label in the votes of all candidates; None without a label."""
    value: float | None
    """What it is worth to the fit; the best is worth 1."""

    def _facts(self, tokens: int | None, why: str) -> dict[str, Any]:
        numbers = {name: getattr(self, name) for name in Candidate.__dataclass_fields__}
        dear = tokens if tokens else None
        per_token = self.value / dear if self.value is not None and dear is not None else None
        return {**numbers, "tokens": tokens, "value_per_token": per_token, "reason": why}


@dataclass(frozen=True, kw_only=True)
class PromptExample(Candidate):
    """An example that the prompt shows."""

    example: Example
    measure: Callable[[], int] = field(repr=False, compare=False)

    @cached_property
    def tokens(self) -> int:
        """What the example costs by itself: the prompt with it alone, less the one without."""
        return self.measure()

    def __getstate__(self) -> dict[str, Any]:
        # A render can't be pickled, its result can.
        return {**self.__dict__, "measure": partial(int, self.tokens)}

    def to_dict(self) -> dict[str, Any]:
        """Give plain data, without the content: the prompt has that."""
        return self._facts(self.tokens, "kept")


@dataclass(frozen=True, kw_only=True)
class DroppedExample(Candidate):
    """A candidate that the prompt doesn't show, and why."""

    tokens: int | None
    """Its cost, where the choice depended on it or was to be explained."""
    reason: DropReason

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return self._facts(self.tokens, str(self.reason))


@dataclass(frozen=True)
class Prompt:
    """A finished prompt: `tokens <= budget - reserve`, counted on exactly what stands here."""

    text: str
    """The prompt; of a chat template, a transcript to read."""
    messages: list[dict[str, Any]] | None
    """What a chat client takes; None for a text template."""
    tokens: int
    count_kind: CountKind
    budget: int
    reserve: int
    encoding: str
    examples: tuple[PromptExample, ...]
    """In the order of the prompt."""
    crowded: int
    """How many candidates were left out for room."""
    list_dropped: Callable[[], tuple[DroppedExample, ...]] = field(repr=False, compare=False)
    hint: Hint | None
    notes: tuple[str, ...]
    """What the caller should know, a sentence each."""
    manifest: Mapping[str, Any] = field(repr=False)

    @cached_property
    def dropped(self) -> tuple[DroppedExample, ...]:
        """The candidates that aren't shown, by rank; those that weren't ranked come last."""
        return self.list_dropped()

    @property
    def candidates(self) -> list[PromptExample | DroppedExample]:
        """All that were considered, by rank."""
        return sorted([*self.examples, *self.dropped], key=lambda candidate: candidate.rank)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "list_dropped": partial(tuple, self.dropped)}

    def report(self, *, hint: bool = True) -> str:
        """Say in a line what the prompt costs and shows; further lines for notes and hint."""
        lines = [self.summary(), *(f"note: {note}" for note in self.notes)]
        if hint and self.hint is not None:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def summary(self) -> str:
        """Say in one line what the prompt costs and shows."""
        counted = f"{self.encoding}, {self.count_kind}"
        if self.count_kind == "estimate" and self.manifest["margin"]:
            counted += f" with {self.manifest['margin']:.0%} margin"
        elif self.count_kind == "estimate":
            counted += " for tools, calls and parts that aren't text"
        room = f"{self.budget - self.reserve:,}"
        if self.reserve:
            room += f" ({self.budget:,} less {self.reserve:,} reserved)"
        parts = [f"{self.tokens:,} tokens of {room}, {counted}"]
        if self.manifest["store"] is not None:
            shown = len(self.examples)
            noun = "example" if shown == 1 else "examples"
            parts.append(f"{shown} {noun} from {self.manifest['store']['name']}")
            if self.crowded:
                parts.append(f"{self.crowded} of the candidates left out for room")
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain data."""
        return {
            "text": self.text,
            "messages": self.messages,
            "tokens": self.tokens,
            "count_kind": self.count_kind,
            "budget": self.budget,
            "reserve": self.reserve,
            "encoding": self.encoding,
            "examples": [example.to_dict() for example in self.examples],
            "dropped": [example.to_dict() for example in self.dropped],
            "hint": self.hint.to_dict() if self.hint is not None else None,
            "notes": list(self.notes),
            "manifest": dict(self.manifest),
        }

"""A finished prompt, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple

from promptlib.budget.fit import DropReason
from promptlib.budget.models import CountKind
from promptlib.example import Example
from promptlib.hint import Hint


@dataclass(frozen=True)
class PromptExample:
    """An example that the prompt shows."""

    example: Example
    rank: int
    """Among the candidates, 1 for the best."""
    score: float
    """The strategy's."""
    similarity: float
    """The cosine with the query."""
    label: str | None
    measure: Callable[[], int] = field(repr=False, compare=False)

    @cached_property
    def tokens(self) -> int:
        """What the example costs by itself: the prompt with it alone, less the one without."""
        return self.measure()

    def __reduce__(self) -> Any:
        measured = partial(int, self.tokens)  # a render can't be pickled, its result can
        parts = self.example, self.rank, self.score, self.similarity, self.label, measured
        return PromptExample, parts

    def to_dict(self) -> dict[str, Any]:
        """Give plain data, without the content: the prompt has that."""
        return {
            "id": self.example.id,
            "rank": self.rank,
            "score": self.score,
            "similarity": self.similarity,
            "tokens": self.tokens,
            "label": self.label,
        }


class DroppedExample(NamedTuple):
    """A candidate that the prompt doesn't show, and why."""

    id: str
    rank: int
    score: float | None
    """The strategy's; None for a candidate that wasn't ranked."""
    similarity: float
    label: str | None
    tokens: int | None
    """Its cost, where the choice depended on it."""
    reason: DropReason

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return self._asdict() | {"reason": str(self.reason)}


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
    dropped: tuple[DroppedExample, ...]
    hint: Hint | None
    notes: tuple[str, ...]
    """What the caller should know, a sentence each."""
    manifest: Mapping[str, Any] = field(repr=False)

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
            crowded = sum(d.reason is DropReason.OVER_BUDGET for d in self.dropped)
            if crowded:
                parts.append(f"{crowded} of the candidates left out for room")
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

"""A finished prompt, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple, Protocol

from promptlib.budget.fit import DropReason
from promptlib.budget.models import CountKind
from promptlib.example import Example
from promptlib.hint import Hint
from promptlib.manifest import seal
from promptlib.sending import Sendable
from promptlib.stability import StablePrefix


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
class Part:
    """A part of a prompt and what it costs."""

    name: str
    """`fixed`, `static examples`, `section NAME`, `history` or `examples`."""
    tokens: int | None
    """How much shorter the prompt is without it; of `fixed`, what is there without all others.
    None where the template can't be rendered so."""
    left_out: str
    """What of it left for room, in words."""

    def __str__(self) -> str:
        left = f" ({self.left_out} left)" if self.left_out else ""
        return f"{self.name} {'?' if self.tokens is None else f'{self.tokens:,}'}{left}"

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {**vars(self)}


class Told(Protocol):
    """What a prompt tells of its making; each is worked out when it is asked for."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """See Prompt."""

    @property
    def examples(self) -> tuple[PromptExample, ...]:
        """See Prompt."""

    @property
    def dropped(self) -> tuple[DroppedExample, ...]:
        """See Prompt."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """See Prompt."""

    @property
    def stable_prefix(self) -> StablePrefix | None:
        """See Prompt."""

    @property
    def hint(self) -> Hint | None:
        """See Prompt."""


class Known(NamedTuple):
    """The same, worked out already: what can be pickled."""

    settings: Mapping[str, Any]
    examples: tuple[PromptExample, ...]
    dropped: tuple[DroppedExample, ...]
    parts: tuple[Part, ...]
    stable_prefix: StablePrefix | None
    hint: Hint | None


@dataclass(frozen=True)
class Prompt(Sendable):
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
    crowded: int
    """How many candidates were left out for room."""
    static_examples: tuple[Example, ...]
    """Those that every prompt of the template shows."""
    left_sections: tuple[str, ...]
    """Sections that were left out for room."""
    special_tokens: Mapping[str, int]
    """Models' special tokens in inputs, history and examples, and how often each stands there."""
    notes: tuple[str, ...]
    """What the caller should know, a sentence each."""
    told: Told = field(repr=False, compare=False)

    @cached_property
    def settings(self) -> Mapping[str, Any]:  # type: ignore[override]
        """All that its making depended on: what the manifest says."""
        return self.told.settings

    @cached_property
    def examples(self) -> tuple[PromptExample, ...]:
        """Those that are shown, in the order of the prompt."""
        return self.told.examples

    @cached_property
    def hint(self) -> Hint | None:
        """What the store's volume says of training; None without a store, or an empty one."""
        return self.told.hint

    @cached_property
    def dropped(self) -> tuple[DroppedExample, ...]:
        """The candidates that aren't shown, by rank; those that weren't ranked come last."""
        return self.told.dropped

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """What the parts of the prompt cost, and what of them left."""
        return self.told.parts

    @cached_property
    def stable_prefix(self) -> StablePrefix | None:
        """Where the start ends that doesn't depend on the query; None where it can't be told."""
        return self.told.stable_prefix

    @property
    def stable_start(self) -> dict[str, Any] | None:
        """The stable prefix as plain data."""
        return None if self.stable_prefix is None else self.stable_prefix.to_dict()

    def manifest(self, *, inputs: bool = True) -> dict[str, Any]:
        """Give all that it takes to build these bytes again, as plain data; see `Project.replay`.

        Without `inputs`, hashes stand for inputs and history.
        """
        return seal({**self.settings, "stable_prefix": self.stable_start}, inputs=inputs)

    @property
    def candidates(self) -> list[PromptExample | DroppedExample]:
        """All that were considered, by rank."""
        return sorted([*self.examples, *self.dropped], key=lambda candidate: candidate.rank)

    def __getstate__(self) -> dict[str, Any]:
        known = Known(*(getattr(self, name) for name in Known._fields))
        return {**self.__dict__, "told": known}

    def report(self, *, hint: bool = True) -> str:
        """Say in a line what the prompt costs and shows; more lines for parts, notes and hint."""
        lines = [self.summary()]
        if any(self.settings["sections"].values()):
            lines.append(f"parts: {', '.join(map(str, self.parts))}")
        lines += [f"note: {note}" for note in self.notes]
        if hint and self.hint is not None:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def summary(self) -> str:
        """Say in one line what the prompt costs and shows."""
        counted = f"{self.encoding}, {self.count_kind}"
        if self.count_kind == "estimate" and self.settings["margin"]:
            counted += f" with {self.settings['margin']:.0%} margin"
        elif self.count_kind == "estimate":
            counted += " for tools, calls and parts that aren't text"
        room = f"{self.budget - self.reserve:,}"
        if self.reserve:
            room += f" ({self.budget:,} less {self.reserve:,} reserved)"
        parts = [f"{self.tokens:,} tokens of {room}, {counted}"]
        if self.static_examples:
            parts.append(f"{len(self.static_examples)} static examples")
        if self.settings["store"] is not None:
            shown = len(self.examples)
            noun = "example" if shown == 1 else "examples"
            parts.append(f"{shown} {noun} from {self.settings['store']['name']}")
            if self.crowded:
                parts.append(f"{self.crowded} of the candidates left out for room")
        if self.left_sections:
            noun = "section" if len(self.left_sections) == 1 else "sections"
            parts.append(f"{noun} {', '.join(self.left_sections)} left out for room")
        if (stable := self.stable_prefix) is not None:
            parts.append(f"stable prefix {stable.tokens:,} ({stable.share:.0%})")
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
            "static_examples": [example.id for example in self.static_examples],
            "left_sections": list(self.left_sections),
            "stable_prefix": self.stable_start,
            "parts": [part.to_dict() for part in self.parts],
            "special_tokens": dict(self.special_tokens),
            "hint": self.hint.to_dict() if self.hint is not None else None,
            "notes": list(self.notes),
            "manifest": self.manifest(),
        }

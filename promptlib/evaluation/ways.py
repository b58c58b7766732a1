"""A way of choosing examples, and what comes of it for one question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from promptlib.prompt import Prompt
from promptlib.selection.pool import Strategy, Weights
from promptlib.selection.strategies import strategy_name

AMPLE = 10_000_000
"""The budget, in tokens, of those who set none."""


@dataclass(frozen=True)
class Way:
    """One way of choosing examples."""

    strategy: str | Strategy
    k: int
    budget: int | None
    """In tokens; None for one that is never met."""
    weights: Weights = field(default_factory=Weights)
    order: str | None = None
    """In the prompt; None for the settings'."""
    static: int | None = None
    """How many static examples stand before those; None for the template's."""

    @property
    def name(self) -> str:
        """The strategy's name, and what it is told."""
        if not self.k:
            return "zero-shot" if not self.static else "static alone"
        told = [f"{name}={value:g}" for name, value in self.weights.changed().items()]
        told += [self.order] if self.order is not None else []
        told += [f"static={self.static}"] if self.static is not None else []
        return " ".join([strategy_name(self.strategy), *told])

    def __str__(self) -> str:
        limit = "" if self.budget is None else f", {self.budget:,} tokens"
        return f"{self.name}, k {self.k}{limit}"

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        name, weights = strategy_name(self.strategy), self.weights.changed()
        name = name if self.k else "zero-shot" if not self.static else "static alone"
        facts = {"strategy": name, "weights": weights, "k": self.k, "budget": self.budget}
        also = {"order": self.order, "static": self.static}
        return facts | {name: value for name, value in also.items() if value is not None}


@dataclass(frozen=True)
class Built:
    """The prompt of a question, and what can be said of it without a model."""

    prompt: Prompt | None
    """None where it can't be built within the budget."""
    measures: Mapping[str, float]

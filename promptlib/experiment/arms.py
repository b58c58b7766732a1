"""What is compared: a model, a template and a way of choosing examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptlib.evaluation.ways import Way
from promptlib.judging.metrics import Verdict
from promptlib.models.answer import Answer, Ask


@dataclass(frozen=True)
class Arm:
    """One thing that is compared with others."""

    model: str
    """As it was asked for."""
    template: str
    """As it was named: with version or label."""
    way: Way

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {"model": self.model, "template": self.template, **self.way.to_dict()}


@dataclass(frozen=True)
class Trial:
    """One question in one arm: its prompt, and what can be said of it without a model."""

    question: int
    arm: int
    ask: Ask | None
    """None where the prompt can't be built within the budget: that counts as wrong."""
    proxies: Mapping[str, float]
    tokens: int
    blanks: Sequence[Ask] = ()
    """The same prompt with questions that have no content, where answers are calibrated by them."""


@dataclass(frozen=True)
class Judged:
    """A trial that was answered, and how it was judged."""

    trial: Trial
    answer: Answer | None
    """None where the prompt couldn't be built."""
    verdict: Verdict

    @property
    def score(self) -> float:
        """1 right, 0 wrong, or between."""
        return self.verdict.score


Kinds = Counter[str]
"""How often answers were right, and wrong in which way."""

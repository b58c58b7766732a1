"""The factors that the advice weighs (data/advice/factors.toml), and what they make of facts."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from promptlib.advice.facts import TRUST, Fact, Facts
from promptlib.advice.gates import DATA

UNCLEAR = 0.7
"""How much a fact counts whose interval has a threshold inside."""


@dataclass(frozen=True)
class Threshold:
    """A value from which on something is said, and who says it."""

    at: float
    says: str
    source: str


@dataclass(frozen=True)
class Factor:
    """One consideration: the fact that stands for it, and what it speaks for."""

    number: int
    name: str
    fact: str
    unit: str
    thresholds: Sequence[Threshold]
    more: Sequence[str]
    """Answers that values from the threshold on speak for."""
    less: Sequence[str]
    weight: int
    sources: Sequence[str]
    supply: str
    """How to make it known."""
    vary: str | None
    """The fact that is varied to find where the answer flips."""
    range: tuple[float, float]
    phrase: str
    """How a value of `vary` reads, {} standing for the number."""

    def clarity(self, fact: Fact) -> float:
        """Say how much a fact adds to how sure the advice is, from 0 to 1."""
        inside = any(fact.least < threshold.at < fact.most for threshold in self.thresholds)
        return TRUST[fact.source] * (UNCLEAR if inside else 1.0)

    def reached(self, fact: Fact) -> Threshold | None:
        """Find the last threshold that a fact reaches."""
        # Of what may be negative, nothing at all isn't a gain.
        reached = (t for t in reversed(self.thresholds) if fact.value >= t.at and fact.value != 0)
        return next(reached, None)

    def strength(self, fact: Fact) -> str:
        """Say how clearly a fact lies on one side."""
        if self.clarity(fact) < TRUST[fact.source]:
            return "unclear"
        return "clear" if TRUST[fact.source] >= 0.7 else "weak"


@cache
def factors() -> tuple[Factor, ...]:
    """Read the table."""
    rows = tomllib.loads((DATA / "factors.toml").read_text(encoding="utf-8"))["factor"]
    return tuple(map(_factor, rows))


def _factor(row: dict[str, Any]) -> Factor:
    low, high = row.get("range", (0, 0))
    return Factor(
        number=row["number"], name=row["name"], fact=row["fact"], unit=row["unit"],
        thresholds=[Threshold(**each) for each in row["thresholds"]], more=row["more"],
        less=row["less"], weight=row["weight"], sources=row["from"], supply=row["supply"],
        vary=row.get("vary"), range=(float(low), float(high)),
        phrase=row.get("phrase", f"{row['name']} of {{}}"),
    )  # fmt: skip


@dataclass(frozen=True)
class Evidence:
    """One line of evidence: a factor, what is known of it, and what that speaks for."""

    factor: Factor
    fact: Fact
    flip: str
    """The value from which on the advice would be another; "" where none was found."""

    @property
    def threshold(self) -> Threshold:
        """The last one reached, or the first that isn't."""
        return self.factor.reached(self.fact) or self.factor.thresholds[0]

    @property
    def direction(self) -> Sequence[str]:
        """The answers that it speaks for."""
        reached = self.factor.reached(self.fact) is not None
        return self.factor.more if reached else self.factor.less

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "number": self.factor.number,
            "factor": self.factor.name,
            "fact": self.factor.fact,
            **self.fact.to_dict(),
            "unit": self.factor.unit,
            "threshold": self.threshold.at,
            "reached": self.factor.reached(self.fact) is not None,
            "says": self.threshold.says,
            "reference": self.threshold.source,
            "direction": list(self.direction),
            "strength": self.factor.strength(self.fact),
            "flip": self.flip,
        }


@dataclass(frozen=True)
class Missing:
    """A factor that nothing is known of, and how to supply it."""

    factor: Factor
    flip: str
    """What knowing it could change; "" where nothing was found."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        factor = self.factor
        return {
            "number": factor.number, "factor": factor.name, "fact": factor.fact,
            "from": list(factor.sources), "supply": factor.supply, "flip": self.flip,
        }  # fmt: skip


def known(facts: Facts, flips: dict[str, str]) -> tuple[list[Evidence], list[Missing]]:
    """Divide the factors into evidence and what is missing; flips are by name of the fact."""
    evidence, missing = [], []
    for factor in factors():
        flip = flips.get(factor.fact, "")
        fact = facts.get(factor.fact)
        if fact is None:
            missing.append(Missing(factor, flip))
        else:
            evidence.append(Evidence(factor, fact, flip))
    return evidence, missing

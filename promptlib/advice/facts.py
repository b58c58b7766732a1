"""What the advice knows, each fact with its interval and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from promptlib.intervals import Estimate

Source = Literal[
    "measured", "usage", "outcomes", "stand-in", "profile", "prices", "providers", "assumed"
]

TRUST: Mapping[Source, float] = {
    "measured": 1.0, "usage": 1.0, "outcomes": 1.0, "prices": 1.0, "providers": 0.8,
    "profile": 0.7, "stand-in": 0.5, "assumed": 0.3,
}  # fmt: skip
"""How much a fact adds to how sure the advice is, by where it comes from."""


@dataclass(frozen=True)
class Fact:
    """A number, its 95 % interval where it has one, and where it comes from. Flags are 0 and 1."""

    value: float
    source: Source = "measured"
    low: float | None = None
    high: float | None = None
    note: str = ""
    """In what circumstances, for people."""

    @classmethod
    def of(cls, estimate: Estimate, source: Source = "measured", note: str = "") -> Fact:
        """Make a fact of an estimate; one value alone has no interval."""
        if not (isfinite(estimate.low) and isfinite(estimate.high)):
            return cls(estimate.value, source, note=note)
        return cls(estimate.value, source, estimate.low, estimate.high, note)

    @property
    def least(self) -> float:
        """The lower end of the interval, or the value."""
        return self.value if self.low is None else self.low

    @property
    def most(self) -> float:
        """The upper end of the interval, or the value."""
        return self.value if self.high is None else self.high

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {key: value for key, value in vars(self).items() if value not in (None, "")}


Facts = Mapping[str, Fact]
"""By name, as `factors.toml` and `gates.toml` use them; what isn't known isn't there."""


def difference(first: Fact, second: Fact, note: str = "") -> Fact:
    """Subtract facts that were measured apart; intervals add up by their squares."""
    value = first.value - second.value
    down = ((first.value - first.least) ** 2 + (second.most - second.value) ** 2) ** 0.5
    up = ((first.most - first.value) ** 2 + (second.value - second.least) ** 2) ** 0.5
    source = min(first.source, second.source, key=TRUST.__getitem__)
    if first.low is None and second.low is None:
        return Fact(value, source, note=note)
    return Fact(value, source, value - down, value + up, note)

"""The decision: a table of gates (data/advice/gates.toml), read from the top. Pure."""

from __future__ import annotations

import operator
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from promptlib.advice.facts import Fact, Facts

DATA = Path(__file__).resolve().parent.parent / "data" / "advice"

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_CONDITION = re.compile(
    r"(?P<fact>\w+)(?:\.(?P<end>low|high))? "
    r"(?:is unknown|(?P<operator>[<>]=?) (?P<number>-?[\d.]+)(?P<lenient> or unknown)?)"
)


@dataclass(frozen=True)
class Condition:
    """One comparison of a fact with a number."""

    text: str
    fact: str
    end: str | None
    operator: str | None
    """None asks that the fact is unknown."""
    number: float
    lenient: bool
    """Whether it holds when the fact is unknown."""

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read "fact[.low|.high] >= number[ or unknown]", or "fact is unknown"."""
        found = _CONDITION.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} isn't a condition")
        number = float(found["number"] or 0)
        return cls(
            text, found["fact"], found["end"], found["operator"], number, bool(found["lenient"])
        )

    def holds(self, facts: Facts) -> bool:
        """Whether it holds."""
        fact = facts.get(self.fact)
        if fact is None or self.operator is None:
            return fact is None and (self.lenient or self.operator is None)
        return _OPERATORS[self.operator](self._read(fact), self.number)

    def _read(self, fact: Fact) -> float:
        return {"low": fact.least, "high": fact.most}.get(self.end or "", fact.value)


@dataclass(frozen=True)
class Gate:
    """A question; if its conditions hold, its answer is the advice."""

    name: str
    asks: str
    all: tuple[Condition, ...]
    any: tuple[Condition, ...]
    answer: str
    because: str

    def opens(self, facts: Facts) -> bool:
        """Whether the conditions hold."""
        if not all(condition.holds(facts) for condition in self.all):
            return False
        return not self.any or any(condition.holds(facts) for condition in self.any)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All of its conditions."""
        return self.all + self.any


@dataclass(frozen=True)
class Step:
    """A gate on the way to the answer, and how its conditions stood."""

    gate: Gate
    opened: bool
    held: tuple[tuple[Condition, bool], ...]


@cache
def _table() -> Mapping[str, object]:
    return tomllib.loads((DATA / "gates.toml").read_text(encoding="utf-8"))


@cache
def answers() -> Mapping[str, str]:
    """The eight answers: key -> words."""
    found = _table()["answers"]
    assert isinstance(found, dict)
    return found


@cache
def gates() -> tuple[Gate, ...]:
    """The gates, in the order in which they are asked."""
    rows = _table()["gate"]
    assert isinstance(rows, list)
    return tuple(
        Gate(
            row["name"], row["asks"], _parse(row.get("all", ())), _parse(row.get("any", ())),
            row["answer"], row["because"],
        )
        for row in rows
    )  # fmt: skip


def ruled_out(facts: Facts) -> set[str]:
    """Name the answers that can't be given whatever else is known."""
    rows = _table()["ruled_out"]
    assert isinstance(rows, list)
    return {
        answer
        for row in rows
        if Condition.parse(row["when"]).holds(facts)
        for answer in row["answers"]
    }


def decide(facts: Facts) -> Gate:
    """Find the first gate that opens; the last one always does."""
    return next(gate for gate in gates() if gate.opens(facts))


def path(facts: Facts) -> tuple[Step, ...]:
    """List the gates up to the one that opens."""
    steps = []
    for gate in gates():
        held = tuple((condition, condition.holds(facts)) for condition in gate.conditions)
        steps.append(Step(gate, gate.opens(facts), held))
        if steps[-1].opened:
            break
    return tuple(steps)


def _parse(texts: Sequence[str]) -> tuple[Condition, ...]:
    return tuple(map(Condition.parse, texts))

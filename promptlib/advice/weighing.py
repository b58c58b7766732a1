"""How sure the advice is, what comes next best, and what would change it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from promptlib.advice.deriving import derive
from promptlib.advice.factors import Factor, factors
from promptlib.advice.facts import TRUST, Fact, Facts
from promptlib.advice.gates import Gate, answers, decide, gates, ruled_out

Confidence = Literal["low", "medium", "high"]

HIGH, MEDIUM = 0.6, 0.35
"""Shares of all weight from which on the advice is called so sure."""

STEPS = 24
"""Values that are tried on the way to the ends of a factor's range."""


@dataclass(frozen=True)
class Flip:
    """Where the advice would change if one fact alone did."""

    factor: Factor
    at: float
    above: bool
    """Whether it changes from there upwards."""
    answer: str

    def __str__(self) -> str:
        phrase, answer = self.factor.phrase, answers()[self.answer]
        if "{" not in phrase:
            return f"{answer} with{'' if self.above else 'out'} {phrase}"
        number = _round(100 * self.at) + " %" if "{%}" in phrase else _round(self.at)
        value = phrase.replace("{%}", number).replace("{}", number)
        return f"{answer} {'above' if self.above else 'below'} {value}"


def sureness(facts: Facts) -> float:
    """Add up what is known, each factor by its weight and trust: a share of all weight.

    It depends on neither the answer nor the values, so that a missing measurement, or a guess in
    its place, can only lower it.
    """
    total = sum(factor.weight for factor in factors())
    trusted = (
        factor.weight * TRUST[facts[factor.fact].source]
        for factor in factors()
        if factor.fact in facts
    )
    return sum(trusted) / total


def confidence(facts: Facts) -> Confidence:
    """Grade sureness. Without a target, or answers that were judged, there are bounds to it."""
    accuracy = facts.get("accuracy")
    if accuracy is None and facts.get("is_classification", Fact(0)).value < 1:
        return "low"  # nothing stands in for a model that generates
    share, shortfall = sureness(facts), facts.get("shortfall")
    judged = accuracy is not None and accuracy.source in ("outcomes", "usage")
    if share >= HIGH and judged and shortfall is not None:
        is_clear = not shortfall.least < 0 < shortfall.most
        return "high" if is_clear else "medium"
    return "medium" if share >= MEDIUM else "low"


def votes(facts: Facts) -> list[tuple[str, float]]:
    """Let the factors vote for the answers they speak for: (answer, share), the most first."""
    found = dict.fromkeys(answers(), 0.0)
    for factor in factors():
        fact = facts.get(factor.fact)
        if fact is None:
            continue
        chosen = factor.more if factor.reached(fact) is not None else factor.less
        for answer in chosen:
            found[answer] += factor.weight * factor.clarity(fact) / len(chosen)
    total = sum(found.values()) or 1.0
    return sorted(((a, v / total) for a, v in found.items()), key=lambda pair: -pair[1])


def runners_up(facts: Facts, most: int = 2) -> list[Gate]:
    """Ask the table on: the gates that would open if the answers before them were ruled out."""
    found = [decide(facts)]
    for gate in gates():
        new = gate.answer not in {each.answer for each in found}
        if new and gate.opens(facts) and gate.answer not in ruled_out(facts):
            found.append(gate)
    return found[1 : most + 1]


def find_flip(facts: Facts, factor: Factor) -> Flip | None:
    """Vary one fact alone, to both ends of its range, for the nearest other answer.

    `facts` are those measured and told, from which the others are derived anew each time.
    """
    if factor.vary is None:
        return None
    name, present = factor.vary, decide(derive(facts)).answer

    def answer(value: float) -> str:
        return decide(derive({**facts, name: _changed(facts.get(name), value)})).answer

    known = facts.get(name)
    low, high = factor.range
    start = None
    if known is not None:
        start, low, high = known.value, min(low, known.value), max(high, known.value)
    if start is None:
        # Nothing is known: from whichever end the answer is as now.
        ends = [end for end in (low, high) if answer(end) == present]
        if len(ends) != 1:
            return None
        start = ends[0]
    found = [
        flip
        for end in (low, high)
        if end != start and (flip := _towards(answer, present, start, end, factor)) is not None
    ]
    return min(found, key=lambda flip: _distance(start, flip.at), default=None)


def _towards(
    answer: Callable[[float], str], present: str, start: float, end: float, factor: Factor
) -> Flip | None:
    inside = start
    for step in range(1, STEPS + 1):
        outside = _between(start, end, step / STEPS)
        other = answer(outside)
        if other == present:
            inside = outside
            continue
        for _ in range(40):
            middle = (inside + outside) / 2
            if (found := answer(middle)) == present:
                inside = middle
            else:
                outside, other = middle, found
        return Flip(factor, outside, end > start, other)
    return None


def _between(start: float, end: float, share: float) -> float:
    """Go by ratios where a range spans some of them."""
    if min(start, end) > 0 and max(start, end) / min(start, end) > 100:
        return float(start * (end / start) ** share)
    return start + (end - start) * share


def _distance(start: float, at: float) -> float:
    return abs(at - start) / (abs(start) + abs(at) or 1.0)


def _changed(fact: Fact | None, value: float) -> Fact:
    """Move a fact, its interval with it."""
    if fact is None:
        return Fact(value, "profile")
    if fact.low is None or fact.high is None:
        return replace(fact, value=value)
    by = value - fact.value
    return replace(fact, value=value, low=fact.low + by, high=fact.high + by)


def _round(value: float) -> str:
    """Write a number as precisely as advice can be: three digits."""
    if value >= 999.5:
        digits = len(str(round(value))) - 3
        return f"{round(value, -digits):,.0f}"
    return f"{value:.3g}"

"""The economics as people read them: costs of each route, break-even, and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from promptlib.advice.economics import NEEDED, Route, break_even, hit_rate, route
from promptlib.advice.facts import Facts
from promptlib.curation.history import DAYS_A_MONTH

VOLUMES = (100, 1_000, 10_000, 100_000, 1_000_000)
"""Prompts a day that the table is drawn up for, beside the traffic at hand."""

NAMES = {
    "demonstrations": "demonstrations",
    "classifier": "small classifier",
    "fine-tune": "fine-tuned",
    "both": "fine-tuned with demonstrations",
}


@dataclass(frozen=True)
class Economics:
    """What each route costs, as far as it can be worked out."""

    currency: str
    traffic: float | None
    """Prompts a day."""
    horizon_months: float
    hit_rate: float | None
    routes: Sequence[Route]
    """At that traffic, or at a thousand prompts a day where it isn't known."""
    volumes: Mapping[int, Mapping[str, float]]
    """Prompts a day -> route -> cost of the whole horizon."""
    break_even: Mapping[str, float | None]
    """Route -> prompts a day from which it is no dearer than demonstrations; None for never."""
    pays_on: date | None
    """The day on which fine-tuning has paid for itself at the present traffic."""
    latency_of: str
    """What the times are of: answering, or only reading the prompt."""
    latency_ms: Mapping[str, float]
    """Route -> time to answer, where it is known."""
    missing: Mapping[str, Sequence[str]]
    """Route -> facts that its costs can't be told without."""
    rests_on: Sequence[str]
    """Prices and assumptions, a line each, with their dates."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            **vars(self),
            "routes": [each.to_dict() for each in self.routes],
            "volumes": {str(n): dict(costs) for n, costs in self.volumes.items()},
            "break_even": dict(self.break_even),
            "pays_on": self.pays_on.isoformat() if self.pays_on else None,
            "latency_ms": dict(self.latency_ms),
            "missing": {name: list(facts) for name, facts in self.missing.items()},
            "rests_on": list(self.rests_on),
        }


def economics_of(facts: Facts, currency: str, today: date) -> Economics:
    """Draw up the accounts of derived facts."""
    traffic = facts["traffic"].value if "traffic" in facts else None
    months = facts["horizon_months"].value
    possible = [name for name in NEEDED if name != "classifier" or _is_classification(facts)]
    found = [each for name in possible if (each := route(name, facts, traffic or 1_000))]
    names = [each.name for each in found]
    points = sorted({*VOLUMES, *([round(traffic)] if traffic else [])})
    volumes = {
        point: {each.name: each.total(point, months) for each in _routes(names, facts, point)}
        for point in points
    }
    others = [name for name in names if name != "demonstrations"] if found else []
    comparable = others if "demonstrations" in names else []
    return Economics(
        currency=currency,
        traffic=traffic,
        horizon_months=months,
        hit_rate=hit_rate(facts, traffic) if traffic and "cache_read_price" in facts else None,
        routes=found,
        volumes=volumes if names else {},
        break_even={name: break_even(name, facts, months) for name in comparable},
        pays_on=_pays_on(found, traffic, today),
        latency_of="read a prompt" if _is_prefill(facts) else "answer",
        latency_ms=_latency(facts),
        missing={
            name: [need for need in needs if need not in facts]
            for name, needs in NEEDED.items()
            if name in possible and name not in names
        },
        rests_on=_rests_on(facts, today),
    )


def _is_classification(facts: Facts) -> bool:
    return "is_classification" in facts and facts["is_classification"].value >= 1


def _routes(names: Sequence[str], facts: Facts, traffic: float) -> list[Route]:
    return [each for name in names if (each := route(name, facts, traffic))]


def _pays_on(found: Sequence[Route], traffic: float | None, today: date) -> date | None:
    by_name = {each.name: each for each in found}
    shown, trained = by_name.get("demonstrations"), by_name.get("fine-tune")
    if traffic is None or shown is None or trained is None:
        return None
    saved = shown.total(traffic, 1) - (trained.total(traffic, 1) - trained.upfront)
    days = trained.upfront / saved * DAYS_A_MONTH if saved > 0 else 1e9
    return today + timedelta(days=days) if days < 36_500 else None


def _is_prefill(facts: Facts) -> bool:
    return "latency_ms" in facts and facts["latency_ms"].source == "profile"


def _latency(facts: Facts) -> dict[str, float]:
    found = {}
    if "latency_ms" in facts:
        found["demonstrations"] = facts["latency_ms"].value
    if {"zero_shot_tokens", "prefill_ms_per_1000", "prompt_tokens"} <= {*facts}:
        saved = facts["prompt_tokens"].value - facts["zero_shot_tokens"].value
        faster = saved / 1000 * facts["prefill_ms_per_1000"].value
        if "demonstrations" in found:
            found["fine-tune"] = max(0.0, found["demonstrations"] - faster)
    return found


def _rests_on(facts: Facts, today: date) -> list[str]:
    lines = []
    for name in ("input_price", "trained_input_price"):
        if name in facts:
            note = facts[name].note or f"prices from the profile, undated, read on {today}"
            lines.append(note)
    if "cache_minimum" in facts and facts["cache_minimum"].note:
        lines.append(facts["cache_minimum"].note)
    if "training_price" in facts and "training_epochs" not in facts:
        lines.append("3 epochs of training, assumed")
    if "retrains" in facts and facts["retrains"].source == "assumed":
        lines.append("trained again for each tenth of the labels that changes, assumed")
    if facts["horizon_months"].source == "assumed":
        lines.append(f"costs over {facts['horizon_months'].value:.0f} months, assumed")
    if "cache_read_price" in facts and "cache_hit_rate" not in facts and "traffic" in facts:
        lines.append("hit rate of the cache from traffic at even pace, assumed")
    return list(dict.fromkeys(lines))

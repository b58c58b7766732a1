"""What demonstrations cost beside what would replace them. Pure: facts in, sums out.

A prompt with demonstrations pays for its tokens, of which the prefix that never changes may be
cached; a trained model pays for shorter prompts, and for training, people and hosting whether it is
asked or not. Money is in the profile's currency, prices are per million tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp
from typing import Any

from promptlib.advice.facts import Fact, Facts
from promptlib.curation.history import DAYS_A_MONTH

HOURS_A_MONTH = 24 * DAYS_A_MONTH
MOST_TRAFFIC = 1e9
"""Prompts a day beyond which nobody's break-even lies."""

UNKNOWN_HIT_RATE = 0.5
EPOCHS = 3.0
"""Of training, unless the profile says."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "demonstrations": ("input_price", "output_price", "prompt_tokens", "output_tokens"),
    "fine-tune": (
        "trained_input_price", "trained_output_price", "zero_shot_tokens", "output_tokens",
        "engineer_hours", "engineer_hour", "training_price",
    ),
    "both": (
        "trained_input_price", "trained_output_price", "prompt_tokens", "output_tokens",
        "engineer_hours", "engineer_hour", "training_price",
    ),
    "classifier": ("classifier_hours", "engineer_hour"),
}  # fmt: skip
"""Route -> the facts that its costs can't be told without."""


@dataclass(frozen=True)
class Route:
    """What one way of answering costs."""

    name: str
    upfront: float
    a_month: float
    """Whatever the traffic: hosting, retraining."""
    a_prompt: float
    """At the traffic at hand."""

    def total(self, prompts_a_day: float, months: float) -> float:
        """Add up all costs of so many months."""
        prompts = prompts_a_day * DAYS_A_MONTH * months
        return self.upfront + self.a_month * months + self.a_prompt * prompts

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return dict(vars(self))


def hit_rate(facts: Facts, prompts_a_day: float) -> float:
    """Say how often a cached prefix is still there: given, or by traffic at even pace.

    1 - exp(-rate * time to live), for arrivals at random. Prefixes below the provider's minimum
    are never cached.
    """
    if "cache_read_price" not in facts or "cacheable_tokens" not in facts:
        return 0.0
    if facts["cacheable_tokens"].value < _value(facts, "cache_minimum"):
        return 0.0
    if "cache_hit_rate" in facts:
        return facts["cache_hit_rate"].value
    return 1 - exp(-prompts_a_day / 1440 * _value(facts, "cache_minutes", 5.0))


def route(name: str, facts: Facts, prompts_a_day: float) -> Route | None:
    """Work out the costs of a route; None when facts are missing."""
    if any(need not in facts for need in NEEDED[name]):
        return None
    if name == "demonstrations":
        return Route(name, 0.0, 0.0, _with_demonstrations(facts, prompts_a_day))
    wage, a_year = facts["engineer_hour"].value, _value(facts, "retrains") / 12
    if name == "classifier":
        hours = facts["classifier_hours"].value
        again = _value(facts, "retrain_hours") * wage
        return Route(name, hours * wage, again * a_year, 0.0)
    tokens = facts["prompt_tokens" if name == "both" else "zero_shot_tokens"].value
    training = training_fee(facts, tokens)
    labels = _value(facts, "labels_needed") * _value(facts, "label_price")
    upfront = training + labels + facts["engineer_hours"].value * wage
    again = training + _value(facts, "retrain_hours") * wage
    hosting = _value(facts, "hosting_per_hour") * HOURS_A_MONTH
    a_prompt = (
        tokens * facts["trained_input_price"].value
        + facts["output_tokens"].value * facts["trained_output_price"].value
    ) / 1e6
    return Route(name, upfront, hosting + again * a_year, a_prompt)


def training_fee(facts: Facts, prompt_tokens: float) -> float:
    """Price one training: rows x tokens x epochs."""
    tokens = prompt_tokens + _value(facts, "output_tokens")
    rows = _value(facts, "effective_rows") * _value(facts, "training_epochs", EPOCHS)
    return rows * tokens * facts["training_price"].value / 1e6


def break_even(name: str, facts: Facts, months: float) -> float | None:
    """Find the least traffic, in prompts a day, at which a route is no dearer; None for never.

    Cached prefixes are found as often as at the present traffic, or half the time where that isn't
    known: otherwise cheaper prompts at more traffic could turn the answer back again.
    """
    traffic = facts["traffic"].value if "traffic" in facts else 0.0
    if "traffic" not in facts and "cache_hit_rate" not in facts:
        facts = {**facts, "cache_hit_rate": Fact(UNKNOWN_HIT_RATE, "assumed")}
    ours, theirs = (route(each, facts, traffic) for each in ("demonstrations", name))
    assert ours is not None and theirs is not None
    saved = (ours.a_prompt - theirs.a_prompt) * DAYS_A_MONTH * months
    spent = theirs.total(0, months)
    if spent <= 0:
        return 0.0 if saved >= 0 else None
    return spent / saved if saved * MOST_TRAFFIC > spent else None


def _with_demonstrations(facts: Facts, prompts_a_day: float) -> float:
    price, rate = facts["input_price"].value, hit_rate(facts, prompts_a_day)
    cost = facts["prompt_tokens"].value * price
    if rate:
        prefix = min(facts["prompt_tokens"].value, facts["cacheable_tokens"].value)
        read, write = facts["cache_read_price"].value, _value(facts, "cache_write_price", price)
        # Whoever pays more for writing to a cache than reading saves leaves it.
        cost += prefix * min(0.0, rate * read + (1 - rate) * write - price)
    return (cost + facts["output_tokens"].value * facts["output_price"].value) / 1e6


def _value(facts: Facts, name: str, otherwise: float = 0.0) -> float:
    return facts[name].value if name in facts else otherwise

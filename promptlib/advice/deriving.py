"""From what is measured and told to what the gates ask: differences, ratios, sums. Pure."""

from __future__ import annotations

from dataclasses import replace

from promptlib.advice.economics import Route, break_even, route
from promptlib.advice.facts import TRUST, Fact, Facts, Source, difference

HORIZON_MONTHS = 12.0
"""How far costs are added up unless the profile says."""

NO_WORSE = 0.02
"""A classifier may be two points below demonstrations where no target says what is enough."""

LABELS_PER_RETRAIN = 0.1
"""Once so many of its labels have changed a model is trained again."""


def derive(facts: Facts) -> dict[str, Fact]:
    """Add what follows from facts; what can't be worked out isn't there."""
    found = dict(facts)
    found.setdefault("horizon_months", Fact(HORIZON_MONTHS, "assumed"))
    _accuracy(found)
    _money(found)
    _time(found)
    return found


def with_break_even(facts: Facts) -> dict[str, Fact]:
    """Add the break-even volume of fine-tuning to derived facts, where it can be told."""
    found = dict(facts)
    needed = route("demonstrations", facts, 1), route("fine-tune", facts, 1)
    if None in needed:
        return found
    volume = break_even("fine-tune", facts, facts["horizon_months"].value)
    source = _source(facts, "engineer_hours", "trained_input_price")
    if volume is not None:
        found["break_even"] = Fact(volume, source)
    if "traffic" in facts:
        share = facts["traffic"].value / volume if volume else 0.0
        note = f"break-even at {volume:,.0f} prompts a day" if volume else "never breaks even"
        found["traffic_share"] = Fact(share, source, note=note)
    return found


def _accuracy(found: dict[str, Fact]) -> None:
    shown = found.get("accuracy") or found.get("vote_accuracy")
    if shown is not None:
        found["shown_accuracy"] = shown
        if "target" in found:
            found["shortfall"] = difference(found["target"], shown)
    # A pilot's outcomes say more than stand-ins do; stand-ins are compared with each other only.
    if "trained_accuracy" in found and "accuracy" in found:
        found["headroom"] = difference(found["trained_accuracy"], found["accuracy"])
    elif "probe_over_vote" in found:
        found["headroom"] = found["probe_over_vote"]
    if "zero_shot" in found and "accuracy" in found:
        found["few_shot_gain"] = difference(found["accuracy"], found["zero_shot"])
        found["zero_shot_gain"] = difference(found["zero_shot"], found["accuracy"])
    elif "vote_over_majority" in found:
        found["few_shot_gain"] = found["vote_over_majority"]
    spread = [found[n] for n in ("zero_shot", "shown_accuracy", "probe_accuracy") if n in found]
    if len(spread) > 1 and "complexity" in found:
        values = [fact.value for fact in spread]
        note = f"accuracies without, with examples and trained differ by {_points(values)}"
        found["complexity"] = replace(
            found["complexity"], note=f"{found['complexity'].note}; {note}"
        )
    if "probe_accuracy" in found:
        if "target" in found:
            found["probe_gap"] = difference(found["probe_accuracy"], found["target"])
        elif "accuracy" in found:
            gap = difference(found["probe_accuracy"], found["accuracy"])
            found["probe_gap"] = _shifted(gap, NO_WORSE)
        elif "probe_over_vote" in found:
            found["probe_gap"] = _shifted(found["probe_over_vote"], NO_WORSE)


def _money(found: dict[str, Fact]) -> None:
    if "retrains_per_year" in found:
        found["retrains"] = found["retrains_per_year"]
    elif "label_churn" in found:
        churn = found["label_churn"]
        found["retrains"] = Fact(12 * churn.value / LABELS_PER_RETRAIN, "assumed")
    if {"prompt_tokens", "zero_shot_tokens", "input_price", "output_price", "output_tokens"} <= {
        *found
    }:
        found["demo_share_of_bill"] = Fact(_share_of_examples(found), "prices")
    if "input_price" in found and found.get("trained_input_price", Fact(0)).value > 0:
        ratio = found["input_price"].value / found["trained_input_price"].value
        found["price_ratio"] = Fact(ratio, found["trained_input_price"].source)
    trained = route("fine-tune", found, 1)
    if trained is not None and "budget" in found:
        months = found["horizon_months"].value
        spent = trained.upfront + trained.a_month * months
        found["budget_excess"] = Fact(spent - found["budget"].value, "profile")
    if "traffic" not in found:
        return
    shown = route("demonstrations", found, found["traffic"].value)
    if shown is None:
        return
    for name, key in (("fine-tune", "cost_ratio"), ("classifier", "classifier_cost_ratio")):
        other = route(name, found, found["traffic"].value)
        if other is not None:
            _compare(found, shown, other, key)
    if "classifier_cost_ratio" in found and "probe_gap" in found:
        pays = found["classifier_cost_ratio"].value >= 1 and found["probe_gap"].least >= 0
        found["classifier_pays"] = Fact(float(pays), found["probe_gap"].source)


def _compare(found: dict[str, Fact], shown: Route, other: Route, key: str) -> None:
    traffic, months = found["traffic"].value, found["horizon_months"].value
    ours, theirs = shown.total(traffic, months), other.total(traffic, months)
    source = _source(found, "traffic", "engineer_hour")
    found[key] = Fact(ours / theirs if theirs else float(ours > 0) * 1e6, source)
    saved = shown.total(traffic, 1) - (other.total(traffic, 1) - other.upfront)
    if key == "cost_ratio" and saved > 0:
        found["payback_months"] = Fact(other.upfront / saved, source)


def _time(found: dict[str, Fact]) -> None:
    if "latency_ms" not in found and {"prompt_tokens", "prefill_ms_per_1000"} <= {*found}:
        speed = found["prefill_ms_per_1000"]
        found["latency_ms"] = Fact(
            found["prompt_tokens"].value / 1000 * speed.value, speed.source,
            note="time to read the prompt alone",
        )  # fmt: skip
    if "latency_ms" in found and "latency_limit_ms" in found:
        took, limit = found["latency_ms"], found["latency_limit_ms"]
        note = f"{took.value:,.0f} ms, {limit.value:,.0f} ms allowed"
        found["latency_excess"] = difference(took, limit, note)


def _share_of_examples(found: Facts) -> float:
    """What the examples cost of a prompt without caching."""
    tokens, price = found["prompt_tokens"].value, found["input_price"].value
    answer = found["output_tokens"].value * found["output_price"].value
    examples = max(0.0, tokens - found["zero_shot_tokens"].value) * price
    whole = tokens * price + answer
    return examples / whole if whole else 0.0


def _points(values: list[float]) -> str:
    return f"{100 * (max(values) - min(values)):.1f} points"


def _shifted(fact: Fact, by: float) -> Fact:
    return replace(fact, value=fact.value + by, low=fact.least + by, high=fact.most + by)


def _source(facts: Facts, *names: str) -> Source:
    return min((facts[name].source for name in names if name in facts), key=TRUST.__getitem__)

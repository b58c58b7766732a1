"""From what is measured and told to what the gates ask: differences, ratios, sums. Pure."""

from __future__ import annotations

from dataclasses import replace

from promptlib.advice.economics import NEEDED, Route, break_even, route
from promptlib.advice.facts import TRUST, Fact, Facts, Source, difference

HORIZON_MONTHS = 12.0
"""How far costs are added up unless the profile says."""

NO_WORSE = 0.02
"""A classifier may be two points below demonstrations where no target says what is enough."""

NEVER = 1e6
"""Stands for "never" among months, and for any multiple too large to matter."""

TAKEN_FOR_GRANTED = ("horizon_months", "retrains", "hosting_per_hour")
"""Facts of the costs that have a default: a year, no other training, no hosting."""

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
    source = _source(facts, "fine-tune")
    if volume is not None:
        found["break_even"] = Fact(volume, source)
    if "traffic" in facts:
        share = 0.0 if volume is None else min(NEVER, facts["traffic"].value / max(volume, 1e-9))
        note = "never breaks even" if volume is None else f"break-even at {volume:,.0f} a day"
        found["traffic_share"] = Fact(share, source, note=note)
    return found


def _accuracy(found: dict[str, Fact]) -> None:
    known = found.get
    shown = _surest(known("accuracy"), known("vote_accuracy"))
    if shown is not None:
        found["shown_accuracy"] = shown
        if "target" in found:
            found["shortfall"] = difference(found["target"], shown)
    # A pilot's outcomes say more than stand-ins do; stand-ins are compared with each other only.
    over_shown = _difference(found, "trained_accuracy", "accuracy")
    if headroom := _surest(over_shown, known("probe_over_vote")):
        found["headroom"] = headroom
    over_none = _difference(found, "accuracy", "zero_shot")
    if gain := _surest(over_none, known("vote_over_majority")):
        found["few_shot_gain"] = gain
    if none_over_shown := _difference(found, "zero_shot", "accuracy"):
        found["zero_shot_gain"] = none_over_shown
    spread = [found[n] for n in ("zero_shot", "shown_accuracy", "probe_accuracy") if n in found]
    if len(spread) > 1 and "complexity" in found:
        values = [fact.value for fact in spread]
        note = f"accuracies without, with examples and trained differ by {_points(values)}"
        found["complexity"] = replace(
            found["complexity"], note=f"{found['complexity'].note}; {note}"
        )
    if "probe_accuracy" in found:
        over = _difference(found, "probe_accuracy", "accuracy"), known("probe_over_vote")
        no_worse = (_shifted(fact, NO_WORSE) for fact in over if fact is not None)
        if gap := _surest(_difference(found, "probe_accuracy", "target"), *no_worse):
            found["probe_gap"] = gap


def _difference(found: Facts, one: str, other: str) -> Fact | None:
    return difference(found[one], found[other]) if {one, other} <= {*found} else None


def _surest(*facts: Fact | None) -> Fact | None:
    """Choose the fact that is trusted most, of equals the first: a guess replaces nothing."""
    known = [fact for fact in facts if fact is not None]
    return max(known, key=lambda fact: TRUST[fact.source], default=None)


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
    source = _source(found, other.name)
    found[key] = Fact(min(NEVER, ours / theirs) if theirs else NEVER, source)
    if key == "cost_ratio":
        saved = shown.total(traffic, 1) - (other.total(traffic, 1) - other.upfront)
        back = min(NEVER, other.upfront / saved) if saved > 0 else NEVER
        note = "never paid back" if back == NEVER else ""
        found["payback_months"] = Fact(back, source, note=note)


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
    note = f"over demonstrations, {100 * by:.0f} points allowed for; {fact.note}".removesuffix("; ")
    return replace(fact, value=fact.value + by, low=fact.least + by, high=fact.most + by, note=note)


def _source(facts: Facts, name: str) -> Source:
    """Name the weakest source that a comparison with demonstrations rests on.

    What is taken for granted because nobody has told counts as assumed.
    """
    names = {"traffic", *NEEDED["demonstrations"], *NEEDED[name], *TAKEN_FOR_GRANTED}
    sources = [facts[each].source if each in facts else "assumed" for each in names]
    return min(sources, key=TRUST.__getitem__)

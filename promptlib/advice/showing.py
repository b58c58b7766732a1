"""Advice as lines and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promptlib.advice.accounts import NAMES, Economics
from promptlib.advice.factors import Evidence, Missing, factors
from promptlib.advice.gates import answers
from promptlib.advice.session import Advice
from promptlib.advice.standins import LIKENESS
from promptlib.learning.curves import Curve

ABOUT = "what that is"


def headline(advice: Advice) -> list[str]:
    """Say in a few lines what to do, why, and how sure that is."""
    known = f"{advice.sureness:.0%} of the weight of all evidence is known"
    measured = f"with template {advice.template}" if advice.template else "as plain text"
    lines = [
        f"{advice.store}: {advice.title}, since {advice.because}",
        f"confidence: {advice.confidence}; {known}; prompts were measured {measured}",
    ]
    if advice.notes:
        lines.append(f"note: {'; '.join(advice.notes)}")
    if advice.runners_up:
        shares = dict(advice.votes)
        next_best = (
            f"{answers()[gate.answer]} ({shares[gate.answer]:.0%} of the evidence speaks for it)"
            for gate in advice.runners_up
        )
        lines.append(f"if not that: {'; or '.join(next_best)}")
    return lines


def evidence_table(advice: Advice) -> tuple[list[str], list[list[Any]]]:
    """Give heads and rows of the evidence; the last column may be cut."""
    heads = ["factor", "value", "95 %", "threshold", "speaks for", "how clearly", "from", ABOUT]
    return heads, [_evidence_row(each) for each in advice.evidence]


def changes(advice: Advice) -> list[str]:
    """List what would change the advice, a line each."""
    lines: Sequence[Evidence | Missing] = [*advice.evidence, *advice.missing]
    return list(dict.fromkeys(each.flip for each in lines if each.flip))


def missing_table(advice: Advice) -> tuple[list[str], list[list[Any]]]:
    """Give heads and rows of what isn't known; what could change the advice comes first."""
    rows = sorted(advice.missing, key=lambda each: (not each.flip, -each.factor.weight))
    return ["not known", "could change the advice", "how to supply it"], [
        [each.factor.name, _could_change(each), each.factor.supply] for each in rows
    ]


def wanted_table(advice: Advice) -> tuple[list[str], list[list[Any]]]:
    """Give heads and rows of the examples that are wanted: of each thin class, or in all."""
    if advice.thin_classes:
        return ["class", "examples wanted"], [list(item) for item in advice.thin_classes.items()]
    factor = next(each for each in factors() if each.fact == "effective_rows")
    there = advice.facts["effective_rows"].value
    return ["examples wanted", "for"], [
        [round(step.at - there), f"{step.says} ({step.source})"]
        for step in factor.thresholds
        if step.at > there
    ]


def _could_change(each: Missing) -> str:
    if each.flip:
        return "yes"
    vary = each.factor.vary
    return "with others" if vary is not None and vary != each.factor.fact else ""


def cost_table(economics: Economics) -> tuple[list[str], list[list[Any]]]:
    """Give heads and rows of what each route costs over the horizon, by prompts a day."""
    points = list(economics.volumes)
    heads = ["route", "up front", "a month", "1,000 prompts", "break-even a day"]
    rows: list[list[Any]] = []
    for each in economics.routes:
        even: Any = economics.break_even.get(each.name, "")
        even = "never" if even is None else f"{even:,.0f}" if even != "" else ""
        totals = [f"{economics.volumes[point][each.name]:,.0f}" for point in points]
        rows.append([
            NAMES[each.name], f"{each.upfront:,.0f}", f"{each.a_month:,.0f}",
            f"{1000 * each.a_prompt:,.3f}", even, *totals,
        ])  # fmt: skip
    return [*heads, *(f"{point:,} a day" for point in points)], rows


def cost_notes(economics: Economics) -> list[str]:
    """Say what the costs rest on, and what couldn't be worked out."""
    lines = [
        "; ".join(
            [
                f"{economics.currency}, totals over {economics.horizon_months:g} months",
                *economics.rests_on,
            ]
        )
    ]
    if economics.hit_rate == 0:
        lines.append("what prompts have in common at their start is too short to be cached")
    elif economics.hit_rate is not None:
        lines.append(f"cached prefixes are found {economics.hit_rate:.0%} of the time")
    if economics.pays_on is not None:
        lines.append(f"fine-tuning has paid for itself on {economics.pays_on} at this traffic")
    for name, time in economics.latency_ms.items():
        lines.append(f"time to {economics.latency_of}, {NAMES[name]}: {time:,.0f} ms")
    for name, needs in economics.missing.items():
        lines.append(f"{NAMES[name]}: not known without {', '.join(needs)}")
    return lines


def curve_table(curves: Sequence[Curve]) -> tuple[list[str], list[list[Any]]]:
    """Give heads and rows of measured and expected accuracy."""
    heads = ["curve", "examples", "value", "95 %"]
    rows: list[list[Any]] = []
    for curve in curves:
        for size, point in zip(curve.sizes, curve.points, strict=True):
            rows.append([curve.name, size, point.value, f"{point.low:.3f} to {point.high:.3f}"])
        for band in curve.ahead:
            between = f"{band.low:.3f} to {band.high:.3f} (80 %)"
            rows.append([f"{curve.name}, expected", band.rows, band.value, between])
    return heads, rows


def curve_notes(curves: Sequence[Curve]) -> list[str]:
    """Say what each curve means."""
    likeness = any(curve.name == LIKENESS for curve in curves)
    unknown = ["a language model's accuracy: not measured; likeness says that there is a pattern"]
    return (unknown if likeness else []) + [
        f"{curve.name}: {curve.shape}; the last doubling brought {curve.doubling.value:+.3f} "
        f"({curve.doubling.low:+.3f} to {curve.doubling.high:+.3f}): more examples "
        + ("still bring a point and more" if curve.pays else "don't clearly bring a point")
        for curve in curves
    ]


def quality_table(advice: Advice) -> tuple[list[str], list[list[Any]]]:
    """Give heads and rows of the five criteria."""
    heads = ["criterion", "grade", "value", "95 %", "rows to look at", "meaning"]
    rows: list[list[Any]] = []
    for each in advice.quality:
        score = each.score
        between = f"{score.low:.3f} to {score.high:.3f}" if score else ""
        meaning = f"needs {each.missing}" if each.missing else f"{each.meaning}; {each.thresholds}"
        rows.append([
            each.name, each.grade or "not known", score.value if score else None, between,
            len(each.affected), meaning,
        ])  # fmt: skip
    return heads, rows


def value_text(value: float, unit: str) -> str:
    """Write a value in its unit."""
    if unit in ("share", "share a month"):
        return f"{100 * value:.1f} %" + (" a month" if unit == "share a month" else "")
    if unit == "yes or no":
        return "yes" if value >= 0.5 else "no"
    if unit == "times":
        return f"{value:,.3g} x" if value < 1000 else f"{value:,.0f} x"
    if unit == "AUC":
        return f"{value:.3f}"
    number = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.3g}"
    return f"{number} {unit.removesuffix('s') if value == 1 and unit != 'ms' else unit}"


def _evidence_row(each: Evidence) -> list[Any]:
    fact, unit = each.fact, each.factor.unit
    between = ""
    if fact.low is not None and fact.high is not None:
        between = f"{value_text(fact.low, unit)} to {value_text(fact.high, unit)}"
    reached = each.factor.reached(fact) is not None
    threshold = each.threshold
    about = f"{threshold.says} ({threshold.source})"
    about = about if reached else f"from the threshold on: {about}"
    return [
        each.factor.name, value_text(fact.value, unit), between,
        f"{'from' if reached else 'below'} {value_text(threshold.at, unit)}",
        ", ".join(each.direction), each.factor.strength(fact), fact.source,
        f"{fact.note}; {about}" if fact.note else about,
    ]  # fmt: skip


def comparison_table(
    names: Sequence[str], found: Sequence[Advice]
) -> tuple[list[str], list[list[Any]]]:
    """Put pieces of advice abreast: the answer, and every factor that differs."""
    rows: list[list[Any]] = [
        ["advice", *(advice.title for advice in found)],
        ["since", *(advice.because for advice in found)],
        ["confidence", *(advice.confidence for advice in found)],
    ]
    by_factor = [{each.factor.name: _evidence_row(each)[1] for each in a.evidence} for a in found]
    for name in dict.fromkeys(name for each in by_factor for name in each):
        values = [each.get(name, "not known") for each in by_factor]
        if len({*values}) > 1:
            rows.append([name, *values])
    for route in NAMES:
        totals = [_total(advice.economics, route) for advice in found]
        if any(totals):
            rows.append([f"cost of {NAMES[route]}", *totals])
    return ["", *names], rows


def _total(economics: Economics, route: str) -> str:
    if economics.traffic is None:
        return ""
    costs = economics.volumes.get(round(economics.traffic), {})
    return f"{costs[route]:,.0f} {economics.currency}" if route in costs else ""


def factor_table() -> str:
    """Write the factors as a Markdown table: what each is, and where its value comes from."""
    lines = ["| | factor | speaks for, from the threshold on | threshold | comes from |",
             "| --- | --- | --- | --- | --- |"]  # fmt: skip
    for factor in factors():
        steps = ", ".join(value_text(step.at, factor.unit) for step in factor.thresholds)
        speaks, comes = ", ".join(factor.more), ", ".join(factor.sources)
        lines.append(f"| {factor.number} | {factor.name} | {speaks} | {steps} | {comes} |")
    return "\n".join(lines) + "\n"

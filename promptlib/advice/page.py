"""Advice as one HTML page with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promptlib.advice.accounts import NAMES, Economics
from promptlib.advice.session import Advice
from promptlib.advice.showing import (
    changes,
    cost_notes,
    cost_table,
    curve_notes,
    curve_table,
    evidence_table,
    headline,
    missing_table,
    quality_table,
    wanted_table,
)
from promptlib.finetune.providers import checked, offer_rows
from promptlib.learning.curves import Curve
from promptlib.reporting.page import Section, make_page
from promptlib.reporting.pictures import Line, draw_lines


def page_of(advice: Advice) -> str:
    """Write everything as one HTML page; raises MissingDependencyError without matplotlib."""
    sections = [
        Section("What to do next", [f"{step.says}: {step.command}" for step in advice.next_steps]),
        Section("Evidence", (), "", *_with_flips(advice)),
        Section("What would change the advice", changes(advice) or ["nothing that was tried"]),
        Section("What is not known", (), "", *missing_table(advice)),
    ]
    if advice.recommendation == "collect":
        sections.insert(1, Section("Examples that are wanted", (), "", *wanted_table(advice)))
    if advice.economics.routes:
        sections.append(
            Section(
                "What it costs", cost_notes(advice.economics), _cost_picture(advice.economics),
                *cost_table(advice.economics),
            )
        )  # fmt: skip
    if advice.curves:
        notes = [*curve_notes(advice.curves), *advice.limits]
        picture = _curve_picture(advice.curves)
        sections.append(Section("Learning curves", notes, picture, *curve_table(advice.curves)))
    sections += [
        Section("Quality of the examples", (), "", *quality_table(advice)),
        Section("Risks", [f"{risk.name}: {risk.says}" for risk in advice.risks]),
        Section(f"Who trains models, as of {checked()}", (), "", *offer_rows()),
    ]
    return make_page(
        f"{advice.store}: {advice.title}", lead=headline(advice)[1:], sections=sections
    )


def _with_flips(advice: Advice) -> tuple[list[str], list[list[Any]]]:
    heads, rows = evidence_table(advice)
    flips = [each.flip for each in advice.evidence]
    return [*heads, "would change to"], [
        [*row, flip] for row, flip in zip(rows, flips, strict=True)
    ]


def _cost_picture(economics: Economics) -> str:
    points = list(economics.volumes)
    lines = [
        Line(NAMES[each.name], points, [economics.volumes[p][each.name] for p in points])
        for each in economics.routes
    ]
    return draw_lines(
        lines, title="What it costs, by traffic", x="prompts a day",
        y=f"{economics.currency} over {economics.horizon_months:g} months", form="svg",
        log_x=True, log_y=True,
    ).decode()  # fmt: skip


def _curve_picture(curves: Sequence[Curve]) -> str:
    lines = []
    for curve in curves:
        lines.append(
            Line(
                curve.name, curve.sizes, [point.value for point in curve.points],
                [point.low for point in curve.points], [point.high for point in curve.points],
            )
        )  # fmt: skip
        if curve.ahead:
            lines.append(
                Line(
                    f"{curve.name}, expected", [band.rows for band in curve.ahead],
                    [band.value for band in curve.ahead], [band.low for band in curve.ahead],
                    [band.high for band in curve.ahead], dashed=True,
                )
            )  # fmt: skip
    return draw_lines(
        lines, title="How it grows with examples", x="examples", y="accuracy, or likeness",
        form="svg", log_x=True,
    ).decode()  # fmt: skip

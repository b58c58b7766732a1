"""An evaluation as a table, a picture and a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promptlib.evaluation.measures import MEASURES
from promptlib.evaluation.session import Evaluation, Outcome
from promptlib.reporting.page import Section, make_page
from promptlib.reporting.pictures import Point, draw_points

HEADS = {
    "label_hit": "label hit",
    "vote_accuracy": "vote acc.",
    "ndcg": "nDCG",
    "label_coverage": "labels",
    "output_similarity": "output sim.",
    "word_coverage": "words",
    "redundancy": "redundancy",
    "examples": "shown",
    "tokens": "tokens",
    "budget_use": "use",
    "failed": "failed",
    "latency_ms": "ms",
}
"""Measure -> the head of its column."""


def table_of(outcomes: Sequence[Outcome], main: str) -> tuple[list[str], list[list[Any]]]:
    """Give the heads and rows of a table; `main` is the yardstick, with interval and difference.

    Measures that are defined nowhere are left out.
    """
    known = [name for name in MEASURES if any(name in each.estimates for each in outcomes)]
    if not any(each.estimates["failed"].value for each in outcomes):
        known.remove("failed")
    heads = ["strategy", "k", "budget"]
    for name in known:
        heads.append(HEADS[name])
        if name == main:
            heads += ["95 %", "against first", "p"]
    return heads, [_row(outcome, known, main) for outcome in outcomes]


def picture_of(evaluation: Evaluation, form: str = "png") -> bytes:
    """Draw the yardstick against tokens, as "png" or "svg"; raises MissingDependencyError."""
    main = evaluation.yardstick
    points = []
    for outcome in evaluation.outcomes:
        if "tokens" not in outcome.estimates:
            continue  # none of its prompts can be built
        found, way = outcome.estimates[main], outcome.way
        note = f"k {way.k}" + (f", {way.budget:,}" if way.budget is not None else "")
        tokens = outcome.estimates["tokens"].value
        points.append(Point(outcome.way.name, tokens, found.value, found.low, found.high, note))
    return draw_points(
        points, title=f"{_title(evaluation)}, {evaluation.source}", x="tokens of the prompt, mean",
        y=f"{main.replace('_', ' ')}, with 95 % interval", form=form,
    )  # fmt: skip


def page_of(evaluation: Evaluation) -> str:
    """Write everything as one HTML page; raises MissingDependencyError without matplotlib."""
    heads, rows = table_of(evaluation.outcomes, evaluation.yardstick)
    return make_page(
        f"Choosing examples: {_title(evaluation)}",
        lead=[f"Measured on {evaluation.source}.", f"To keep in mind: {evaluation.note}."],
        sections=[
            Section(picture=picture_of(evaluation, "svg").decode(), columns=heads, rows=rows)
        ],
        meanings={head: meaning for head, meaning in _meanings().items() if head in heads},
    )  # fmt: skip


def _meanings() -> dict[str, str]:
    return {
        "k": "most examples that may be shown",
        "budget": "most tokens that the prompt may have, less the reserve",
        **{HEADS[name]: meaning for name, meaning in MEASURES.items()},
        "95 %": "bootstrap interval of the column before it",
        "against first": "difference to the first row on the same queries, with its interval",
        "p": "how likely such a difference is if there is none: McNemar's test, or Student's",
    }


def _row(outcome: Outcome, known: list[str], main: str) -> list[Any]:
    row: list[Any] = [outcome.way.name, outcome.way.k, outcome.way.budget]
    for name in known:
        found = outcome.estimates.get(name)
        row.append(None if found is None else found.value)
        if name != main:
            continue
        row.append(None if found is None else f"{found.low:.3f} to {found.high:.3f}")
        delta = outcome.against_first.get(main)
        row += [None, None] if delta is None else [str(delta), delta.p]
    return row


def _title(evaluation: Evaluation) -> str:
    return evaluation.template or f"store {evaluation.store}"

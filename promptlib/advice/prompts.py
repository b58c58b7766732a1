"""What prompts of a template cost and can still gain, measured on a store's own rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from promptlib.advice.facts import Fact
from promptlib.errors import BudgetError, ConfigError, TooFewExamplesError
from promptlib.evaluation.evaluating import Evaluator
from promptlib.evaluation.session import QuerySource, open_evaluator
from promptlib.evaluation.tuning import Tuning, tune
from promptlib.evaluation.ways import Way
from promptlib.intervals import mean_of
from promptlib.project import Project
from promptlib.prompt import Prompt
from promptlib.selection.strategies import QUERY_FREE, strategy_name
from promptlib.text import shared_prefix

BUILT = 30
"""Prompts that are built to count their tokens."""

ASKED = 200
"""Queries that settings are compared on: half choose, half judge."""

KS = (4, 8, 16)
"""Numbers of examples that are compared, beside the one in force."""


def prompt_facts(
    project: Project, store: str, template: str | None, inputs: Mapping[str, Any]
) -> dict[str, Fact]:
    """Count the tokens of prompts with and without examples, and of the prefix they share.

    Rows that are too long for the template's budget are passed over.
    """
    source = QuerySource(sample=BUILT)
    with open_evaluator(project, template, store, source, inputs) as evaluator:
        way = evaluator.current
        numbers = range(len(evaluator.questions))
        shown = _those_that_fit(evaluator, way, numbers)
        bare = _those_that_fit(evaluator, replace(way, k=0), numbers)
        counter = evaluator.settings.counter
        rows = len(evaluator.state)
        model = evaluator.settings.model
    if not shown or not bare:
        return {}
    prefix = shared_prefix([prompt.text for prompt in shown])
    most = max(len(prompt.examples) for prompt in shown)
    return {
        "prompt_tokens": _mean(shown, f"prompts with examples, as {model or counter.encoding}"),
        "zero_shot_tokens": _mean(bare, "the same prompts without examples"),
        "cacheable_tokens": Fact(float(counter.count(prefix)), note="start that all prompts share"),
        "reachable_share": Fact(min(1.0, most / rows), note="of the store, in one prompt"),
    }


def _those_that_fit(evaluator: Evaluator, way: Way, numbers: Iterable[int]) -> list[Prompt]:
    """Build prompts; a row may be too long for the template's budget."""
    found = []
    for number in numbers:
        with suppress(BudgetError, TooFewExamplesError):
            found.append(evaluator.prompt(number, way))
    return found


def selection_facts(
    project: Project, store: str, template: str | None, inputs: Mapping[str, Any]
) -> dict[str, Fact]:
    """Measure what other ways of choosing examples would gain, and how much they differ.

    The best of them is chosen on one half of the queries and judged on the other.
    """
    source = QuerySource(sample=ASKED)
    try:
        found = tune(
            project,
            template,
            store=store,
            ks=KS,
            queries=source,
            inputs=inputs,
        )
    except (ConfigError, BudgetError):  # too few queries, or nothing to compare by
        return {}
    facts = {"selector_spread": _spread(found)}
    gain = found.gain
    note = f"by {found.yardstick.replace('_', ' ')}, {found.winner} over {found.current}"
    if gain is None:
        facts["prompt_gain"] = Fact(0.0, "stand-in", 0.0, 0.0, "the settings in force are the best")
    else:
        facts["prompt_gain"] = Fact.of(gain, "stand-in", note)
    return facts


def _spread(found: Tuning) -> Fact:
    """Compare the best and the worst strategy that look at the query, at the k in force."""
    values = {
        strategy_name(each.way.strategy): each.estimates[found.yardstick].value
        for each in found.tried
        if each.way.k == found.current.k
        and each.way.strategy not in QUERY_FREE
        and found.yardstick in each.estimates
    }
    if not values:
        return Fact(0.0, "stand-in")
    best, worst = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
    return Fact(values[best] - values[worst], "stand-in", note=f"{best} over {worst}")


def _mean(prompts: list[Prompt], note: str) -> Fact:
    tokens = np.array([prompt.tokens for prompt in prompts], np.float64)
    return Fact.of(mean_of(tokens), note=note)

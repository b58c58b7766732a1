"""Which ways are worth asking a model about: the proxies' ranking, and what proxies can't see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from promptlib.errors import ConfigError
from promptlib.evaluation.evaluating import Evaluator
from promptlib.evaluation.session import QuerySource, open_evaluator, yardstick_of
from promptlib.evaluation.tuning import KS, ranked_ways
from promptlib.evaluation.ways import Way
from promptlib.project import Project
from promptlib.running import named_model
from promptlib.selection.pool import Weights
from promptlib.selection.strategies import AUTO
from promptlib.settings import Options

STRATEGIES = ("hybrid", "similar", "lexical", "mmr", "balanced", "coverage", "dpp")
"""Those that are tried unless others are named."""

ORDERS = ("nearest-last", "nearest-first")
LEAST_WAYS, MOST_WAYS = 4, 16
BEST = 8
"""Ways that the proxies put first, before orders and shares are tried."""


def promising(
    project: Project, template: str, model: str | None, store: str | None,
    strategies: Sequence[str], ks: Sequence[int], orders: Sequence[str], budgets: Sequence[int],
    queries: QuerySource, inputs: Mapping[str, Any] | None, options: Options | None,
    *, most: int = MOST_WAYS,
) -> list[Way]:  # fmt: skip
    """List the ways that are worth asking, those in force first, by the proxies' ranking."""
    loaded = project.template(template)
    given: Options = {**(options or {}), "model": named_model(project, model, loaded)[1]}
    with open_evaluator(project, template, store, queries, inputs, given) as evaluator:
        current = evaluator.current
        numbers = parts_of(len(evaluator.questions), queries.seed)[0]
        grid = list(dict.fromkeys(_grid(evaluator, strategies, ks, budgets)))
        values = evaluator.measure(grid, numbers, project.reporting("searching"))
        measured = dict(zip(grid, values, strict=True))
        ranked = ranked_ways(measured, yardstick_of(values[0]))
        shares, settings = _shares(evaluator, current), evaluator.settings
    # The best of each strategy first: proxies tell near ties apart badly.
    leaders = [next(w for w in ranked if w.strategy == s) for s in dict.fromkeys(_names(ranked))]
    best = list(dict.fromkeys([*leaders, *ranked]))
    others = [order for order in orders or ORDERS if order != settings.order]
    turned = [replace(way, order=order) for way in best[:4] for order in others]
    zero = [] if settings.min_k else [Way(current.strategy, 0, current.budget)]
    found = [current, default_of(current), *zero, *best[:BEST], *turned, *shares, *best[BEST:]]
    return list(dict.fromkeys(found))[: min(MOST_WAYS, max(LEAST_WAYS, most))]


def _names(ways: Sequence[Way]) -> list[Any]:
    return [way.strategy for way in ways]


def _grid(
    evaluator: Evaluator, strategies: Sequence[str], ks: Sequence[int], budgets: Sequence[int]
) -> list[Way]:
    current = evaluator.current
    usual = [name for name in STRATEGIES if name in evaluator.strategies]
    sizes = sorted({*(ks or [k for k in KS if k >= evaluator.settings.min_k]), current.k})
    return [
        replace(evaluator.way(strategy, k, budget), weights=Weights())
        for strategy in strategies or usual or evaluator.strategies
        for k in sizes
        for budget in ([current.budget, *budgets] if budgets else [current.budget])
    ]


def _shares(evaluator: Evaluator, current: Way) -> list[Way]:
    """Share the examples out anew between static and tailored ones, where a template has both."""
    template = evaluator.requests[0].template
    if "static_examples" not in template.uses or not template.static:
        return []
    all_ = len(template.static) + current.k
    most = len(evaluator.static)
    return [
        replace(current, k=all_ - static, static=static)
        for static in sorted({0, all_ // 4, all_ // 2, all_})
        if static <= most and all_ - static >= evaluator.settings.min_k
    ]


def parts_of(count: int, seed: int) -> list[list[int]]:
    """Divide the questions into three: for the proxies, for asking, for judging."""
    if count < 30:
        raise ConfigError(f"there are {count} queries, tuning with a model needs 30")
    order = np.random.default_rng(seed).permutation(count).tolist()
    first, second = count // 4, count // 4 + (count - count // 4) // 2
    return [sorted(order[:first]), sorted(order[first:second]), sorted(order[second:])]


def default_of(current: Way) -> Way:
    """Give the built-in default at the k and budget in force."""
    return replace(current, strategy=AUTO, weights=Weights())

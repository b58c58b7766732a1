"""Compare models, templates and ways of choosing examples by what a language model answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from promptlib.errors import ConfigError
from promptlib.evaluation.evaluating import Evaluator
from promptlib.evaluation.session import QuerySource
from promptlib.evaluation.ways import Way
from promptlib.experiment.asking import BLOCK, Answers, Examiner, Limits
from promptlib.experiment.preparing import prepare
from promptlib.experiment.results import Experiment, results_of
from promptlib.experiment.scoring import CONTENT_FREE, Calibration
from promptlib.experiment.sequential import is_clear, wins_and_losses
from promptlib.judging.metrics import check_metric
from promptlib.project import Project
from promptlib.selection.ordering import check_order
from promptlib.selection.pool import Strategy
from promptlib.settings import Options
from promptlib.text import is_whole

USUAL = ("similar", "hybrid", "balanced")
"""Strategies that are tried unless others are named."""


def examine(
    project: Project,
    templates: Sequence[str],
    models: Sequence[str | None],
    *,
    store: str | None = None,
    strategies: Sequence[str | Strategy] = (),
    ks: Sequence[int] = (),
    orders: Sequence[str] = (),
    budgets: Sequence[int] = (),
    queries: QuerySource = QuerySource(),  # noqa: B008  # frozen
    inputs: Mapping[str, Any] | None = None,
    options: Options | None = None,
    metric: str | None = None,
    max_tokens: int | None = None,
    scoring: bool = False,
    calibrate: Calibration | None = None,
    sequential: bool = False,
    limits: Limits | None = None,
) -> Experiment:
    """Ask each model the same questions in every way, and judge its answers.

    The first row is what is in force, or what was named first; zero-shot and random examples are
    always among the rows.
    `scoring` has a local model choose the likeliest label, `calibrate` corrects for those that it
    prefers whatever is asked. `sequential` stops asking in a way once its difference to the first
    is clear, by a test that may be looked at at any time. Answers are kept: a second run asks only
    what is new. Raises ConfigError for what can't be, and ModelError when nothing was answered.
    """
    _check(ks, orders, budgets)
    if metric is not None:
        check_metric(metric, project.root)
    if sequential and calibrate == "batch":
        raise ConfigError("a batch is calibrated by all its questions: it can't be sequential")

    def ways(evaluator: Evaluator) -> list[Way]:
        return _grid(evaluator, strategies, ks, orders, budgets)

    prepared = prepare(
        project, templates, models, ways, store=store, queries=queries, inputs=inputs,
        options=options, max_tokens=max_tokens,
        blanks=CONTENT_FREE if calibrate == "contextual" else (),
    )  # fmt: skip
    if scoring:
        limits = replace(limits or Limits(), scoring=True, calibrate=calibrate)
    examiner = Examiner(
        prepared, project.database, metric=metric, limits=limits, report=project.reporting("asking")
    )
    alive = set(range(len(prepared.arms)))
    for block in examiner.blocks(BLOCK if sequential else None):
        examiner.ask(block, sorted(alive))
        if sequential and not examiner.is_over:
            alive -= {arm for arm in alive if arm and _is_settled(examiner.answers, arm)}
            if alive == {0}:
                break
    asked = min(map(len, examiner.answers.rows))
    early = sequential and alive == {0} and asked < len(prepared.trials)
    return experiment_of(examiner, early=early, seed=queries.seed, anytime=sequential)


def experiment_of(
    examiner: Examiner, *, early: bool = False, seed: int = 0, arms: Sequence[int] | None = None,
    questions: Sequence[int] | None = None, anytime: bool = False,
) -> Experiment:  # fmt: skip
    """Sum up what was answered, in these arms to these questions, or all.

    `anytime` takes p-values that hold wherever asking was stopped. Raises ModelError when nothing
    was answered.
    """
    answers, prepared = examiner.answers, examiner.prepared
    judged = [row for rows in answers.rows for row in rows.values()]
    if not any(row.answer is not None for row in judged) and answers.failed:
        raise answers.failed[0][1]
    stopped = answers.stopped
    if stopped is None and early:
        stopped = "every difference to the first row is clear"
    return Experiment(
        prepared=prepared,
        metric=answers.metric,
        results=results_of(prepared, answers, seed, arms, questions, anytime=anytime),
        sequential=anytime,
        stopped=stopped,
        early=early and answers.stopped is None,
        scored=examiner.scores,
        calls=answers.calls,
        cached=sum(row.answer is not None and row.answer.cached for row in judged),
        spent=examiner.spending.spent,
        unpriced=examiner.spending.unpriced,
        problems=Counter(str(error) for _, error in answers.failed),
    )


def _is_settled(answers: Answers, arm: int) -> bool:
    wins, losses = wins_and_losses(*answers.scores(arm, 0))
    return is_clear(wins, losses, comparisons=len(answers.rows) - 1)


def _grid(
    evaluator: Evaluator, strategies: Sequence[str | Strategy], ks: Sequence[int],
    orders: Sequence[str], budgets: Sequence[int],
) -> list[Way]:  # fmt: skip
    """List the ways: the one in force, zero-shot, random, then all that were named."""
    current = evaluator.current
    limits: list[int | None] = [*budgets] or [current.budget]
    usual = [name for name in USUAL if name in evaluator.strategies]
    sizes = [k for k in ks if k] or [current.k]
    in_orders: list[str | None] = [*orders] or [None]
    ways = []
    for budget in limits:
        base = evaluator.way(current.strategy, max(sizes[0], evaluator.settings.min_k), budget)
        named: list[Way] = []
        for k in sizes:
            for strategy in strategies or usual:
                for order in in_orders:
                    way = evaluator.way(strategy, k, budget)
                    named.append(Way(way.strategy, k, budget, way.weights, order))
        zero = Way(current.strategy, 0, budget)
        random = [evaluator.way("random", k, budget) for k in sizes]
        # What was named first is what others are compared with; else what is in force.
        head = [named[0]] if strategies or orders else [base]
        ways += [*head, zero, *random, *named]
    return ways


def _check(ks: Sequence[int], orders: Sequence[str], budgets: Sequence[int]) -> None:
    for order in orders:
        check_order(order)
    for name, values, least in (("ks", ks, 0), ("budgets", budgets, 1)):
        if not all(is_whole(value, least) for value in values):
            raise ConfigError(f"{name} must be whole numbers, {least} or more, not {values!r}")

"""Search for the best way of choosing on some queries, and judge it on others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.errors import ConfigError
from promptlib.evaluation.evaluating import Evaluator, Values
from promptlib.evaluation.session import (
    Outcome,
    QuerySource,
    check_numbers,
    open_evaluator,
    outcomes_of,
    yardstick_of,
)
from promptlib.evaluation.ways import Way
from promptlib.intervals import Difference
from promptlib.project import Project
from promptlib.selection.pool import Weights
from promptlib.selection.strategies import AUTO, STRATEGIES, strategy_name
from promptlib.settings import Options

KS = (1, 2, 4, 8, 16)
"""Numbers of examples that are tried unless others are named."""

LEAST = 10
"""Queries that a search needs: fewer can't show a clear gain."""

FINALISTS = 3
"""Strategies whose weights are searched."""

WEIGHTS: Mapping[str, Sequence[Weights]] = {
    "hybrid": [Weights(lexical_weight=share) for share in (0.25, 0.4, 0.6, 0.75, 0.9)],
    "dpp": [Weights(lexical_weight=share) for share in (0.25, 0.75)],
    "coverage": [Weights(lexical_weight=share) for share in (0.25, 0.75)],
    "mmr": [Weights(lambda_mult=share) for share in (0.3, 0.7, 0.9)],
    "balanced": [
        Weights(min_labels=2), Weights(min_labels=3), Weights(min_labels=8),
        Weights(max_per_label=1), Weights(max_per_label=2),
        Weights(min_labels=2, border=0.1), Weights(lexical_weight=0.25),
    ],
}  # fmt: skip
"""What is tried for each strategy beside the defaults."""


@dataclass(frozen=True)
class Tuning:
    """What a search found."""

    store: str
    template: str | None
    source: str
    yardstick: str
    tried: Sequence[Outcome]
    """On the queries that chose, the best first."""
    judged: Sequence[Outcome]
    """On queries that took no part in choosing: the settings in force, then the winner."""
    for_auto: Sequence[Outcome]
    """On the same, at the k and budget in force: the built-in default, then the best strategy;
    nothing for a template that asks no query."""
    queries: tuple[int, int]
    """How many chose, and how many judged."""
    fingerprint: str
    """The embedder's."""

    model = stopped = None
    """No language model was asked, so none could stop."""

    @property
    def current(self) -> Way:
        """The settings in force."""
        return self.judged[0].way

    @property
    def winner(self) -> Way:
        """The best way of those tried."""
        return self.judged[-1].way

    @property
    def gain(self) -> Difference | None:
        """How much better than the settings in force the winner is; None where it is the same."""
        return self.judged[-1].against_first.get(self.yardstick)

    @property
    def is_better(self) -> bool:
        """Whether the gain is clear."""
        return self.gain is not None and self.gain.is_gain

    @property
    def auto_way(self) -> Way | None:
        """The best way at the k and budget in force; None for a template that asks no query."""
        return self.for_auto[-1].way if self.for_auto else None

    @property
    def auto_gain(self) -> Difference | None:
        """How much better than the built-in default the best strategy is at the same k."""
        return self.for_auto[-1].against_first.get(self.yardstick) if self.for_auto else None

    @property
    def moves_auto(self) -> bool:
        """Whether `auto` should leave the built-in default."""
        return self.auto_gain is not None and self.auto_gain.is_gain

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain data."""
        return {
            "store": self.store,
            "template": self.template,
            "source": self.source,
            "yardstick": self.yardstick,
            "queries": {"chose": self.queries[0], "judged": self.queries[1]},
            "winner": self.winner.to_dict(),
            "current": self.current.to_dict(),
            "is_better": self.is_better,
            "judged": [outcome.to_dict() for outcome in self.judged],
            "moves_auto": self.moves_auto,
            "auto": [outcome.to_dict() for outcome in self.for_auto],
            "rows": [outcome.to_dict() for outcome in self.tried],
        }


def tune(
    project: Project,
    template: str | None = None,
    *,
    store: str | None = None,
    strategies: Sequence[str] = (),
    ks: Sequence[int] = (),
    budgets: Sequence[int] = (),
    queries: QuerySource = QuerySource(),  # noqa: B008  # frozen
    inputs: Mapping[str, Any] | None = None,
    options: Options | None = None,
) -> Tuning:
    """Search strategy, k, budget and weights on one half of the queries, judge on the other.

    The winner has the best vote accuracy (of texts, output similarity); label hit breaks ties, then
    the simpler strategy and the smaller k. Nothing is recorded or written. Raises what `evaluate`
    does.
    """
    check_numbers(ks, budgets)
    with open_evaluator(project, template, store, queries, inputs, options) as evaluator:
        if len(evaluator.questions) < LEAST:
            raise ConfigError(f"there are {len(evaluator.questions)} queries, tune needs {LEAST}")
        current = evaluator.current
        asks = bool(evaluator.requests[0].template.query_inputs)
        default = replace(current, strategy=AUTO, weights=Weights()) if asks else current
        halves = _halves(len(evaluator.questions), queries.seed)

        def measured(ways: Iterable[Way], half: int, what: str) -> dict[Way, Values]:
            new = list(dict.fromkeys(ways))
            found = evaluator.measure(new, halves[half], project.reporting(what)) if new else []
            return dict(zip(new, found, strict=True))

        grid = _grid(evaluator, strategies, ks, budgets)
        tried = measured([current, default, *grid], 0, "searching")
        yardstick = yardstick_of(tried[current])
        variants = _variants(ranked_ways(tried, yardstick), current)
        tried |= measured((way for way in variants if way not in tried), 0, "searching weights")
        best = ranked_ways(tried, yardstick)
        here = next(way for way in best if (way.k, way.budget) == (current.k, current.budget))
        judged = measured([current, best[0], default, here], 1, "judging")
        return Tuning(
            store=evaluator.index.store.name,
            template=template,
            source=evaluator.questions.source,
            yardstick=yardstick,
            tried=outcomes_of(best, [tried[way] for way in best], queries.seed),
            judged=_outcomes(judged, [current, best[0]], queries.seed),
            for_auto=_outcomes(judged, [default, here], queries.seed) if asks else (),
            queries=(len(halves[0]), len(halves[1])),
            fingerprint=evaluator.state.origin.fingerprint,
        )


def _halves(count: int, seed: int) -> tuple[list[int], list[int]]:
    order = np.random.default_rng(seed).permutation(count).tolist()
    return sorted(order[: count // 2]), sorted(order[count // 2 :])


def _grid(
    evaluator: Evaluator, strategies: Sequence[str], ks: Sequence[int], budgets: Sequence[int]
) -> Iterator[Way]:
    current = evaluator.current
    limits = [current.budget, *budgets] if budgets else [current.budget]
    usual = [k for k in KS if k >= evaluator.settings.min_k]
    for strategy in strategies or evaluator.strategies:
        for k in sorted({*(ks or usual), current.k}):
            for budget in limits:
                way = evaluator.way(strategy, k, budget)
                yield way if strategy == "auto" else replace(way, weights=Weights())


def _variants(ranked: Sequence[Way], current: Way) -> Iterator[Way]:
    """Give the best strategies other weights: where they were best, and as things are."""
    finalists = list(dict.fromkeys(way.strategy for way in ranked))[:FINALISTS]
    for name in finalists:
        best = next(way for way in ranked if way.strategy == name)
        for told in WEIGHTS.get(strategy_name(name), ()):
            yield replace(best, weights=told)
            yield replace(best, weights=told, k=current.k, budget=current.budget)


def ranked_ways(tried: Mapping[Way, Values], yardstick: str) -> list[Way]:
    """Order ways by the yardstick, then label hit; of equals the simplest and shortest is first."""

    def key(way: Way) -> tuple[float, float, int, int, int, int]:
        value, hit = (_mean(tried[way][name]) for name in (yardstick, "label_hit"))
        name, told = strategy_name(way.strategy), len(way.weights.changed())
        simple = STRATEGIES.index(name) if name in STRATEGIES else len(STRATEGIES)
        return -value, -hit, simple, told, way.k, way.budget or 0

    return sorted(tried, key=key)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return round(float(known.mean()), 9) if len(known) else 0.0


def _outcomes(values: Mapping[Way, Values], ways: Sequence[Way], seed: int) -> list[Outcome]:
    return outcomes_of(ways, [values[way] for way in ways], seed)

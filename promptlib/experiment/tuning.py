"""Search for the best way of prompting a model, with few calls, and judge it on other questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from promptlib.errors import ConfigError
from promptlib.evaluation.session import QuerySource, check_numbers
from promptlib.evaluation.ways import Way
from promptlib.experiment.asking import Examiner, Limits
from promptlib.experiment.examining import experiment_of
from promptlib.experiment.halving import FIRST_ROUND, Round, halve, standing_of
from promptlib.experiment.preparing import prepare
from promptlib.experiment.promising import default_of, parts_of, promising
from promptlib.experiment.results import ArmResult, Experiment
from promptlib.intervals import Difference
from promptlib.project import Project
from promptlib.settings import Options

LEAST_CALLS = 60
LEAST_JUDGED = 50
"""Questions that judge, before `auto` follows."""

JUDGED_SHARE = 0.4
"""Of the calls, kept for judging."""


@dataclass(frozen=True)
class ModelTuning:
    """What a search found by a model's answers."""

    store: str
    template: str
    model: str
    source: str
    yardstick: str
    rounds: Sequence[Round]
    judged: Experiment = field(repr=False)
    """On questions that took no part: the settings in force, the winner, the built-in default, and
    the best at the k and budget in force."""
    winner: Way
    auto_way: Way | None
    queries: tuple[int, int]
    fingerprint: str
    calls: int
    spent: float

    @property
    def current(self) -> Way:
        """The settings in force."""
        return self.judged.results[0].arm.way

    @property
    def gain(self) -> Difference | None:
        """How much better than the settings in force the winner is; None where it is the same."""
        return self._against(self.winner, self.current)

    @property
    def is_better(self) -> bool:
        """Whether that is clear."""
        return self.gain is not None and self.gain.is_gain

    @property
    def auto_gain(self) -> Difference | None:
        """How much better than the built-in default the best strategy is at the k in force."""
        if self.auto_way is None:
            return None
        return self._against(self.auto_way, default_of(self.current))

    @property
    def moves_auto(self) -> bool:
        """Whether it answered more rightly, on questions that took no part in choosing it.

        Here the yardstick is what matters itself: to keep the default unless the gain is beyond
        doubt would cost more, on average, than to follow the better of the two.
        """
        gain = self.auto_gain
        judged = min(result.answered for result in self.judged.results)
        return gain is not None and gain.value > 0 and judged >= LEAST_JUDGED

    @property
    def stopped(self) -> str | None:
        """Why less was asked than was meant to be; None where all was."""
        return self.judged.stopped

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain data."""
        return {
            "store": self.store,
            "template": self.template,
            "model": self.model,
            "source": self.source,
            "yardstick": self.yardstick,
            "queries": {"chose": self.queries[0], "judged": self.queries[1]},
            "winner": self.winner.to_dict(),
            "current": self.current.to_dict(),
            "is_better": self.is_better,
            "moves_auto": self.moves_auto,
            "auto": self.auto_way and self.auto_way.to_dict(),
            "rounds": [
                {"questions": each.questions,
                 "standing": [{**way.to_dict(), "score": score, "answered": answered}
                              for way, score, answered in each.standing]}
                for each in self.rounds
            ],
            "judged": [result.to_dict() for result in self.judged.results],
            "calls": self.calls,
            "cached": self.judged.cached,
            "spent": self.spent,
            "stopped": self.stopped,
        }  # fmt: skip

    def _against(self, way: Way, over: Way) -> Difference | None:
        if way == over:
            return None
        mine, theirs = self._result(way), self._result(over)
        if mine is None or theirs is None:
            return None
        return mine.against(theirs)

    def _result(self, way: Way) -> ArmResult | None:
        return next((r for r in self.judged.results if r.arm.way == way), None)


def tune_with_model(
    project: Project,
    template: str,
    model: str | None = None,
    *,
    max_calls: int = 600,
    store: str | None = None,
    strategies: Sequence[str] = (),
    ks: Sequence[int] = (),
    orders: Sequence[str] = (),
    budgets: Sequence[int] = (),
    queries: QuerySource = QuerySource(),  # noqa: B008  # frozen
    inputs: Mapping[str, Any] | None = None,
    options: Options | None = None,
    metric: str | None = None,
    max_tokens: int | None = None,
    limits: Limits | None = None,
) -> ModelTuning:
    """Search strategy, k, order, and how many examples are static, by a model's own answers.

    The queries are divided into three: the proxies rank the ways on the first, the model is asked
    on the second, and the third, untouched until then, judges. Nothing is recorded or written.
    Raises ConfigError for what can't be, and what asking raises.
    """
    check_numbers(ks, budgets)
    if max_calls < LEAST_CALLS:
        raise ConfigError(f"max_calls must be {LEAST_CALLS} or more: fewer say nothing")
    shortlist = promising(
        project, template, model, store, strategies, ks, orders, budgets, queries, inputs, options,
        most=int(max_calls * (1 - JUDGED_SHARE)) // (4 * FIRST_ROUND),
    )  # fmt: skip
    prepared = prepare(
        project, [template], [model], lambda evaluator: shortlist, store=store, queries=queries,
        inputs=inputs, options=options, max_tokens=max_tokens,
    )  # fmt: skip
    parts = parts_of(len(prepared.trials), queries.seed)
    limits = limits or Limits()
    examiner = Examiner(
        prepared, project.database, metric=metric, limits=limits, report=project.reporting("asking")
    )
    rounds = halve(examiner, parts[1], int(max_calls * (1 - JUDGED_SHARE)))
    best = [way for way, *_ in rounds[-1].standing]
    current = prepared.arms[0].way
    auto = next((way for way in standing_of(rounds) if _is_plain(way, current)), None)
    finalists = list(dict.fromkeys([current, best[0], default_of(current), auto or current]))
    arms = [shortlist.index(way) for way in finalists]
    room = max(1, (max_calls - examiner.answers.calls) // len(arms))
    judging = parts[2][:room]
    if not examiner.is_over:
        examiner.ask(judging, arms)
    judged = experiment_of(examiner, seed=queries.seed, arms=arms, questions=judging)
    return ModelTuning(
        store=prepared.store, template=template, model=next(iter(prepared.models.values())).called,
        source=prepared.source, yardstick=f"{examiner.answers.metric} by the model",
        rounds=rounds, judged=judged, winner=best[0], auto_way=auto,
        queries=(len(parts[0]) + rounds[-1].questions, len(judging)),
        fingerprint=prepared.fingerprint, calls=examiner.answers.calls,
        spent=examiner.spending.spent,
    )  # fmt: skip


def _is_plain(way: Way, current: Way) -> bool:
    """Whether a way differs from the settings in force in its strategy alone."""
    return replace(way, strategy=current.strategy, weights=current.weights) == current

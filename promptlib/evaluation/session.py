"""Evaluate a template or a store of a project: which queries, which ways, what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from promptlib.errors import ConfigError, PromptlibError
from promptlib.evaluation.evaluating import AMPLE, Evaluator, Values, Way
from promptlib.evaluation.intervals import Bootstrap, Difference, Estimate
from promptlib.evaluation.measures import MEASURES
from promptlib.evaluation.questions import (
    Questions,
    question_inputs,
    questions_from_file,
    questions_from_store,
)
from promptlib.project import Project
from promptlib.request import Request, make_request
from promptlib.selection.strategies import STRATEGIES, strategy_name
from promptlib.settings import Options
from promptlib.shortlist import settled
from promptlib.templating.registry import TemplateRegistry
from promptlib.templating.template import Template

PLAIN = Path(__file__).resolve().parent.parent / "data" / "evaluation"
"""Where the template is that a store is evaluated with when none is named."""

PROXIES = (
    "no language model was asked: label hit and vote accuracy tell good settings from bad ones, "
    "not nearly equal ones apart (docs/evaluation.md)"
)


@dataclass(frozen=True)
class QuerySource:
    """Where the queries come from: a file, a held-out share, or rows left out one at a time."""

    file: Path | str | None = None
    holdout: float | None = None
    sample: int | None = None
    """At most so many."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.file is not None and self.holdout is not None:
            raise ConfigError("queries come from a file or are held out of the store, not both")


@dataclass(frozen=True)
class Outcome:
    """What came of one way of choosing."""

    way: Way
    values: Values = field(repr=False)
    estimates: Mapping[str, Estimate]
    """Measure -> mean, where it is defined."""
    against_first: Mapping[str, Difference]
    """Measure -> how much more than the first way, on the same queries."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data: means by measure, and intervals beside them."""
        return {
            **self.way.to_dict(),
            **{name: self._value(name) for name in MEASURES},
            "intervals": {name: [e.low, e.high] for name, e in self.estimates.items()},
            "against_first": {
                name: {"difference": d.value, "low": d.low, "high": d.high, "p": d.p}
                for name, d in self.against_first.items()
            },
        }

    def _value(self, name: str) -> float | None:
        estimate = self.estimates.get(name)
        return None if estimate is None else estimate.value


@dataclass(frozen=True)
class Evaluation:
    """Ways of choosing, measured on the same queries."""

    template: str | None
    store: str
    queries: int
    source: str
    outcomes: Sequence[Outcome]
    note: str = PROXIES

    @cached_property
    def yardstick(self) -> str:
        """The measure that ways are compared by."""
        return yardstick_of(self.outcomes[0].values)

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain data."""
        return {
            "template": self.template,
            "store": self.store,
            "queries": self.queries,
            "source": self.source,
            "yardstick": self.yardstick,
            "note": self.note,
            "rows": [outcome.to_dict() for outcome in self.outcomes],
        }


def yardstick_of(values: Values) -> str:
    """Name what ways are compared by: vote accuracy, or for other stores output similarity."""
    known = ("vote_accuracy", "output_similarity", "word_coverage")
    return next((name for name in known if not np.isnan(values[name]).all()), "examples")


def evaluate(
    project: Project,
    template: str | None = None,
    *,
    store: str | None = None,
    strategies: Sequence[str] = (),
    ks: Sequence[int] = (),
    budgets: Sequence[int] = (),
    queries: QuerySource = QuerySource(),  # frozen
    inputs: Mapping[str, Any] | None = None,
    options: Options | None = None,
) -> Evaluation:
    """Measure strategies x ks x budgets on queries whose answers are known.

    Without strategies all are measured, what `auto` stands for first; k and budget are the
    template's. Without a template, only a store, examples are shown as plain text and the budget
    is ample. `inputs` fills inputs that the queries don't. Raises ConfigError for what can't be.
    """
    with open_evaluator(project, template, store, queries, inputs, options) as opened:
        evaluator, base = opened
        names = list(strategies) or [base.strategy, *(s for s in STRATEGIES if s != base.strategy)]
        limits: list[int | None] = [*budgets] or [base.budget]
        ways = [
            Way(base.strategy if name == "auto" else strategy_name(name), k, budget, base.weights)
            for budget in limits
            for k in list(ks) or [base.k]
            for name in names
        ]
        ways = list(dict.fromkeys(ways))
        values = evaluator.measure(ways, report=project.reporting("evaluating"))
        return Evaluation(
            template=template,
            store=evaluator.index.store.name,
            queries=len(evaluator.questions),
            source=evaluator.questions.source,
            outcomes=outcomes_of(ways, values, queries.seed),
        )


def outcomes_of(ways: Sequence[Way], values: Sequence[Values], seed: int = 0) -> list[Outcome]:
    """Estimate means, and differences against the first way."""
    bootstrap = Bootstrap(len(next(iter(values[0].values()))), seed)
    outcomes = []
    for way, found in zip(ways, values, strict=True):
        estimates = {name: bootstrap.estimate(each) for name, each in found.items()}
        against = {
            name: bootstrap.difference(each, values[0][name]) for name, each in found.items()
        }
        outcomes.append(
            Outcome(
                way,
                found,
                {name: e for name, e in estimates.items() if e is not None},
                {name: d for name, d in against.items() if d is not None and way != ways[0]},
            )
        )
    return outcomes


@contextmanager
def open_evaluator(
    project: Project, template: str | None, store: str | None, queries: QuerySource,
    inputs: Mapping[str, Any] | None = None, options: Options | None = None,
) -> Iterator[tuple[Evaluator, Way]]:  # fmt: skip
    """Open a store at one state, with queries; gives the settings in force beside it."""
    if template is None and store is None:
        raise ConfigError("name a template, or a store")
    registry = project.registry if template is not None else TemplateRegistry(PLAIN)
    loaded = registry.get(template or "plain")
    given: Options = {**(options or {}), "store": store}
    if template is None:
        given = {"budget": AMPLE, **given}
    index = project.index(_store_of(loaded, store))
    with index.store.database.read() as connection:
        state = index.refresh(connection)
        sample, seed = queries.sample, queries.seed
        if queries.file is not None:
            found = questions_from_file(index, queries.file, sample=sample, seed=seed)
        else:
            found = questions_from_store(
                index, state, connection, holdout=queries.holdout, sample=sample, seed=seed
            )
        requests = _requests(
            project, loaded, found, index.store.settings.embed, inputs or {}, given
        )
        settings = settled(
            requests[0].settings, index.settings(state, connection).tuned, state.origin.fingerprint
        )
        budget = None if settings.budget == AMPLE else settings.budget
        base = Way(str(settings.strategy), settings.k, budget, settings.weights)
        yield Evaluator(index, state, connection, found, requests, project.embedder), base


def _requests(
    project: Project, template: Template, questions: Questions, recipe: Any,
    inputs: Mapping[str, Any], options: Options,
) -> list[Request]:  # fmt: skip
    """Make a request of each query; raises what `build` would, saying which query it was."""
    requests = []
    for number, question in enumerate(questions.items, start=1):
        try:
            filled, history = question_inputs(question, template, inputs, recipe)
            requests.append(
                make_request(template, project.config, project.root, None, filled, history, options)
            )
        except PromptlibError as error:
            error.args = (f"query {number} of {questions.source}: {error}", *error.args[1:])
            raise
    if "examples" not in template.uses:
        raise ConfigError(f"template {template.name!r} shows no examples: nothing to evaluate")
    return requests


def _store_of(template: Template, store: str | None) -> str:
    spec = template.front.examples
    name = store or (spec.store if spec is not None else None)
    if name is None:
        raise ConfigError(
            f"template {template.name!r} names no store; give one, or set examples.store in its "
            "front matter"
        )
    return name

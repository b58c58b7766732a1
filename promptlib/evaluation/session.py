"""Evaluate a template or a store of a project: which queries, which ways, what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection

from promptlib.errors import ConfigError, PromptlibError
from promptlib.evaluation.evaluating import Evaluator, Values
from promptlib.evaluation.measures import MEASURES
from promptlib.evaluation.questions import (
    Questions,
    question_inputs,
    questions_from_file,
    questions_from_store,
)
from promptlib.evaluation.ways import AMPLE, Way
from promptlib.example import Example, Recipe
from promptlib.filtering import Where
from promptlib.index.state import State
from promptlib.index.vector import ExampleIndex
from promptlib.intervals import Bootstrap, Difference, Estimate
from promptlib.project import Project
from promptlib.request import Request, make_request, named_store
from promptlib.selection.pool import Strategy
from promptlib.settings import Options, Settings
from promptlib.static import choose_static
from promptlib.templating.registry import TemplateRegistry
from promptlib.templating.template import Template
from promptlib.text import is_whole

PLAIN = Path(__file__).resolve().parent.parent / "data" / "evaluation"
"""Where the template is that a store is evaluated with when none is named."""

PROXIES = {
    "vote_accuracy": "label hit and vote accuracy tell good settings from bad ones, not nearly "
    "equal ones apart",
    "output_similarity": "that an example's output is like the right one says that there is a "
    "pattern to follow, not that a model follows it",
}
"""What a yardstick predicts, and what it doesn't."""


@dataclass(frozen=True)
class QuerySource:
    """Where the queries come from: a file, a held-out share, or rows left out one at a time."""

    file: Path | str | None = None
    holdout: float | None = None
    sample: int | None = None
    """At most so many."""
    seed: int = 0
    rename: Mapping[str, str] = field(default_factory=dict)
    """Key of a row (`input`, `output`, `label`) -> the file's name for it."""
    charset: str | None = None
    """The file's; UTF-8 by default."""

    def __post_init__(self) -> None:
        if self.file is not None and self.holdout is not None:
            raise ConfigError("queries come from a file or are held out of the store, not both")
        for name, value, least in (("sample", self.sample, 1), ("seed", self.seed, 0)):
            if value is not None and not is_whole(value, least):
                raise ConfigError(f"{name} must be a whole number, {least} or more, not {value!r}")


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

    @property
    def note(self) -> str:
        """What the figures predict, and what they don't."""
        return f"no language model was asked: {PROXIES[self.yardstick]} (docs/evaluation.md)"

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
    for name in ("vote_accuracy", "output_similarity"):
        if not np.isnan(values[name]).all():
            return name
    raise ConfigError("the queries have neither labels nor outputs: there is nothing to judge by")


def evaluate(
    project: Project,
    template: str | None = None,
    *,
    store: str | None = None,
    strategies: Sequence[str | Strategy] = (),
    ks: Sequence[int] = (),
    budgets: Sequence[int] = (),
    queries: QuerySource = QuerySource(),  # frozen
    inputs: Mapping[str, Any] | None = None,
    options: Options | None = None,
) -> Evaluation:
    """Measure strategies x ks x budgets on queries whose answers are known.

    Without strategies all are measured, the one in force first; k and budget are the template's.
    Without a template, only a store, examples are shown as plain text and the budget is ample.
    `inputs` fills inputs that the queries don't. Raises ConfigError for what can't be.
    """
    check_numbers(ks, budgets)
    with open_evaluator(project, template, store, queries, inputs, options) as evaluator:
        current = evaluator.current
        limits: list[int | None] = [*budgets] or [current.budget]
        named = strategies or [current.strategy, *evaluator.strategies]
        ways = [
            evaluator.way(strategy, k, budget)
            for budget in limits
            for k in ks or [current.k]
            for strategy in named
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


def check_numbers(ks: Sequence[int], budgets: Sequence[int]) -> None:
    """Raise ConfigError for a k or a budget that can't be."""
    for name, values in (("ks", ks), ("budgets", budgets)):
        if not isinstance(values, Sequence) or not all(is_whole(value, 1) for value in values):
            raise ConfigError(f"{name} must be a list of whole numbers, 1 or more, not {values!r}")


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
) -> Iterator[Evaluator]:  # fmt: skip
    """Open a store at one state, with queries and the settings in force."""
    if template is None and store is None:
        raise ConfigError("name a template, or a store")
    if not isinstance(queries, QuerySource):
        raise ConfigError(f"queries must be a QuerySource, not {queries!r}")
    if template is not None:
        loaded = project.template(template)
    else:
        loaded = TemplateRegistry(PLAIN).get("plain")
    given: Options = {**(options or {})}
    if store is not None:
        given["store"] = store
    if template is None:
        given.setdefault("budget", AMPLE)
    settings = project.settings_of(loaded, given)
    name = named_store(loaded, given)
    if name is None:
        raise ConfigError(
            f"template {loaded.name!r} names no store; give one, or set examples.store in its "
            "front matter"
        )
    index = project.index(name)
    with index.store.database.read() as connection:
        state = index.refresh(connection)
        allowed = np.ones(len(state.alive), dtype=np.bool_)
        if settings.where:
            allowed = index.allowed(state, connection, settings.where)
        sample, seed = queries.sample, queries.seed
        if queries.file is not None:
            found = questions_from_file(
                index, queries.file, rename=queries.rename, charset=queries.charset,
                sample=sample, seed=seed,
            )  # fmt: skip
        else:
            found = questions_from_store(
                index, state, connection, allowed, holdout=queries.holdout, sample=sample,
                seed=seed,
            )  # fmt: skip
        static = _static(index, state, connection, loaded, settings)
        found = _not_shown(found, static)
        recipe = index.store.settings.embed
        requests = _requests(project, loaded, found, recipe, inputs or {}, given)
        yield Evaluator(
            index, state, connection, allowed, found, requests, settings, project.embedder, static
        )


def _static(
    index: ExampleIndex, state: State, connection: Connection, template: Template,
    settings: Settings,
) -> tuple[Example, ...]:  # fmt: skip
    """Choose what ways with static examples take the first of: as many as a prompt may show."""
    spec = template.front.examples
    if "static_examples" not in template.uses or spec is None or spec.static is None:
        return ()
    most = spec.static.model_copy(update={"k": max(1, len(template.static) + settings.k)})
    return choose_static(index, state, connection, most, Where.parse(spec.where))


def _not_shown(questions: Questions, static: Sequence[Example]) -> Questions:
    """Leave out questions that every prompt would show the answer of."""
    ids = {example.id for example in static}
    items = [item for item in questions.items if item.row is None or item.example.id not in ids]
    return replace(questions, items=items)


def _requests(
    project: Project, template: Template, questions: Questions, recipe: Recipe,
    inputs: Mapping[str, Any], options: Options,
) -> list[Request]:  # fmt: skip
    """Make a request of each query; raises what `build` would, saying which query it was."""
    requests = []
    for number, question in enumerate(questions.items, start=1):
        try:
            filled, history = question_inputs(question, template, inputs, recipe)
            requests.append(
                make_request(template, None, filled, history, options, project.settings_of)
            )
        except PromptlibError as error:
            error.args = (f"query {number} of {questions.source}: {error}", *error.args[1:])
            raise
    if "examples" not in template.uses:
        raise ConfigError(f"template {template.name!r} shows no examples: nothing to evaluate")
    return requests

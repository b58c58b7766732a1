"""Build the prompts of known queries in many ways, and measure what was shown.

The prompts are made by the code that makes all prompts; only the queries' own rows are hidden.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from promptlib.embedding.embedder import Embedder, Progress
from promptlib.errors import BudgetError, ConfigError, TooFewExamplesError
from promptlib.evaluation.measures import MEASURES, Shown, measure
from promptlib.evaluation.questions import Question, Questions
from promptlib.evaluation.ways import AMPLE, Built, Way
from promptlib.example import Example
from promptlib.index.candidates import Candidates
from promptlib.index.lexical import terms_of
from promptlib.index.state import Mask, State
from promptlib.index.vector import SHORTLIST, ExampleIndex
from promptlib.prompt import Prompt, PromptExample
from promptlib.request import Request
from promptlib.retrieval import Query
from promptlib.selection.pool import Strategy
from promptlib.selection.strategies import BY_MEANING, QUERY_FREE, STRATEGIES, strategy_name
from promptlib.settings import Settings
from promptlib.shortlist import find_usable, settled, static_ids
from promptlib.shortlisted import Shortlist
from promptlib.store.lookups import ReadOnce
from promptlib.templating.template import Template

Values = Mapping[str, NDArray[np.float64]]
"""Measure -> its value for each query, (queries,); NaN where it isn't defined."""


@dataclass
class Evaluator:
    """Measures ways of choosing from one state of a store."""

    index: ExampleIndex
    state: State
    connection: Connection
    allowed: Mask
    """Of the state's rows."""
    questions: Questions
    requests: Sequence[Request]
    """One for each question."""
    settings: Settings
    """Those in force; ways change strategy, weights, k and budget."""
    embedder: Embedder
    static: tuple[Example, ...] = ()
    """What ways with static examples take the first of."""

    def __post_init__(self) -> None:
        self.fetch = ReadOnce(self.connection)
        self._allowed = self.allowed & self.state.without(self.questions.held_out)
        rows = np.flatnonzero(self._allowed & self.state.alive)
        if not len(rows):
            raise ConfigError(f"no row of store {self.index.store.name!r} is left to choose from")
        self._classes = Counter(self.state.labels_at(rows).tolist())
        del self._classes[None]

    @cached_property
    def current(self) -> Way:
        """The settings in force."""
        return self._in_force(self.settings.strategy)

    @cached_property
    def auto(self) -> Way:
        """What they would be with the strategy `auto`."""
        return self._in_force("auto")

    @property
    def strategies(self) -> tuple[str, ...]:
        """The strategies that can be measured: without a query, those that need none."""
        return STRATEGIES if self.requests[0].template.query_inputs else QUERY_FREE

    def way(self, strategy: str | Strategy, k: int, budget: int | None) -> Way:
        """Check a way of choosing; raises ConfigError for one that can't be."""
        name = strategy_name(strategy)
        if k < self.settings.min_k:
            raise ConfigError(f"min_k ({self.settings.min_k}) is more than k ({k})")
        if strategy == "auto":
            return replace(self.auto, k=k, budget=budget)
        if self.strategies is QUERY_FREE and strategy not in QUERY_FREE:
            raise ConfigError(
                f"template {self.requests[0].template.name!r} has no query: {name} can't be "
                f"measured, only {' and '.join(QUERY_FREE)}"
            )
        return Way(strategy, k, budget, self.current.weights.of(name))

    def measure(
        self, ways: Sequence[Way], numbers: Sequence[int] | None = None,
        report: Progress | None = None,
    ) -> list[Values]:  # fmt: skip
        """Build the prompts of the questions with these numbers, or of all, in all ways."""
        numbers = range(len(self.questions)) if numbers is None else numbers
        table = np.full((len(ways), len(MEASURES), len(numbers)), np.nan)
        columns = {name: number for number, name in enumerate(MEASURES)}
        self.build(numbers[0], ways)  # what is loaded at first use is no way's latency
        for done, number in enumerate(numbers):
            for way, found in enumerate(self.build(number, ways)):
                for name, value in found.measures.items():
                    table[way, columns[name], done] = value
            if report is not None:
                report(done + 1, len(numbers))
        return [dict(zip(MEASURES, rows, strict=True)) for rows in table]

    def shortlist(self, number: int, way: Way, depth: int) -> Shortlist:
        """Find what a strategy may rank for a question."""
        request, question = self.requests[number], self.questions.items[number]
        if not way.k and "candidate_labels" not in request.template.uses:
            return self._shortlisted(Candidates.none(), depth)
        query = self._queries[number]
        settings = replace(
            request.settings, strategy=way.strategy, k=depth, exclude_self=True, min_score=None,
            seed=request.settings.seed + (number if way.strategy == "random" else 0),
        )  # fmt: skip
        found, _ = find_usable(
            self.state,
            query,
            settings,
            self.fetch,
            self._allowed,
            question.gives_away,
            static_ids(self._template(number, way)),
        )
        found = self.state.words_in(found, self.state.known_terms(terms_of(query.text)))
        if (least := request.settings.min_score) is not None:
            found = found.at(found.similarity >= least)
        return self._shortlisted(found, depth)

    def _shortlisted(self, found: Candidates, depth: int) -> Shortlist:
        return Shortlist(
            candidates=found, left_out=(), depth=depth, fetch=self.fetch,
            labels=self.state.labels, volume=self.state.volume, notes=(),
            label_definitions=self.index.settings(self.state, self.connection).label_definitions,
            store={"name": self.index.store.name},
        )  # fmt: skip

    def prompt(
        self, number: int, way: Way, shortlist: Shortlist | None = None, asked: str | None = None
    ) -> Prompt:
        """Build the prompt of a question; raises what `build` does.

        `asked` takes the place of the query, among examples that are the query's.
        """
        if shortlist is None:
            shortlist = self.shortlist(number, way, max(SHORTLIST, way.k))
        request = self.requests[number]
        if asked is not None:
            names = {*request.template.query_inputs} - {"history"}
            request = replace(request, inputs={**request.inputs, **dict.fromkeys(names, asked)})
        budget = AMPLE if way.budget is None else way.budget
        settings = replace(
            request.settings, strategy=way.strategy, k=way.k, budget=budget, weights=way.weights,
            order=way.order or request.settings.order,
            min_k=min(way.k, request.settings.min_k),
        )  # fmt: skip
        shown = replace(request, settings=settings, template=self._template(number, way))
        return shown.prompt(shortlist)

    def _template(self, number: int, way: Way) -> Template:
        """Give a question's template, with the static examples that this way shows."""
        template = self.requests[number].template
        return (
            template if way.static is None else replace(template, static=self.static[: way.static])
        )

    # -- parts -----------------------------------------------------------------------------------

    def _in_force(self, strategy: str | Strategy) -> Way:
        store = self.index.settings(self.state, self.connection)
        tuned = store.tuned_of(self.settings.model)
        asked = replace(self.settings, strategy=strategy)
        found = settled(asked, tuned, self.state.origin.fingerprint)
        budget = None if found.budget == AMPLE else found.budget
        weights = found.weights.of(strategy_name(found.strategy))
        return Way(found.strategy, found.k, budget, weights)

    @cached_property
    def _queries(self) -> list[Query]:
        recipe = self.index.store.settings.embed
        texts = [request.query_text(recipe) for request in self.requests]
        return list(map(Query, texts, self.embedder.embed(texts, kind="query")))

    def build(self, number: int, ways: Sequence[Way]) -> list[Built]:
        """Build the prompts of one question in all ways."""
        shortlists: dict[Any, Shortlist] = {}
        depth = max(SHORTLIST, *(way.k for way in ways))
        results = []
        self.fetch = ReadOnce(self.connection)
        for way in ways:
            kind = _kind(way.strategy), way.k > 0, way.static
            if kind not in shortlists:
                shortlists[kind] = self.shortlist(number, way, depth)
                self.fetch(shortlists[kind].candidates.keys.tolist())  # not part of the latency
            results.append(self._of_way(number, way, shortlists[kind]))
        return results

    def _of_way(self, number: int, way: Way, shortlist: Shortlist) -> Built:
        start = time.perf_counter()
        try:
            prompt = self.prompt(number, way, shortlist)
        except (BudgetError, TooFewExamplesError):
            nothing = shortlist.candidates.at(slice(0))
            return Built(None, measure(self._shown(number, way, nothing, ())) | {"failed": 1.0})
        passed = time.perf_counter() - start
        shown = self._shown(number, way, shortlist.candidates, prompt.examples)
        found = measure(shown) | {"tokens": prompt.tokens, "latency_ms": passed * 1e3}
        found["failed"] = 0.0
        if way.budget is not None:
            found["budget_use"] = prompt.tokens / (prompt.budget - prompt.reserve)
        return Built(prompt, found)

    def _shown(
        self, number: int, way: Way, found: Candidates, examples: Sequence[PromptExample]
    ) -> Shown:
        question = self.questions.items[number]
        places = {id: at for at, id in enumerate(found.ids.tolist())}
        best_first = sorted(examples, key=lambda example: example.rank)
        at = np.array([places[example.id] for example in best_first], dtype=np.int64)
        return Shown(
            labels=[example.label for example in best_first],
            similarity=found.similarity[at],
            vectors=found.vectors[at],
            words=found.words[at],
            all_words=found.words.max(axis=0, initial=0),
            outputs=[example.example.output for example in best_first],
            label=question.label,
            output=question.example.output,
            same=self._same(question),
            classes=len(self._classes),
            k=way.k,
        )

    def _same(self, question: Question) -> int:
        mine = question.row is not None and self._allowed[question.row.positions[0]]
        return max(0, self._classes[question.label] - int(mine))


def _kind(strategy: str | Strategy) -> str | Strategy:
    """Name what strategies have in common that rank the same candidates."""
    if strategy in QUERY_FREE:
        return strategy
    return "near" if strategy in BY_MEANING else "near and alike in words"

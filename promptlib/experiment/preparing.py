"""Build the prompts of all questions in all arms, from one state of the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from promptlib.embedding.embedder import Embedder
from promptlib.errors import ConfigError
from promptlib.evaluation.evaluating import Evaluator, Way
from promptlib.evaluation.session import QuerySource, open_evaluator
from promptlib.experiment.arms import Arm, Trial
from promptlib.judging.metrics import Wanted
from promptlib.models.counting import ask_of, model_options
from promptlib.models.opening import OpenModel
from promptlib.project import Project
from promptlib.running import named_model, sized
from promptlib.settings import Options
from promptlib.templating.template import Template

Ways = Callable[[Evaluator], Sequence[Way]]
"""Which ways are tried, given the settings in force and the labels of the store."""


@dataclass(frozen=True)
class Prepared:
    """Questions, arms, and a trial for each of both."""

    store: str
    source: str
    """Where the questions come from, in words."""
    arms: Sequence[Arm]
    models: Mapping[str, OpenModel]
    """By the name in the arms."""
    templates: Mapping[str, Template]
    orders: Sequence[str]
    """In which each arm shows its examples."""
    trials: Sequence[Sequence[Trial]] = field(repr=False)
    """trials[question][arm]."""
    wanted: Sequence[Wanted] = field(repr=False)
    inputs: Sequence[Any] = field(repr=False)
    """What was asked, as the rows have it."""
    hashes: Sequence[str] = field(repr=False)
    """Of each question, to know it again."""
    embedder: Embedder = field(repr=False)
    fingerprint: str = ""
    """The embedder's."""


def prepare(
    project: Project, templates: Sequence[str], models: Sequence[str | None], ways: Ways, *,
    store: str | None = None, queries: QuerySource | None = None,
    inputs: Mapping[str, Any] | None = None, options: Options | None = None,
    max_tokens: int | None = None, blanks: Sequence[str] = (),
) -> Prepared:  # fmt: skip
    """Build every prompt that will be asked; raises what `evaluate` does, before anything is.

    `blanks` are questions without content, asked in the same prompts. Nothing is sent, and the
    database is free again when this returns.
    """
    queries = queries or QuerySource()
    arms: list[Arm] = []
    orders: list[str] = []
    opened: dict[str, OpenModel] = {}
    loaded = {name: project.template(name) for name in templates}
    with ExitStack() as stack:
        groups: list[tuple[Evaluator, OpenModel, str, list[int]]] = []
        for name, template in loaded.items():
            for asked in models:
                model = named_model(project, asked, template)
                label = asked or model.called
                opened[label] = model
                given = sized(model, template, model_options(model, options))
                evaluator = stack.enter_context(
                    open_evaluator(project, name, store, queries, inputs, given)
                )
                found = list(dict.fromkeys(ways(evaluator)))
                groups.append(
                    (evaluator, model, name, list(range(len(arms), len(arms) + len(found))))
                )
                arms += [Arm(label, name, way) for way in found]
                orders += [way.order or evaluator.settings.order for way in found]
        first = groups[0][0]
        rows = [question.example for question in first.questions.items]
        for evaluator, *_ in groups[1:]:
            if [question.example for question in evaluator.questions.items] != rows:
                raise ConfigError("the templates are asked different questions: name one --store")
        report = project.reporting("building")
        trials: list[list[Trial]] = []
        for number in range(len(rows)):
            trials.append([
                trial
                for evaluator, model, name, places in groups
                for trial in _built(
                    evaluator, model, loaded[name], number, places, arms, max_tokens, blanks
                )
            ])  # fmt: skip
            if report is not None:
                report(number + 1, len(rows))
        labels = first.state.labels
        wanted = [
            Wanted(question.example.output, question.label, labels, question.example.to_dict())
            for question in first.questions.items
        ]
        return Prepared(
            first.index.store.name, first.questions.source, arms, opened, loaded, orders, trials,
            wanted,
            [row.input for row in rows], [row.content_hash for row in rows],
            project.embedder, first.state.origin.fingerprint,
        )  # fmt: skip


def _built(
    evaluator: Evaluator, model: OpenModel, template: Template, number: int, places: list[int],
    arms: list[Arm], max_tokens: int | None, blanks: Sequence[str],
) -> list[Trial]:  # fmt: skip
    made = evaluator.build(number, [arms[place].way for place in places])
    stop = template.front.answer.stop
    trials = []
    for place, built in zip(places, made, strict=True):
        proxies = {name: value for name, value in built.measures.items() if name in PROXIES}
        if built.prompt is None:
            trials.append(Trial(number, place, None, proxies, 0))
        else:
            ask, *others = (
                ask_of(prompt, model.spec, stop=stop, max_tokens=max_tokens)
                for prompt in (
                    built.prompt,
                    *(evaluator.prompt(number, arms[place].way, asked=text) for text in blanks),
                )
            )
            trials.append(Trial(number, place, ask, proxies, built.prompt.tokens, others))
    return trials


PROXIES = (
    "label_hit", "vote_accuracy", "ndcg", "label_coverage", "output_similarity", "word_coverage",
    "redundancy",
)  # fmt: skip
"""What is compared with what the model makes of it."""

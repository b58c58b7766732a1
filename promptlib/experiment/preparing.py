"""Build the prompts of all questions in all arms, from one state of the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promptlib.embedding.embedder import Embedder, Progress
from promptlib.errors import ConfigError
from promptlib.evaluation.evaluating import Evaluator
from promptlib.evaluation.session import QuerySource, open_evaluator
from promptlib.evaluation.ways import Way
from promptlib.experiment.arms import Arm, Trial
from promptlib.judging.metrics import Wanted
from promptlib.models.counting import ask_of
from promptlib.models.opening import OpenModel
from promptlib.project import Project
from promptlib.running import named_model
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
    fingerprint: str
    """The embedder's."""
    root: Path
    """Where files are looked for that a metric names."""


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
    loaded = {name: project.template(name) for name in templates}
    with ExitStack() as stack:
        groups: list[_Group] = []
        for name, template in loaded.items():
            for asked in dict.fromkeys(models):
                model, label = named_model(project, asked, template)
                model.model.check()
                given: Options = {**(options or {}), "model": label}
                evaluator = stack.enter_context(
                    open_evaluator(project, name, store, queries, inputs, given)
                )
                found = list(dict.fromkeys(ways(evaluator)))
                first = sum(len(group.arms) for group in groups)
                arms = [Arm(label, name, way) for way in found]
                groups.append(_Group(evaluator, model, template, arms, first))
        shared = _shared_questions([group.evaluator for group in groups])
        trials = _all_built(groups, shared, max_tokens, blanks, project.reporting("building"))
        return _prepared(project, groups, shared, trials)


@dataclass(frozen=True)
class _Group:
    """The arms of one model and one template."""

    evaluator: Evaluator
    model: OpenModel
    template: Template
    arms: Sequence[Arm]
    first: int
    """The number of the first of them."""


def _shared_questions(evaluators: Sequence[Evaluator]) -> list[list[int]]:
    """Find the questions that all are asked: [question][evaluator] -> its number there."""
    known = [
        {question.example.content_hash: n for n, question in enumerate(each.questions.items)}
        for each in evaluators
    ]
    shared = [key for key in known[0] if all(key in other for other in known)]
    if not shared:
        raise ConfigError("the templates are asked different questions: name one --store")
    if len(known) == 1:  # what stands twice in a file is asked twice
        return [[number] for number in range(len(evaluators[0].questions))]
    return [[numbers[key] for numbers in known] for key in shared]


def _all_built(
    groups: Sequence[_Group], shared: Sequence[Sequence[int]], max_tokens: int | None,
    blanks: Sequence[str], report: Progress | None,
) -> list[list[Trial]]:  # fmt: skip
    trials: list[list[Trial]] = []
    for question, numbers in enumerate(shared):
        row: list[Trial] = []
        for group, number in zip(groups, numbers, strict=True):
            row += _built(group, question, number, max_tokens, blanks)
        trials.append(row)
        if report is not None:
            report(question + 1, len(shared))
    return trials


def _built(
    group: _Group, question: int, number: int, max_tokens: int | None, blanks: Sequence[str]
) -> list[Trial]:
    evaluator, stop = group.evaluator, group.template.front.answer.stop
    made = evaluator.build(number, [arm.way for arm in group.arms])
    trials = []
    for place, (arm, built) in enumerate(zip(group.arms, made, strict=True), start=group.first):
        proxies = {name: value for name, value in built.measures.items() if name in PROXIES}
        if built.prompt is None:
            trials.append(Trial(question, place, None, proxies, 0))
            continue
        others = (evaluator.prompt(number, arm.way, asked=text) for text in blanks)
        ask, *empty = (
            ask_of(prompt, group.model.spec, stop=stop, max_tokens=max_tokens)
            for prompt in (built.prompt, *others)
        )
        trials.append(Trial(question, place, ask, proxies, built.prompt.tokens, empty))
    return trials


def _prepared(
    project: Project, groups: Sequence[_Group], shared: Sequence[Sequence[int]],
    trials: Sequence[Sequence[Trial]],
) -> Prepared:  # fmt: skip
    evaluator = groups[0].evaluator
    questions = [evaluator.questions.items[numbers[0]] for numbers in shared]
    arms = [arm for group in groups for arm in group.arms]
    return Prepared(
        store=evaluator.index.store.name,
        source=evaluator.questions.source,
        arms=arms,
        models={group.arms[0].model: group.model for group in groups},
        templates={group.arms[0].template: group.template for group in groups},
        orders=[
            arm.way.order or group.evaluator.settings.order
            for group in groups
            for arm in group.arms
        ],
        trials=trials,
        wanted=[
            Wanted(q.example.output, q.label, evaluator.state.labels, q.example.to_dict())
            for q in questions
        ],
        inputs=[question.example.input for question in questions],
        hashes=[question.example.content_hash for question in questions],
        embedder=project.embedder,
        fingerprint=evaluator.state.origin.fingerprint,
        root=project.root,
    )


PROXIES = (
    "label_hit", "vote_accuracy", "ndcg", "label_coverage", "output_similarity", "word_coverage",
    "redundancy",
)  # fmt: skip
"""What is compared with what the model makes of it."""

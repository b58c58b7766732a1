"""Rows to train on: the very messages that a model is sent later, and the answer it should give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from promptlib.curation.sample import Sample
from promptlib.embedding.embedder import Progress
from promptlib.errors import PromptlibError
from promptlib.evaluation.evaluating import Evaluator
from promptlib.evaluation.questions import Question, Questions, question_inputs
from promptlib.example import retrieval_text
from promptlib.index.state import Mask, State
from promptlib.index.vector import ExampleIndex
from promptlib.project import Project
from promptlib.request import Request, make_request
from promptlib.settings import Options
from promptlib.templating.template import Template
from promptlib.templating.values import jsonable, printed

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class TrainingRow:
    """One row: what is asked, and what should be answered."""

    id: str
    prompt: Messages
    answer: Messages
    """Most often one message of the assistant."""
    text: str
    """The input as retrieval reads it."""
    label: str | None
    tokens: int
    """Of prompt and answer, counted as the prompt is."""
    rejected: Messages = ()
    """An answer that a person has replaced; empty where there is none."""


@dataclass(frozen=True)
class Unfit:
    """A row that can't be exported, and why."""

    id: str
    reason: str

    def __str__(self) -> str:
        return f"{self.id}: {self.reason}"


def render_rows(
    project: Project, index: ExampleIndex, state: State, connection: Connection, sample: Sample,
    template: Template, inputs: Mapping[str, Any], allowed: Mask, *,
    hidden: frozenset[str] | None = None, report: Progress | None = None,
) -> Iterator[TrainingRow | Unfit]:  # fmt: skip
    """Render rows as `build(k=0, exclude_self=True)` does, each with its output as answer.

    With `hidden`, ids, examples among all other rows are retrieved and shown too, as many as the
    template says; never the row itself nor a near copy of it. `inputs` fill what rows don't.
    """
    asked: list[tuple[Question, Request]] = []
    for at, example in enumerate(sample.examples):
        row = sample.found.at(slice(at, at + 1)) if hidden is not None else None
        question = Question(example, index.store.settings.label_of(example), row)
        try:
            asked.append((question, _request(project, index, question, template, inputs)))
        except PromptlibError as error:
            yield Unfit(example.id, str(error))
    if not asked:
        return
    evaluator = Evaluator(
        index, state, connection, allowed,
        Questions([question for question, _ in asked], "rows", hidden or frozenset()),
        [request for _, request in asked], asked[0][1].settings, project.embedder,
    )  # fmt: skip
    way = evaluator.current if hidden is not None else replace(evaluator.current, k=0)
    for number, (question, request) in enumerate(asked):
        try:
            prompt = evaluator.prompt(number, way).messages or []
        except PromptlibError as error:
            yield Unfit(question.example.id, str(error))
            continue
        answer = answer_messages(question.example.output)
        yield TrainingRow(
            id=question.example.id,
            prompt=prompt,
            answer=answer,
            text=retrieval_text(question.example.input, index.store.settings.embed),
            label=question.label,
            tokens=request.settings.counter.count_messages([*prompt, *answer]),
        )
        if report is not None:
            report(number + 1, len(asked))


def _request(
    project: Project, index: ExampleIndex, question: Question, template: Template,
    inputs: Mapping[str, Any],
) -> Request:  # fmt: skip
    options: Options = {"store": index.store.name, "as_message": True}
    filled, history = question_inputs(question, template, inputs, index.store.settings.embed)
    return make_request(template, None, filled, history, options, project.settings_of)


def answer_messages(output: Any) -> Messages:
    """Give an output as messages: text as a template prints it, a conversation as it is."""
    if isinstance(output, list):
        return output
    return [{"role": "assistant", "content": str(printed(jsonable(output)))}]

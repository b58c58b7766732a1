"""Demonstrations that a model makes itself: it solves known rows, and what comes out right is kept.

For tasks with reasoning (STaR, Zelikman et al. 2022, arXiv:2203.14465; bootstrapped few-shot of
DSPy, Khattab et al. 2023): the steps that led to a right answer show a model how to get there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from promptlib.errors import ExampleError
from promptlib.evaluation.evaluating import Evaluator
from promptlib.evaluation.session import QuerySource
from promptlib.evaluation.ways import Way
from promptlib.example import Example
from promptlib.experiment.asking import Examiner, Limits
from promptlib.experiment.examining import experiment_of
from promptlib.experiment.preparing import prepare
from promptlib.experiment.results import Experiment
from promptlib.judging.metrics import Wanted
from promptlib.project import Project
from promptlib.settings import Options


@dataclass(frozen=True)
class Bootstrapped:
    """What a model made of the rows of a store."""

    store: str
    experiment: Experiment
    drafts: tuple[Example, ...]
    """Rows with the model's own right answers, to be reviewed."""
    revision: int | None
    """The store's, with them; None where nothing was added."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "store": self.store,
            "tried": self.experiment.results[0].answered,
            "right": sum(judged.score >= 1 for judged in self.experiment.results[0].judged),
            "new": len(self.drafts),
            "revision": self.revision,
            "drafts": [draft.to_dict() for draft in self.drafts],
            "stopped": self.experiment.stopped,
            "spent": self.experiment.spent,
        }


def bootstrap_examples(
    project: Project,
    template: str,
    model: str | None = None,
    *,
    store: str | None = None,
    queries: QuerySource = QuerySource(sample=20),  # noqa: B008  # frozen
    inputs: Mapping[str, Any] | None = None,
    options: Options | None = None,
    metric: str | None = None,
    max_tokens: int | None = None,
    limits: Limits | None = None,
    dry_run: bool = False,
    by: str | None = None,
) -> Bootstrapped:
    """Let a model solve rows of a store, and keep right answers as drafts of new rows.

    A row is never among the examples of its own prompt. A draft has the row's input and label, the
    model's answer as its output, and says in its metadata where it comes from; no prompt shows it
    until it is approved. Raises what `examine` does, and ReadOnlyError.
    """

    def ways(evaluator: Evaluator) -> list[Way]:
        return [evaluator.current]

    prepared = prepare(
        project, [template], [model], ways, store=store, queries=queries, inputs=inputs,
        options=options, max_tokens=max_tokens,
    )  # fmt: skip
    examiner = Examiner(
        prepared, project.database, metric=metric, limits=limits, report=project.reporting("asking")
    )
    for block in examiner.blocks():
        examiner.ask(block, [0])
    found = experiment_of(examiner, seed=queries.seed)
    called = next(iter(prepared.models.values())).called
    drafts = []
    for judged in found.results[0].judged:
        if judged.answer is not None and judged.score >= 1:
            solved = prepared.wanted[judged.trial.question]
            with suppress(ExampleError):  # characters that no row may have
                drafts.append(_draft(solved, judged.answer.text, called, template))
    opened = project.store(prepared.store)
    new = tuple(draft for draft in drafts if draft.id not in opened)
    revision = opened.add(*new, by=by) if new and not dry_run else None
    return Bootstrapped(prepared.store, found, new, revision)


def _draft(solved: Wanted, answer: str, model: str, template: str) -> Example:
    row = solved.row
    origin = {"bootstrapped_from": row["id"], "model": model}
    return Example(
        input=row["input"], output=answer.strip(), label=solved.label, status="draft",
        metadata={**row.get("metadata", {}), **origin, "template": template},
    )  # fmt: skip

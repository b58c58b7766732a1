"""Queries with known answers: from a file, held out of the store, or its rows one at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection

from promptlib.errors import ConfigError
from promptlib.example import Example, Recipe, retrieval_text
from promptlib.files.reading import ExamplesFile
from promptlib.files.source import open_source
from promptlib.index.candidates import Candidates
from promptlib.index.state import Mask, State
from promptlib.index.vector import ExampleIndex
from promptlib.message import message_text
from promptlib.templating.template import Template

NEAR_DUPLICATE = 0.95
"""A row of the store at least so similar to a query that is a row itself would give it away."""

LEAVE_ONE_OUT = 500
"""Rows that are left out one at a time unless told otherwise."""


@dataclass(frozen=True)
class Question:
    """A query and its answer."""

    example: Example
    label: str | None
    from_store: bool
    """Whether it is a row of the store itself."""

    def gives_away(self, found: Candidates) -> Mask:
        """Mark the candidates that the query mustn't be shown: itself and its near copies."""
        if not self.from_store:
            return np.zeros(len(found), bool)
        near: Mask = (found.ids == self.example.id) | (found.similarity >= NEAR_DUPLICATE)
        return near


@dataclass(frozen=True)
class Questions:
    """Queries, where they come from, and what of the store may not be shown to any of them."""

    items: Sequence[Question]
    source: str
    held_out: frozenset[str] = field(default=frozenset(), repr=False)
    """Ids."""

    def __len__(self) -> int:
        return len(self.items)


def questions_from_file(
    index: ExampleIndex, path: Path | str, *, sample: int | None = None, seed: int = 0
) -> Questions:
    """Read rows as queries; raises BadExamplesError, and ConfigError if none has an answer."""
    settings = index.store.settings
    with open_source(path) as source:
        rows = list(ExamplesFile(source, label_of=settings.label_of, recipe=settings.embed))
    found = [Question(row, settings.label_of(row), from_store=False) for row in rows]
    if index.refresh().labels and not any(question.label for question in found):
        raise ConfigError(f"no row of {path} has a label as the store's rows have: there is "
                          "nothing to compare with")  # fmt: skip
    found = _sampled(found, sample, seed)
    return Questions(found, f"{len(found):,} rows of {Path(path).name}")


def questions_from_store(
    index: ExampleIndex, state: State, connection: Connection, *, holdout: float | None = None,
    sample: int | None = None, seed: int = 0,
) -> Questions:  # fmt: skip
    """Draw rows of the store as queries.

    With `holdout` that share of the rows is shown to no query; else each is left out alone. Raises
    ConfigError when there are too few.
    """
    if holdout is not None and not 0 < holdout < 1:
        raise ConfigError(f"holdout must be a share between 0 and 1, not {holdout!r}")
    alive = np.flatnonzero(state.alive)
    if state.labels:
        alive = alive[[label is not None for label in state.labels_at(alive)]]
    count = len(alive) * holdout if holdout is not None else sample or LEAVE_ONE_OUT
    drawn = np.sort(state.draw(alive, min(int(count), len(alive)), seed))
    if len(drawn) < 2:
        raise ConfigError(
            f"store {index.store.name!r} has too few rows to evaluate with: {len(alive)}"
        )
    labels = state.labels_at(drawn).tolist()
    rows = index.store.by_keys(state.keys_at(drawn).tolist(), connection)
    pairs = zip(rows, labels, strict=True)
    found = [Question(row, label, from_store=True) for row, label in pairs]
    if holdout is None:
        return Questions(found, f"{len(found):,} rows of the store, each left out in turn")
    ids = frozenset(row.id for row in rows)
    found = _sampled(found, sample, seed)
    return Questions(found, f"{len(found):,} rows held out of the store", ids)


def question_inputs(
    question: Question, template: Template, constants: Mapping[str, Any], recipe: Recipe
) -> tuple[dict[str, Any], list[Any]]:
    """Fill a template's inputs, and its history, with what a row has as its input."""
    content, names = question.example.input, [n for n in template.query_inputs if n != "history"]
    inputs, history = dict(constants), list[Any]()
    if isinstance(content, Mapping) and (fields := {*content} & {*template.inputs}):
        return inputs | {name: content[name] for name in fields}, history
    if not names:
        return inputs, history
    name = names[0]
    kind = template.inputs[name].type
    if isinstance(content, list) and "history" in template.uses:
        return inputs | {name: message_text(content[-1])}, list(content[:-1])
    takes = kind is None or (kind, type(content)) in (("object", dict), ("messages", list))
    fits = isinstance(content, str) or takes
    return inputs | {name: content if fits else retrieval_text(content, recipe)}, history


def _sampled(found: list[Question], sample: int | None, seed: int) -> list[Question]:
    if sample is None or sample >= len(found):
        return found
    drawn = np.random.default_rng(seed).choice(len(found), sample, replace=False)
    return [found[i] for i in sorted(drawn.tolist())]

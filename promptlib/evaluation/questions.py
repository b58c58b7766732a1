"""Queries with known answers: from a file, held out of the store, or its rows one at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection

from promptlib.curation.likeness import NEAR_DUPLICATE
from promptlib.errors import ConfigError, InputsError
from promptlib.example import Example, Recipe, retrieval_text
from promptlib.files.reading import ExamplesFile
from promptlib.files.source import open_source
from promptlib.index.candidates import Candidates
from promptlib.index.state import Mask, State
from promptlib.index.vector import ExampleIndex
from promptlib.message import message_text
from promptlib.templating.template import Template

LEAVE_ONE_OUT = 500
"""Rows that are left out one at a time unless told otherwise."""


@dataclass(frozen=True)
class Question:
    """A query and its answer."""

    example: Example
    label: str | None
    row: Candidates | None = None
    """Where it is a row of the store itself: that row alone."""

    def gives_away(self, found: Candidates) -> Mask:
        """Mark the candidates that the query mustn't be shown: itself and its near copies.

        By the rows' own texts and vectors: a query may be only a part of them.
        """
        if self.row is None:
            return np.zeros(len(found), bool)
        likeness = found.vectors.astype(np.float32) @ self.row.vectors[0].astype(np.float32)
        near: Mask = (found.texts == self.row.texts[0]) | (likeness >= NEAR_DUPLICATE)
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
    index: ExampleIndex, path: Path | str, *, rename: Mapping[str, str] | None = None,
    charset: str | None = None, sample: int | None = None, seed: int = 0,
) -> Questions:  # fmt: skip
    """Read rows as queries; raises BadExamplesError, and ConfigError if none has an answer.

    In a store with labels, rows without one are left out.
    """
    settings = index.store.settings
    with open_source(path, charset=charset) as source:
        file = ExamplesFile(
            source, rename=rename, label_of=settings.label_of, recipe=settings.embed
        )
        rows = list(file)
    found, left = [Question(row, settings.label_of(row)) for row in rows], ""
    if labels := index.refresh().labels:
        found = [question for question in found if question.label is not None]
        if not found:
            raise ConfigError(
                f"no row of {path} has a label as the store's rows have: there is nothing to "
                "compare with"
            )
        unknown = sum(question.label not in labels for question in found)
        parts = ((len(rows) - len(found), "without a label left out"),
                 (unknown, "with a label that the store doesn't have"))  # fmt: skip
        left = "".join(f", {count:,} {what}" for count, what in parts if count)
    found = _sampled(found, sample, seed)
    return Questions(found, f"{len(found):,} rows of {Path(path).name}{left}")


def questions_from_store(
    index: ExampleIndex, state: State, connection: Connection, allowed: Mask, *,
    holdout: float | None = None, sample: int | None = None, seed: int = 0,
) -> Questions:  # fmt: skip
    """Draw allowed rows of the store as queries.

    With `holdout` that share of the rows is shown to no query; else each is left out alone. Raises
    ConfigError when there are too few.
    """
    if holdout is not None and not 0 < holdout < 1:
        raise ConfigError(f"holdout must be a share between 0 and 1, not {holdout!r}")
    alive = np.flatnonzero(state.alive & allowed)
    if state.labels:
        alive = alive[[label is not None for label in state.labels_at(alive)]]
    count = len(alive) * holdout if holdout is not None else sample or LEAVE_ONE_OUT
    drawn = np.sort(state.draw(alive, min(int(count), len(alive)), seed))
    if len(drawn) < 2:
        raise ConfigError(
            f"{len(drawn)} of {len(alive):,} usable rows of store {index.store.name!r} are too "
            "few queries; 2 are the least"
        )
    places = state.scored(drawn, np.zeros(index.embedder.dim, np.float32))
    rows = index.store.by_keys(places.keys.tolist(), connection)
    found = [
        Question(row, places.labels[at], places.at(slice(at, at + 1)))
        for at, row in enumerate(rows)
    ]
    if holdout is None:
        return Questions(found, f"{len(found):,} rows of the store, each left out in turn")
    ids = frozenset(row.id for row in rows)
    found = _sampled(found, sample, seed)
    return Questions(found, f"{len(found):,} rows held out of the store", ids)


def question_inputs(
    question: Question, template: Template, constants: Mapping[str, Any], recipe: Recipe
) -> tuple[dict[str, Any], list[Any]]:
    """Fill a template's inputs, and its history, with what a row has as its input.

    Raises InputsError for one that is filled twice.
    """
    content, names = question.example.input, [n for n in template.query_inputs if n != "history"]
    filled: dict[str, Any] = {}
    history: list[Any] = []
    if isinstance(content, Mapping) and (fields := {*content} & {*template.inputs}):
        filled = {name: content[name] for name in fields}
    elif names and isinstance(content, list) and "history" in template.uses:
        filled, history = {names[0]: message_text(content[-1])}, list(content[:-1])
    elif names:
        kind = template.inputs[names[0]].type
        takes = kind is None or (kind, type(content)) in (("object", dict), ("messages", list))
        fits = takes or isinstance(content, str)
        filled = {names[0]: content if fits else retrieval_text(content, recipe)}
    if twice := sorted({*constants} & {*filled}):
        raise InputsError(f"input {twice[0]!r} is filled by the queries")
    return {**constants, **filled}, history


def _sampled(found: list[Question], sample: int | None, seed: int) -> list[Question]:
    if sample is None or sample >= len(found):
        return found
    drawn = np.random.default_rng(seed).choice(len(found), sample, replace=False)
    return [found[i] for i in sorted(drawn.tolist())]

"""The rows of a store as arrays: all of them, or as many as can be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from promptlib.curation.likeness import NEAR_DUPLICATE, blocks, group_twins
from promptlib.example import Example
from promptlib.index.candidates import Candidates
from promptlib.index.state import Mask, State
from promptlib.index.vector import ExampleIndex

Floats = NDArray[np.float32]
Codes = NDArray[np.int64]

PART = 65_536
"""Rows whose vectors are in memory at a time."""


@dataclass(frozen=True)
class Sample:
    """Rows of a store, drawn at random, as parallel arrays in the order of the draw."""

    found: Candidates
    codes: Codes
    """Of each row's label, a place in `labels`; -1 without one."""
    labels: Sequence[str]
    examples: Sequence[Example]
    rows: int
    """That the store has: more than the sample where it is large."""

    def __len__(self) -> int:
        return len(self.found)

    @cached_property
    def vectors(self) -> Floats:
        """Unit rows, (n, dim)."""
        return self.found.vectors.astype(np.float32)

    @cached_property
    def twins(self) -> Codes:
        """The number of each row's group of near copies; see `group_twins`."""
        return group_twins(self.vectors)

    def at(self, positions: Sequence[int]) -> Sample:
        """Keep the rows at these positions."""
        examples = [self.examples[at] for at in positions]
        chosen = np.array(positions, np.int64)
        return Sample(self.found.at(chosen), self.codes[chosen], self.labels, examples, self.rows)

    def ids(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> list[str]:
        """Give the ids of rows, marked or by position."""
        marked = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return [self.examples[at].id for at in marked.tolist()]


def read_sample(
    index: ExampleIndex, state: State, connection: Connection, most: int, seed: int = 0,
    allowed: Mask | None = None,
) -> Sample:  # fmt: skip
    """Draw at most so many of the rows that prompts may show, or of those allowed."""
    alive = np.flatnonzero(state.alive if allowed is None else state.alive & allowed)
    drawn = state.draw(alive, min(most, len(alive)), seed)
    found = state.scored(drawn, np.zeros(index.embedder.dim, np.float32))
    order = {position: at for at, position in enumerate(found.positions.tolist())}
    found = found.at([order[position] for position in drawn.tolist()])
    places = {name: code for code, name in enumerate(state.labels)}
    return Sample(
        found=found,
        codes=np.array([places.get(label, -1) for label in found.labels.tolist()], np.int64),
        labels=state.labels,
        examples=_read(index, found.keys.tolist(), connection),
        rows=len(alive),
    )


def near_copies(state: State, vectors: Floats) -> frozenset[str]:
    """Find the ids of all rows of a store that are near copies of any of these vectors."""
    alive = np.flatnonzero(state.alive)
    found: set[str] = set()
    for part in (alive[start : start + PART] for start in range(0, len(alive), PART)):
        near = np.zeros(len(part), bool)
        for start, cosine in blocks(state.vectors_at(part).astype(np.float32), vectors):
            near[start : start + len(cosine)] = (cosine >= NEAR_DUPLICATE).any(axis=1)
        found.update(state.ids_at(part[near]).tolist())
    return frozenset(found)


def _read(index: ExampleIndex, keys: list[int], connection: Connection) -> list[Example]:
    """Read in parts: a query takes only so many parameters."""
    parts = (keys[start : start + 500] for start in range(0, len(keys), 500))
    return [example for part in parts for example in index.store.by_keys(part, connection)]

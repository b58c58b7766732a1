"""Which rows of an index meet conditions: worked out once for a base, then remembered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from promptlib.filtering import Matcher, Where
from promptlib.index.base import Base
from promptlib.index.state import Mask, Positions, State
from promptlib.store.database import batched
from promptlib.store.store import ExampleStore

REMEMBERED = 32
"""Sets of conditions whose masks are kept."""


@dataclass
class _Known:
    base: Base
    mask: Mask
    matcher: Matcher


class Masks:
    """The masks of one index. A base never changes, so its rows are read once per condition."""

    def __init__(self, store: ExampleStore) -> None:
        self.store = store
        self._known: dict[Where, _Known] = {}

    def of(self, state: State, connection: Connection, where: Where) -> Mask:
        """Mark the rows that meet all conditions; raises ConfigError for a field no row has."""
        if where.fields == {"label"}:  # what an index knows by itself
            mask = np.ones(len(state.alive), dtype=np.bool_)
            for condition in where.conditions:
                mask &= state.with_labels(condition.values) != condition.negated
            return mask
        base_rows = len(state.base.rows)
        known = self._known.get(where)
        if known is None or known.base is not state.base:
            matcher = Matcher(where)
            mask = self._matching(state, connection, np.arange(base_rows), matcher)
            known = _Known(state.base, mask, matcher)
            while len(self._known) >= REMEMBERED:
                self._known.pop(next(iter(self._known)), None)
            self._known[where] = known
        delta = np.arange(base_rows, len(state.alive))
        found = self._matching(state, connection, delta, known.matcher)
        known.matcher.check()
        return np.concatenate([known.mask, found])

    def _matching(
        self, state: State, connection: Connection, positions: Positions, matcher: Matcher
    ) -> Mask:
        alive = positions[state.alive[positions]]
        marked = np.zeros(len(positions), dtype=np.bool_)
        labels = state.labels_at(alive)
        for part in batched(range(len(alive))):
            examples = self.store.by_keys(state.keys_at(alive[part]).tolist(), connection)
            for at, example in zip(part, examples, strict=True):
                marked[alive[at] - positions[0]] = matcher.matches(example, labels[at])
        return marked

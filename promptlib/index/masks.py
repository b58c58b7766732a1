"""Which rows of an index meet conditions: worked out once for a base, then remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection

from promptlib.filtering import Where
from promptlib.index.base import Base
from promptlib.index.state import Mask, Positions, State
from promptlib.store.database import batched
from promptlib.store.store import ExampleStore

REMEMBERED = 32
"""Sets of conditions whose masks are kept."""


class Masks:
    """The masks of one index. A base never changes, so its rows are read once per condition."""

    def __init__(self, store: ExampleStore) -> None:
        self.store = store
        self._known: tuple[Base | None, dict[Where, _Tested]] = None, {}

    def of(self, state: State, connection: Connection, where: Where) -> Mask:
        """Mark the rows that meet all conditions; raises ConfigError for a field no row has."""
        if where.fields == {"label"}:  # what an index knows by itself
            mask = np.ones(len(state.alive), dtype=np.bool_)
            for condition in where.conditions:
                mask &= state.with_labels(condition.values) != condition.negated
            return mask
        base, remembered = self._known
        if base is not state.base:
            remembered = {}
            self._known = state.base, remembered
        base_rows = len(state.base.rows)
        tested = remembered.get(where)
        if tested is None:
            while len(remembered) >= REMEMBERED:
                remembered.pop(next(iter(remembered)), None)
            tested = remembered[where] = _Tested(base_rows)
        alive = np.flatnonzero(state.alive[:base_rows] & ~tested.rows)
        self._test(state, connection, where, alive, tested, alive)
        delta = _Tested(len(state.alive) - base_rows)
        alive = np.flatnonzero(state.alive[base_rows:])
        self._test(state, connection, where, alive + base_rows, delta, alive)
        living = state.alive[:base_rows], state.alive[base_rows:]
        has = {
            name
            for part, lives in zip((tested, delta), living, strict=True)
            for name, mask in list(part.has.items())  # another thread may add to them
            if (mask & lives).any()
        }
        if len(state):
            where.check(has, {"label", "status", "id"} | tested.known | delta.known)
        return np.concatenate([tested.meets, delta.meets])

    def _test(
        self, state: State, connection: Connection, where: Where, positions: Positions,
        tested: _Tested, places: Positions,
    ) -> None:  # fmt: skip
        """Test the rows at some positions of a state, and note the outcome at their places."""
        labels = state.labels_at(positions)
        for part in batched(range(len(positions))):
            examples = self.store.by_keys(state.keys_at(positions[part]).tolist(), connection)
            for at, example in zip(part, examples, strict=True):
                meets, has = where.test(example, labels[at])
                tested.note(int(places[at]), meets, has, example.metadata)


@dataclass
class _Tested:
    """What is known of some rows: which were tested, which meet, which have which field."""

    count: int
    known: set[str] = field(default_factory=set)
    has: dict[str, Mask] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows: Mask = np.zeros(self.count, dtype=np.bool_)
        self.meets: Mask = np.zeros(self.count, dtype=np.bool_)

    def note(self, row: int, meets: bool, has: set[str], metadata: Mapping[str, object]) -> None:
        self.meets[row] = meets
        self.known.update(metadata)
        for name in has:
            self.has.setdefault(name, np.zeros(self.count, dtype=np.bool_))[row] = True
        self.rows[row] = True

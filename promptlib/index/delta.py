"""Catching up: from one State to the next, by the rows that changed between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from promptlib.index.base import Origin, Rows
from promptlib.index.lexical import Postings
from promptlib.index.state import Mask, State


def no_rows(dim: int) -> Rows:
    """Rows that aren't any."""
    return Rows(
        keys=np.zeros(0, np.int64),
        ids=np.zeros(0, np.dtype("U1")),
        labels=np.zeros(0, np.int32),
        label_names=(),
        texts=np.zeros(0, np.uint64),
        vectors=np.zeros((0, dim), np.float16),
        words=Postings.of_texts(()),
    )


def caught_up(
    state: State, origin: Origin, changed: Sequence[int], rows: Rows, pending: int
) -> State:
    """Apply changes: the rows with these keys die, and `rows` are their new versions."""
    alive = state.alive.copy()
    base_rows = len(state.base.rows)
    keys = np.asarray(changed, dtype=np.int64)
    alive[state.base.places_of(keys)] = False
    alive[base_rows:] &= ~np.isin(state.delta.keys, keys)
    kept = alive[base_rows:]
    delta = _joined(state.delta, kept, rows)
    alive = np.concatenate([alive[:base_rows], np.ones(len(delta), dtype=np.bool_)])
    return State(origin, state.base, delta, alive, pending)


def _joined(old: Rows, kept: Mask, new: Rows) -> Rows:
    names = tuple(sorted({*old.label_names, *new.label_names}))
    numbers = {name: code for code, name in enumerate(names)}

    def codes(rows: Rows) -> NDArray[np.int32]:
        table = np.array([*(numbers[name] for name in rows.label_names), -1], dtype=np.int32)
        return table[rows.labels]  # code -1 reads the last entry

    return Rows(
        keys=np.concatenate([old.keys[kept], new.keys]),
        ids=np.concatenate([old.ids[kept], new.ids]),
        labels=np.concatenate([codes(old)[kept], codes(new)]),
        label_names=names,
        texts=np.concatenate([old.texts[kept], new.texts]),
        vectors=np.concatenate([old.vectors[kept], new.vectors]),
        words=old.words.joined(kept, new.words),
    )

"""How much a state of an index holds: what the advice hint asks about."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from promptlib.hint import Volume
from promptlib.index.base import Base, Rows


def count_volume(
    base: Base, dead: NDArray[np.int64], delta: Rows, living: NDArray[np.bool_]
) -> Volume:
    """Count the rows of a base but for the dead, and those of a delta that are living."""
    counts: Counter[str] = Counter()
    gone = _tally(base.rows, base.rows.labels[dead])
    counts.update(dict(zip(base.rows.label_names, base.label_counts - gone, strict=True)))
    came = _tally(delta, delta.labels[living])
    counts.update(dict(zip(delta.label_names, came, strict=True)))
    return Volume(
        rows=len(base.rows) - len(dead) + int(np.count_nonzero(living)),
        distinct=base.distinct + _more_distinct(base, dead, delta.texts[living]),
        classes={name: int(number) for name, number in sorted(counts.items()) if number},
    )


def _more_distinct(base: Base, dead: NDArray[np.int64], came: NDArray[np.uint64]) -> int:
    """Say how many more different texts there are than in the base."""
    if not len(dead) and not len(came):
        return 0
    went = base.rows.texts[dead]
    changed = np.unique(np.concatenate([went, came]))
    before = base.rows_of_texts(changed)
    now = before.copy()
    np.subtract.at(now, np.searchsorted(changed, went), 1)
    np.add.at(now, np.searchsorted(changed, came), 1)
    return int(np.count_nonzero(now)) - int(np.count_nonzero(before))


def _tally(rows: Rows, codes: NDArray[np.int32]) -> NDArray[np.int64]:
    return np.bincount(codes[codes >= 0], minlength=len(rows.label_names))

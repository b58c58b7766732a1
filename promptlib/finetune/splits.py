"""Train, validation and test rows: of like classes, near copies never on two sides. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from promptlib.learning.probe import folds

Codes = NDArray[np.int64]

SPLITS = ("train", "validation", "test")

PARTS = 10
"""A tenth each validates and tests."""

LEAST = 30
"""Groups of rows below which all of them train."""


def split_rows(codes: Codes, groups: Codes, seed: int = 0) -> dict[str, Codes]:
    """Divide rows by position; a group of near copies stays together, classes keep their shares."""
    everything = np.arange(len(codes))
    if len(np.unique(groups)) < LEAST:
        return {"train": everything}
    parts = folds(codes, groups, PARTS, seed)
    test, validation = next(parts)[1], next(parts)[1]
    train = np.setdiff1d(everything, np.concatenate([test, validation]))
    return {"train": train, "validation": validation, "test": test}

"""Labels that may be wrong, by confident learning (Northcutt et al. 2021). Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def suspects(shares: NDArray[np.float64], codes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark rows whose label isn't the one that out-of-fold probabilities are confident of.

    A class counts for a row when its share reaches the mean share of that class among its own rows;
    of those that count the largest should be the row's own. Suspects, not verdicts.
    """
    classes = shares.shape[1]
    own = shares[np.arange(len(codes)), codes]
    sizes = np.bincount(codes, minlength=classes)
    thresholds = np.bincount(codes, weights=own, minlength=classes) / np.maximum(sizes, 1)
    thresholds[sizes == 0] = np.inf
    counting = np.where(shares >= thresholds, shares, -1.0)
    best = counting.argmax(axis=1)
    marked: NDArray[np.bool_] = (counting.max(axis=1) >= 0) & (best != codes)
    return marked

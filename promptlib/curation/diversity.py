"""How many different things vectors say: the Vendi score. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from promptlib.intervals import Estimate, mean_of
from promptlib.threads import one_thread

Floats = NDArray[np.float32]

DRAWS, DRAWN = 8, 300
"""Subsamples that are scored, and the rows of each."""


def vendi_score(vectors: Floats) -> float:
    """Give the effective number of different rows, from 1 to n.

    exp of the entropy of the eigenvalues of the cosine matrix over n (Friedman & Dieng 2023).
    """
    gram = (vectors @ vectors.T if len(vectors) < vectors.shape[1] else vectors.T @ vectors) / len(
        vectors
    )
    values = np.linalg.eigvalsh(gram.astype(np.float64))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def diversity_beside(vectors: Floats, general: Floats, seed: int = 0) -> Estimate:
    """Say how diverse rows are beside everyday English, which is 1: a ratio of Vendi scores.

    Both are scored on subsamples of one size; the interval is over draws.
    """
    rng = np.random.default_rng(seed)
    count = min(DRAWN, len(vectors), len(general))

    def draw(rows: Floats) -> float:
        return vendi_score(rows[rng.choice(len(rows), count, replace=False)])

    with one_thread():
        ratios = np.array([draw(vectors) / draw(general) for _ in range(DRAWS)])
    return mean_of(ratios)

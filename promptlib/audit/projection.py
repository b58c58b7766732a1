"""A store's texts in two dimensions, to be looked at."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from promptlib.embedding.embedder import Vectors
from promptlib.errors import MissingDependencyError

Places = NDArray[np.float32]

LEAST = 4
"""Texts below which there is nothing to project."""


def project_rows(vectors: Vectors, *, umap: bool = False) -> Places:
    """Give each vector a place in the plane, (n, 2): by PCA, or by UMAP (McInnes et al. 2018).

    The same vectors have the same places. Raises MissingDependencyError for UMAP without its extra.
    """
    if len(vectors) < LEAST or np.allclose(vectors, vectors[0]):
        return np.zeros((len(vectors), 2), np.float32)
    if umap:
        return _umap(vectors)
    from sklearn.decomposition import PCA

    made: Places = PCA(2, svd_solver="randomized", random_state=0).fit_transform(vectors)
    return made.astype(np.float32)


def _umap(vectors: Vectors) -> Places:
    try:
        from umap import UMAP
    except ImportError:
        raise MissingDependencyError("UMAP", "umap") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed costs the use of several cores
        near = min(15, len(vectors) - 1)
        made = UMAP(metric="cosine", n_neighbors=near, random_state=0).fit_transform(vectors)
    places: Places = np.asarray(made, np.float32)
    return places

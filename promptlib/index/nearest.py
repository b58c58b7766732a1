"""How the nearest of a base's rows are found: exactly while that is fast, and beyond by cells.

Exactly: all rows are compared as 8-bit numbers, which takes a quarter of the memory's bandwidth. By
how much such a cosine may be wrong is known, so what is found surely holds the nearest.

An inverted file (Jégou et al. 2011) puts each vector into the cell of its nearest centre, as 8-bit
numbers; a query looks into the cells nearest to it. How many those must be is measured on the
store's own rows. What it finds is scored again by exact vectors.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from promptlib.embedding.embedder import Vectors
from promptlib.index.recall import RECALL
from promptlib.index.vector_file import VectorFile
from promptlib.store.vectors import Halves

Mask = NDArray[np.bool_]
Positions = NDArray[np.int64]

FLAT_ROWS = 50_000
"""Rows up to which all are compared: exact, and about as fast."""
FURTHER = 64
"""Rows beyond those asked for that rounded cosines fetch: mostly, the nearest are among them."""
TIE = 5e-5
"""Cosines this near may count as equal."""
SUMMED = 1e-5
"""What sums of float32 may be off by."""
SCANNED = 20_000
"""Rows that are compared one by one where conditions leave no more."""
SLICE = 16_384
"""Rows that are turned to float32 at a time."""

ASKED = 256
"""Rows that are asked for their nearest, to measure it."""
AMONG = 96
"""Rows that a search fetches, to be scored by exact vectors."""
TRAINED_ON = 40
"""Vectors for each centre, to find the centres by."""
STEPS = 6
"""Times that centres are moved to the middle of their vectors: more gives a recall .001 higher."""


class Scan(NamedTuple):
    """What a base found for a query, before its rows are scored by their exact vectors."""

    wanted: int
    """How many rows it was asked for."""
    rows: Positions
    ceiling: float | None
    """The cosine that no other row exceeds; None where that isn't known."""


@dataclass(frozen=True)
class Flat:
    """Compares a query with every vector, in 8-bit numbers."""

    faiss_index: Any
    scale: float
    """What vectors were multiplied by before they were rounded."""
    error: float
    """The most that was rounded away of one, by its length."""
    kind: ClassVar[str] = "flat"
    recall: ClassVar[float] = 1.0
    margin: ClassVar[int] = 0

    def find(self, queries: Vectors, count: int, allowed: Mask, selector: Any) -> list[Scan]:
        """Find the rows that may be among the `count` nearest of those allowed, or equal the last.

        `queries` are (n, dim); `selector`, if any, passes the same rows as `allowed`.
        """
        faiss = open_faiss()
        # OpenMP's setting is the calling thread's own; one thread is fastest for one query, and
        # where many come together the other cores embed the next.
        faiss.omp_set_num_threads(1)
        parameters = faiss.SearchParameters(sel=selector) if selector is not None else None
        fetched = min(count + FURTHER, len(allowed))
        scales = [_scale_of(query) for query in queries]
        rounded, lost = _rounded(queries, np.array(scales)[:, None])
        products, found = self.faiss_index.search(rounded, fetched, params=parameters)
        return [
            self._surely(count, fetched == len(allowed), *parts)
            for parts in zip(found, products, scales, lost, strict=True)
        ]

    def _surely(
        self, count: int, is_all: bool, found: Positions, products: Vectors, scale: float,
        lost: Vectors,
    ) -> Scan:  # fmt: skip
        """Keep of what was found for a query all that may be among the nearest."""
        if is_all or found[-1] < 0:
            return Scan(count, found[found >= 0], -1.0)
        # So much may be missing in a cosine: what was rounded away of the row and of the query.
        missing = self.error + (math.sqrt(lost @ lost) + SUMMED) * (1 + self.error)
        scores = products / (self.scale * scale)
        least = float(scores[count - 1]) - 2 * missing - TIE
        if scores[-1] < least:
            return Scan(count, found[scores >= least], least + missing)
        return Scan(count, found, float(scores[-1]) + missing)


@dataclass(frozen=True)
class Inverted:
    """Compares a query with the vectors of the cells nearest to it."""

    faiss_index: Any
    vectors: Halves | VectorFile
    """The exact ones."""
    probes: int
    """Cells that are looked into."""
    recall: float
    """The share of the 10 nearest that so many find, measured on the store's rows."""
    kind: ClassVar[str] = "inverted file"
    margin: ClassVar[int] = 16
    """Rows to ask for beyond those wanted, so that a tie at the end is seen whole."""

    def find(self, queries: Vectors, count: int, allowed: Mask, selector: Any) -> list[Scan]:
        """Find about the `count` nearest rows of those allowed to each query (n, dim).

        One after the other: for many at once, FAISS's sums of floats have another order, and which
        cells are nearest may change.
        """
        return [self._find(query, count, allowed, selector) for query in queries]

    def _find(self, query: Vectors, count: int, allowed: Mask, selector: Any) -> Scan:
        if np.count_nonzero(allowed) <= SCANNED:
            all_places = np.flatnonzero(allowed)
            scores = self.vectors[all_places].astype(np.float32) @ query
            return Scan(count, all_places[np.argpartition(-scores, count - 1)[:count]], None)
        faiss = open_faiss()
        faiss.omp_set_num_threads(1)
        parameters = faiss.SearchParametersIVF(nprobe=self.probes, sel=selector)
        fetched = max(count, AMONG)
        found = self.faiss_index.search(query[None], fetched, params=parameters)[1][0]
        if found[-1] < 0 and self.probes < self.faiss_index.nlist:  # these cells have too few
            parameters.nprobe = self.faiss_index.nlist
            found = self.faiss_index.search(query[None], fetched, params=parameters)[1][0]
        return Scan(count, found[found >= 0], None)


Finder = Flat | Inverted


def make_flat(vectors: Halves) -> Flat:
    """Index vectors by inner product: the cosine, since they have length 1."""
    faiss = open_faiss()
    kind = faiss.ScalarQuantizer.QT_8bit_direct_signed
    index = faiss.IndexScalarQuantizer(vectors.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    scale = _scale_of(vectors)
    error = 0.0
    for start in range(0, len(vectors), SLICE):
        rounded, lost = _rounded(vectors[start : start + SLICE].astype(np.float32), scale)
        index.add(rounded)
        error = max(error, math.sqrt(np.einsum("ij,ij->i", lost, lost).max()) + SUMMED)
    return Flat(index, scale, error)


def _scale_of(vectors: NDArray[Any]) -> float:
    """Say by what to multiply vectors so that they take the whole range of 8-bit integers."""
    return 127 / float(np.abs(vectors).max(initial=2**-10))


def _rounded(vectors: Vectors, scale: float | Vectors) -> tuple[Vectors, Vectors]:
    """Scale vectors to integers; also gives what was rounded away of them."""
    scale = np.asarray(scale, np.float32)
    rounded = np.rint(vectors * scale)
    return rounded, vectors - rounded / scale


def make_selector(alive: Mask) -> Any:
    """Make FAISS's filter of rows; None where all may be found."""
    if alive.all():
        return None
    bits = np.packbits(alive, bitorder="little")
    selector = open_faiss().IDSelectorBitmap(bits)
    selector.bits_owner = bits  # FAISS keeps the address only
    return selector


def make_inverted(vectors: Halves, seed: int = 0) -> Any:
    """Divide vectors into cells, about four times the root of their number."""
    faiss = open_faiss()
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    cells = 2 ** round(np.log2(4 * len(vectors) ** 0.5))
    index = faiss.index_factory(vectors.shape[1], f"IVF{cells},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = STEPS
    count = min(len(vectors), TRAINED_ON * cells)
    chosen = np.random.default_rng(seed).choice(len(vectors), count, replace=False)
    index.train(vectors[np.sort(chosen)].astype(np.float32))
    _add(index, vectors)
    return index


def probes_for(
    index: Any, vectors: Halves, recall: float = RECALL, seed: int = 0
) -> tuple[int, float]:
    """Measure how many cells must be looked into for a recall at 10, and what that makes it.

    Rows of the index are asked for their nearest but themselves.
    """
    faiss = open_faiss()
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    asked = np.random.default_rng(seed).choice(len(vectors), min(ASKED, len(vectors)), False)
    queries = vectors[np.sort(asked)].astype(np.float32)
    least = _tenth_best(queries, vectors)
    steps = [n for power in range(31) for n in (2**power, 3 * 2 ** (power - 1)) if n >= 1]
    tried = sorted({int(n) for n in steps if 4 <= n < index.nlist} | {index.nlist})
    reached = 0.0
    for probes in tried:
        parameters = faiss.SearchParametersIVF(nprobe=probes)
        found = index.search(queries, AMONG, params=parameters)[1]
        reached = float(np.mean([
            _hits(query, vectors[places[places >= 0]], tenth)
            for query, places, tenth in zip(queries, found, least, strict=True)
        ]))  # fmt: skip
        if reached >= recall:
            return probes, reached
    return index.nlist, reached


def _hits(query: Vectors, found: Halves, tenth: float) -> float:
    """Say which share of the 10 nearest, itself left out, is among what was found."""
    good = int(np.count_nonzero(found.astype(np.float32) @ query >= tenth - 1e-5))
    return min(good - 1, 10) / 10


def _tenth_best(queries: Vectors, vectors: Halves) -> NDArray[np.float32]:
    """Give the cosine of each query's 10th nearest vector, itself left out."""
    best = np.full((len(queries), 11), -2, np.float32)
    for start in range(0, len(vectors), SLICE):
        scores = queries @ vectors[start : start + SLICE].astype(np.float32).T
        best = -np.partition(-np.concatenate([best, scores], axis=1), 10, axis=1)[:, :11]
    tenth: NDArray[np.float32] = best.min(axis=1)
    return tenth


def _add(index: Any, vectors: Halves) -> None:
    for start in range(0, len(vectors), SLICE):
        index.add(vectors[start : start + SLICE].astype(np.float32))


def open_faiss() -> Any:
    """Import FAISS: its own type hints describe the C++ side, not the Python one."""
    import faiss

    return faiss

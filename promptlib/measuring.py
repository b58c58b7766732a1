"""What the index of a store is, and what a search in it takes and finds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.embedding.embedder import Vectors
from promptlib.errors import ConfigError
from promptlib.index.base_files import current_generation, read_facts
from promptlib.index.nearest import SLICE
from promptlib.index.state import State
from promptlib.index.vector import SHORTLIST
from promptlib.project import Project
from promptlib.retrieval import Query, find_candidates

WARM = 20
"""Queries that are asked before the clock runs."""


@dataclass(frozen=True)
class IndexFacts:
    """What the index of a store is."""

    store: str
    kind: str
    rows: int
    """That can be found."""
    changed: int
    """Rows that differ from the base: they are searched beside it."""
    pending: int
    """Rows that can't be found, for want of a vector."""
    revision: int
    built: str | None
    """When, in UTC."""
    probes: int | None
    """Cells that a search of an inverted file looks into."""
    recall: float
    """The share of the 10 nearest that it finds, as measured when it was built."""
    bytes: dict[str, int]
    """What its files hold -> their size; they are mapped, and pages that are read share memory."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Speed:
    """What one step of a search takes, and what it finds."""

    step: str
    p50_ms: float
    p95_ms: float
    recall: float | None = None
    """The share of the k nearest that it finds."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return asdict(self)


def index_facts(project: Project, store: str) -> IndexFacts:
    """Say what a store's index is; it is brought up to date first."""
    index = project.index(store)
    state = index.refresh()
    finder = state.base.finder
    here = current_generation(index.folder) if index.folder is not None else None
    known = read_facts(here) if here is not None else {}
    sizes: dict[str, int] = {}
    for file in here.iterdir() if here is not None else ():
        name = {"vectors": "vectors", "words": "words"}.get(file.name.partition("-")[0], "rows")
        name = "vectors" if file.name.startswith("vectors") else name
        sizes[name] = sizes.get(name, 0) + file.stat().st_size
    return IndexFacts(
        store, finder.kind, len(state), state.changed, state.pending, state.origin.revision,
        known.get("built"), getattr(finder, "probes", None), finder.recall, sizes,
    )  # fmt: skip


def rebuild_index(project: Project, store: str) -> float:
    """Build a store's index anew; returns the seconds that it took."""
    project.drop_index(store)
    start = time.perf_counter()
    project.index(store).refresh()
    return time.perf_counter() - start


def measure_index(project: Project, store: str, queries: Sequence[str], k: int = 10) -> list[Speed]:
    """Time the steps of a search for some texts, one thread, one text at a time.

    Raises ConfigError without queries or rows.
    """
    index = project.index(store)
    state = index.refresh()
    if not queries or not len(state):
        raise ConfigError(f"there is nothing to measure in {store}: it needs rows and queries")
    embedder = project.embedder
    vectors = np.concatenate([embedder.embed([text], kind="query") for text in queries])
    asked = list(map(Query, queries, vectors))
    # As a document, which takes as long: queries are remembered.
    embedded = _timed(lambda query: embedder.embed([query.text]), asked)
    found = [state.nearest(query.vector, k).similarity for query in asked]
    steps = [Speed("embedding the query", *embedded)]
    for strategy in ("similar", "hybrid"):
        search = partial(_search, state, strategy)
        recall = _recall(found, _nearest(state, vectors, k)) if strategy == "similar" else None
        steps.append(Speed(f"search, {strategy}", *_timed(search, asked), recall))
    return steps


def _search(state: State, strategy: str, query: Query) -> None:
    find_candidates(state, query, strategy, SHORTLIST, 0)


def _timed(work: Callable[[Query], object], queries: Sequence[Query]) -> tuple[float, float]:
    for query in queries[:WARM]:
        work(query)
    times = []
    for query in queries:
        start = time.perf_counter()
        work(query)
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times)), float(np.quantile(times, 0.95))


def _nearest(state: State, queries: Vectors, k: int) -> NDArray[np.float32]:
    """Give the cosine of the k-th nearest row of each query, by comparing all."""
    best = np.full((len(queries), min(k, len(state))), -2, np.float32)
    positions = np.flatnonzero(state.alive)
    for start in range(0, len(positions), SLICE):
        part = state.vectors_at(positions[start : start + SLICE]).astype(np.float32)
        both = np.concatenate([best, queries @ part.T], axis=1)
        best = -np.partition(-both, best.shape[1] - 1, axis=1)[:, : best.shape[1]]
    least: NDArray[np.float32] = best.min(axis=1)
    return least


def _recall(found: Sequence[NDArray[np.float64]], least: NDArray[np.float32]) -> float:
    hits = [np.count_nonzero(cosine >= low - 2e-5) / len(cosine)
            for cosine, low in zip(found, least, strict=True)]  # fmt: skip
    return float(np.mean(hits))

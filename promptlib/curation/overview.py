"""A store at a glance: where its rows come from, how long they are, and how it has grown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from promptlib.example import output_text, retrieval_text
from promptlib.store.history import Revision
from promptlib.store.store import ExampleStore

BINS = 12


@dataclass(frozen=True)
class Histogram:
    """How many rows have how many tokens."""

    edges: Sequence[int]
    """The least of each bin, and the greatest of all."""
    counts: Sequence[int]
    median: float
    p95: float

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {"edges": [*self.edges], "counts": [*self.counts], "median": self.median,
                "p95": self.p95}  # fmt: skip


@dataclass(frozen=True)
class Overview:
    """What a store is made of."""

    sources: Mapping[str, int]
    """What brought the rows -> how many; rows say it in their metadata, or else the log does."""
    tokens: Histogram | None
    """Of a row's input and output; None without rows."""
    growth: Sequence[tuple[str, int]]
    """Day (UTC) -> rows at its end."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "sources": dict(self.sources), "tokens": self.tokens and self.tokens.to_dict(),
            "growth": [{"day": day, "rows": rows} for day, rows in self.growth],
        }  # fmt: skip


def overview(store: ExampleStore, count: Callable[[str], int]) -> Overview:
    """Read a store once; `count` counts the tokens of a text."""
    origins = {change.id: change.reason for change in reversed(store.log()) if change.after}
    sources: Counter[str] = Counter()
    tokens = []
    for row in store.rows():
        example = row.example
        said = example.metadata.get("source")
        sources[said if isinstance(said, str) else origins.get(row.id, "unknown")] += 1
        output = output_text(example.output) if example.output is not None else ""
        tokens.append(count(retrieval_text(example.input)) + count(output))
    return Overview(dict(sources.most_common()), _histogram(tokens), growth_of(store.revisions()))


def growth_of(revisions: Sequence[Revision]) -> list[tuple[str, int]]:
    """Say how many rows there were at the end of each day with a change; the newest come first."""
    days: dict[str, int] = {}
    rows = 0
    for revision in reversed(revisions):
        rows += revision.added - revision.removed
        days[revision.at[:10]] = rows
    return list(days.items())


def _histogram(tokens: Sequence[int]) -> Histogram | None:
    """Spread counts over bins that double, since texts do."""
    if not tokens:
        return None
    values = np.array(tokens)
    low, high = max(1, int(values.min())), int(values.max())
    edges = np.unique(np.geomspace(low, high + 1, BINS + 1).round().astype(int))
    counts = np.histogram(values, edges)[0] if len(edges) > 1 else np.array([len(values)])
    return Histogram(
        edges.tolist(), counts.tolist(), float(np.median(values)), float(np.quantile(values, 0.95))
    )

"""What a search found for one prompt, and its candidates ranked; before anything is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptlib.example import Example
from promptlib.explaining import LeftOut
from promptlib.hint import Volume
from promptlib.index.candidates import Candidates
from promptlib.selection.pool import NO_VECTORS, Pool, Ranking, Strategy, Weights
from promptlib.selection.strategies import SINGLE, select_examples

Fetch = Callable[[Sequence[int]], list[Example]]
"""Row keys -> their examples."""


@dataclass(frozen=True)
class Shortlist:
    """What retrieval found, and where."""

    candidates: Candidates
    left_out: LeftOut
    """What was found beside them and may not be shown, by reason."""
    depth: int
    """How many of the ranked candidates are looked at."""
    fetch: Fetch
    """In the snapshot that the candidates come from."""
    labels: tuple[str, ...]
    label_definitions: Mapping[str, str]
    volume: Volume | None
    notes: tuple[str, ...]
    store: Mapping[str, Any] | None
    """The manifest's part about it: name, uid, revision, embedder."""


NO_STORE = Shortlist(
    candidates=Candidates.none(), left_out=(), depth=0, fetch=lambda keys: [], labels=(),
    label_definitions={}, volume=None, notes=(), store=None,
)  # fmt: skip
"""Of a template that asks no store."""


def rank_candidates(
    found: Candidates, strategy: str | Strategy, *, seed: int = 0, weights: Weights | None = None,
    depth: int | None = None,
) -> Ranking:  # fmt: skip
    """Rank candidates by a strategy; see `select_examples`."""
    by_itself = isinstance(strategy, str) and strategy in SINGLE
    pool = Pool(
        found.similarity, found.lexical, NO_VECTORS if by_itself else found.vectors,
        found.labels.tolist(), seed, weights or Weights(), found.words,
    )  # fmt: skip
    return select_examples(pool, strategy=strategy, depth=depth)

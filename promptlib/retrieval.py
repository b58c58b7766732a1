"""From a query to a shortlist: which rows a strategy gets to rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection

from promptlib.building import Shortlist, pool_of
from promptlib.embedding.embedder import Vectors
from promptlib.example import Example
from promptlib.filtering import Where
from promptlib.index.lexical import terms_of
from promptlib.index.state import Candidates, Mask, State
from promptlib.index.vector import SHORTLIST, ExampleIndex
from promptlib.selection.strategies import BY_MEANING, Strategy, select_examples
from promptlib.settings import Settings
from promptlib.text import text_number


@dataclass(frozen=True)
class Query:
    """What is searched for: a text and its unit vector (dim,)."""

    text: str
    vector: Vectors


def find_candidates(
    state: State, query: Query, strategy: str | Strategy, k: int, seed: int,
    allowed: Mask | None = None,
) -> Candidates:  # fmt: skip
    """Find the rows that a strategy ranks to choose k of them, nearest first.

    The nearest, for strategies by meaning; those and the best by words, for the others; for
    `random` rows drawn from the whole store.
    """
    depth = max(SHORTLIST, k)
    if strategy == "random":
        return state.sample(query.vector, depth, seed, allowed)
    near = state.nearest(query.vector, depth, allowed)
    if strategy in BY_MEANING:
        return near
    words = state.word_scores(terms_of(query.text))
    both = np.union1d(near.positions, state.matching(words, depth, allowed))
    return state.scored(both, query.vector, words)


@dataclass(frozen=True)
class Hit:
    """An example that a search found."""

    example: Example
    rank: int
    score: float
    """The strategy's."""
    similarity: float
    """The cosine with the query."""
    label: str | None

    def to_dict(self) -> dict[str, Any]:
        """Give plain data: the example's row, with rank, scores and label in effect."""
        scores = {"rank": self.rank, "score": self.score, "similarity": self.similarity}
        return {**scores, **self.example.to_dict(), "label": self.label}


def search_examples(
    index: ExampleIndex, text: str, k: int, *, strategy: str | Strategy, seed: int, where: Where
) -> list[Hit]:
    """Find and rank the k examples of an index that a strategy puts first."""
    vector = index.embedder.embed([text], kind="query")[0]
    with index.store.database.read() as connection:
        state = index.refresh(connection)
        allowed = index.allowed(state, connection, where) if where else None
        found = find_candidates(state, Query(text, vector), strategy, k, seed, allowed)
        ranking = select_examples(pool_of(found, seed), strategy=strategy)
        best = found.at(ranking.positions[:k])
        examples = index.store.by_keys(best.keys.tolist(), connection)
    parts = zip(
        examples, ranking.scores[:k].tolist(), best.similarity.tolist(), best.labels, strict=True
    )
    return [
        Hit(example, rank, score, cosine, label)
        for rank, (example, score, cosine, label) in enumerate(parts, start=1)
    ]


def make_shortlist(
    index: ExampleIndex, state: State, connection: Connection, query: Query | None,
    settings: Settings,
) -> Shortlist:  # fmt: skip
    """Search a state of an index, in its snapshot; without a query, for its labels alone."""
    store = index.store
    found = below = Candidates.none()
    notes = []
    if query is not None:
        allowed = index.allowed(state, connection, settings.where) if settings.where else None
        if settings.exclude_self:
            others = ~state.with_text(text_number(query.text))
            if left_out := int((state.alive & ~others).sum()):
                notes.append(
                    f"{left_out:,} rows of {store.name} with the query's own text left out"
                )
            allowed = others if allowed is None else allowed & others
        if allowed is not None and not (state.alive & allowed).any():
            notes.append(f"no row of {store.name} meets the conditions")
        found = find_candidates(state, query, settings.strategy, settings.k, settings.seed, allowed)
        if settings.min_score is not None:
            near_enough = found.similarity >= settings.min_score
            found, below = found.at(near_enough), found.at(~near_enough)
    return Shortlist(
        candidates=found,
        below=below,
        depth=max(SHORTLIST, settings.k),
        fetch=lambda keys: store.by_keys(keys, connection),
        labels=state.labels,
        label_definitions=index.settings(state, connection).label_definitions,
        volume=state.volume,
        store=store.name,
        pending=state.pending,
        rows=len(state),
        notes=tuple(notes),
        origin={
            "uid": state.origin.uid,
            "revision": state.origin.revision,
            "embedder": state.origin.fingerprint,
        },
    )

"""From a query to a shortlist: which rows a strategy gets to rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from promptlib.embedding.embedder import Vectors
from promptlib.example import Example
from promptlib.filtering import Where
from promptlib.index.candidates import Candidates
from promptlib.index.lexical import terms_of
from promptlib.index.nearest import Scan
from promptlib.index.state import Mask, State
from promptlib.index.vector import SHORTLIST, ExampleIndex
from promptlib.selection.pool import Strategy, Weights
from promptlib.selection.strategies import AUTO, BY_MEANING, QUERY_FREE, STRATEGIES
from promptlib.shortlisted import rank_candidates
from promptlib.store.settings import Tuned

SAMPLE = 512
"""Rows of a store that `diverse` chooses from, drawn at random."""


@dataclass(frozen=True)
class Query:
    """What is searched for: a text and its unit vector (dim,)."""

    text: str
    vector: Vectors
    begun: Scan | None = None
    """What a scan for many queries found for it."""


def find_candidates(
    state: State, query: Query, strategy: str | Strategy, depth: int, seed: int,
    allowed: Mask | None = None,
) -> Candidates:  # fmt: skip
    """Find the rows that a strategy ranks, nearest first.

    The `depth` nearest, for strategies by meaning; those and as many by words, for the others;
    rows drawn from the whole store, for those that need no query.
    """
    if strategy in QUERY_FREE:
        count = max(depth, SAMPLE) if strategy == "diverse" else depth
        return state.sample(query.vector, count, seed, allowed)
    near = state.nearest(query.vector, depth, allowed, query.begun)
    if strategy in BY_MEANING:
        return near
    known = state.known_terms(terms_of(query.text))
    words = state.word_scores(known)
    matching = state.matching(words, depth, allowed)
    found = state.joined(near, matching, query.vector, words)
    needs_words = strategy == "coverage" or callable(strategy)
    return state.words_in(found, known) if needs_words else found


def chosen_strategy(
    strategy: str | Strategy, asked: Mapping[str, Any], tuned: Tuned | None, fingerprint: str
) -> tuple[str | Strategy, Weights]:
    """Say what `auto` stands for: what was measured with this embedder, or the built-in default.

    Weights that are asked for stand.
    """
    if strategy != "auto":
        return strategy, Weights(**asked)
    if tuned is None or tuned.embedder != fingerprint or tuned.strategy not in STRATEGIES:
        return AUTO, Weights(**asked)
    known = {spec.name for spec in fields(Weights)}
    measured = {name: value for name, value in tuned.weights.items() if name in known}
    return tuned.strategy, Weights(**{**measured, **asked})


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
        tuned = index.settings(state, connection).tuned
        strategy, weights = chosen_strategy(strategy, {}, tuned, state.origin.fingerprint)
        depth = max(SHORTLIST, k)
        found = find_candidates(state, Query(text, vector), strategy, depth, seed, allowed)
        ranking = rank_candidates(found, strategy, seed=seed, weights=weights, depth=k)
        best = found.at(ranking.positions[:k])
        examples = index.store.by_keys(best.keys.tolist(), connection)
    parts = zip(
        examples, ranking.scores[:k].tolist(), best.similarity.tolist(), best.labels, strict=True
    )
    return [
        Hit(example, rank, score, cosine, label)
        for rank, (example, score, cosine, label) in enumerate(parts, start=1)
    ]

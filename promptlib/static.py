"""Static examples: chosen once for a store as a whole, shown in every prompt of a template."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection

from promptlib.example import Example
from promptlib.filtering import Where
from promptlib.index.state import State
from promptlib.index.vector import SHORTLIST, ExampleIndex
from promptlib.retrieval import Query, find_candidates
from promptlib.shortlist import repeats
from promptlib.shortlisted import rank_candidates
from promptlib.store.lookups import ReadOnce
from promptlib.templating.frontmatter import StaticSpec


def choose_static(
    index: ExampleIndex, state: State, connection: Connection, spec: StaticSpec, where: Where
) -> tuple[Example, ...]:
    """Choose the static examples of a template from one state of its store."""
    fetch = ReadOnce(connection)
    nothing = Query("", np.zeros(index.embedder.dim, np.float32))
    allowed = index.allowed(state, connection, where) if where else None
    depth = max(SHORTLIST, spec.k)
    found = find_candidates(state, nothing, spec.strategy, depth, spec.seed, allowed)
    found = found.at(~repeats(found, fetch))
    ranking = rank_candidates(found, spec.strategy, seed=spec.seed, depth=spec.k)
    best = found.at(ranking.positions[: spec.k])
    return tuple(fetch(best.keys.tolist()))

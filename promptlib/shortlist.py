"""From what a search finds to what may be shown: own text, repeats and the unlike left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from sqlalchemy import Connection

from promptlib.budget.fit import DropReason
from promptlib.embedding.embedder import Vectors
from promptlib.explaining import LeftOut
from promptlib.index.candidates import Candidates
from promptlib.index.lexical import terms_of
from promptlib.index.nearest import Scan
from promptlib.index.state import Mask, State
from promptlib.index.vector import SHORTLIST, ExampleIndex
from promptlib.retrieval import SAMPLE, Query, chosen_strategy, find_candidates
from promptlib.selection.strategies import NO_WORDS, QUERY_FREE
from promptlib.settings import Settings
from promptlib.shortlisted import Fetch, Shortlist
from promptlib.store.settings import Tuned
from promptlib.templating.template import Template
from promptlib.text import canonical_json, text_number

SPARE = 16
"""Candidates that are looked for beyond those wanted: some say the same as others."""


def make_shortlist(
    index: ExampleIndex, state: State, connection: Connection, fetch: Fetch,
    query: Query | None, settings: Settings, template: Template,
) -> Shortlist:  # fmt: skip
    """Search a state of an index, in its snapshot; without a query, for its labels alone.

    `fetch` reads examples in that snapshot.
    """
    store = index.store
    notes: list[str] = []

    left_out: LeftOut = ()
    if query is None:
        found = Candidates.none()
    else:
        allowed = index.allowed(state, connection, settings.where) if settings.where else None
        if allowed is not None and not (state.alive & allowed).any():
            notes.append(f"no row of {store.name} meets the conditions")
        found, left_out = find_usable(
            state, query, settings, fetch, allowed, static=static_ids(template)
        )
        if own := sum(len(rows) for why, rows in left_out if why is DropReason.EQUALS_QUERY):
            notes.append(f"{own:,} rows of {store.name} with the query's own text left out")
    return Shortlist(
        candidates=found,
        left_out=left_out,
        depth=max(SHORTLIST, settings.k),
        fetch=fetch,
        labels=state.labels,
        label_definitions=index.settings(state, connection).label_definitions,
        volume=state.volume,
        notes=tuple(notes),
        store={
            "name": store.name,
            "uid": state.origin.uid,
            "revision": state.origin.revision,
            "embedder": state.origin.fingerprint,
        },
    )


def static_ids(template: Template) -> list[str]:
    """List the examples that every prompt of a template shows."""
    shown = template.static if "static_examples" in template.uses else ()
    return [example.id for example in shown]


def settled(settings: Settings, tuned: Tuned | None, fingerprint: str) -> Settings:
    """Say what `auto` stands for, for one store."""
    if settings.strategy != "auto":
        return settings
    strategy, weights = chosen_strategy(settings.strategy, settings.asked, tuned, fingerprint)
    return replace(settings, strategy=strategy, weights=weights)


def begin_searches(
    state: State, settings: Settings, template: Template, queries: Vectors
) -> Sequence[Scan | None]:
    """Do at once for many queries (n, dim) what `make_shortlist` of each would begin with."""
    if settings.where or settings.strategy in QUERY_FREE:
        return [None] * len(queries)
    return state.scan(queries, _first_depth(settings, static_ids(template)))


def _first_depth(settings: Settings, static: Sequence[str]) -> int:
    return max(SHORTLIST, settings.k) + SPARE + len(static)


def find_usable(
    state: State, query: Query, settings: Settings, fetch: Fetch, allowed: Mask | None = None,
    hides: Callable[[Candidates], Mask] | None = None, static: Sequence[str] = (),
) -> tuple[Candidates, LeftOut]:  # fmt: skip
    """Find the rows that a strategy may rank, and those it may not, with the reason.

    The search goes deeper until there are enough of the first. `hides` marks more rows that count
    as the query's own; those with the ids of `static` are shown already.
    """
    wanted = max(SHORTLIST, settings.k)
    depth = _first_depth(settings, static)
    while True:
        found = find_candidates(state, query, settings.strategy, depth, settings.seed, allowed)
        own = _own(found, query, settings)
        if hides is not None:
            own = own | hides(found)
        marked = {
            DropReason.EQUALS_QUERY: own,
            DropReason.DUPLICATE: repeats(found, fetch) & ~own,
        }
        if static:
            marked[DropReason.STATIC] = np.isin(found.ids, static) & ~own
        left_out = {why: rows for why, rows in marked.items() if rows.any()}
        usable = np.ones(len(found), bool)
        for rows in left_out.values():
            usable &= ~rows
        if np.count_nonzero(usable) >= wanted or len(found) < depth:
            break
        depth *= 4
    kept = found.at(usable) if left_out else found
    kept = kept.at(_best(kept, SAMPLE if settings.strategy == "diverse" else wanted))
    if settings.explain and settings.strategy in NO_WORDS:
        known = state.known_terms(terms_of(query.text))
        kept, found = (state.with_word_scores(part, known) for part in (kept, found))
    if settings.min_score is not None and query.text:
        near_enough = kept.similarity >= settings.min_score
        far = kept.at(~near_enough)
        kept = kept.at(near_enough)
        return kept, [*_parts(found, left_out, wanted), (DropReason.BELOW_MIN_SCORE, far)]
    return kept, _parts(found, left_out, wanted)


def _own(found: Candidates, query: Query, settings: Settings) -> Mask:
    """Mark the rows that have the query's own text, where those are to be left out."""
    if not (settings.exclude_self and query.text):
        return np.zeros(len(found), bool)
    own: Mask = found.texts == np.uint64(text_number(query.text))
    return own


def repeats(found: Candidates, fetch: Fetch) -> Mask:
    """Mark the rows that say what a row before them says: the same input and the same output."""
    marked = np.zeros(len(found), bool)
    if len({*found.texts.tolist()}) == len(found):
        return marked
    _, group, sizes = np.unique(found.texts, return_inverse=True, return_counts=True)
    suspects = np.flatnonzero(sizes[group] > 1)
    seen: set[str] = set()
    for at, example in zip(suspects, fetch(found.keys[suspects].tolist()), strict=True):
        said = canonical_json([example.input, example.output])
        marked[at] = said in seen
        seen.add(said)
    return marked


def _best(found: Candidates, wanted: int) -> Mask | slice:
    """Mark the first, and those that share most words."""
    if not found.lexical.any():
        return slice(wanted)
    by_words = np.empty(len(found), np.int64)
    by_words[np.argsort(-found.lexical, kind="stable")] = np.arange(len(found))
    best: Mask = (np.arange(len(found)) < wanted) | ((by_words < wanted) & (found.lexical > 0))
    return best


def _parts(found: Candidates, left_out: dict[DropReason, Mask], most: int) -> LeftOut:
    return [(why, found.at(np.flatnonzero(rows)[:most])) for why, rows in left_out.items()]

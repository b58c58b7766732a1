"""What an index answers from: a base, the rows changed since, and which rows are alive.

A State never changes. Catching up makes the next one, so readers need no lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.embedding.embedder import Vectors
from promptlib.hint import Volume
from promptlib.index.base import Base, Origin, Rows
from promptlib.index.bm25 import Corpus, KnownTerm, Part, known_terms, word_weights
from promptlib.index.candidates import Candidates, Scored
from promptlib.index.halves import products
from promptlib.index.lots import draw_lots
from promptlib.index.nearest import SUMMED, Scan, make_selector
from promptlib.index.volumes import count_volume
from promptlib.index.word_scores import WordScores
from promptlib.store.vectors import Halves

DIGITS = 5
"""Scores are rounded to this many digits and ties break by id, so that threads, batches and
the order of insertion never change a prompt."""

WHOLE_TIES = 100_000
"""Rows of one score that are looked at to find those with the first ids."""

Mask = NDArray[np.bool_]
Positions = NDArray[np.int64]
"""Of rows in a State: those of the base, then those of the delta."""

NOTHING = Scan(0, np.zeros(0, np.int64), -1.0)
"""Of a base without rows that may be found."""


@dataclass(frozen=True)
class State:
    """A store's retrievable rows as of `origin`."""

    origin: Origin
    base: Base
    delta: Rows
    alive: Mask
    """Of each base row, then each delta row."""
    pending: int
    """Rows that can't be found because they have no vector for this embedder."""

    def __len__(self) -> int:
        return self._living

    @property
    def changed(self) -> int:
        """How many rows differ from the base: what catching up has cost so far."""
        return len(self.delta) + len(self._words.parts[0].dead)

    # -- finding ---------------------------------------------------------------------------------

    def scan(self, queries: Vectors, k: int) -> list[Scan]:
        """Begin to look for the k nearest rows to each of many unit vectors (n, dim) at once."""
        return self._scan(queries, k + self.base.finder.margin, self.alive)

    def nearest(
        self, query: Vectors, k: int, allowed: Mask | None = None, begun: Scan | None = None
    ) -> Candidates:
        """Find the k nearest rows to a unit vector (dim,); fewer when there are fewer.

        `allowed` marks, by position, the rows that may be found; the dead never are. `begun` is the
        query's part of a `scan` for as many.
        """
        alive = self.alive if allowed is None else self.alive & allowed
        count = self._living if allowed is None else int(np.count_nonzero(alive))
        k, fetch = min(k, count), min(k + self.base.finder.margin, count)
        if not k:
            return Candidates.none(len(query))
        while True:
            positions, ceiling = self._fetch(query, fetch, alive, begun)
            found = self._compared(positions, query)
            if ceiling is None:
                ceiling = found.similarity[fetch - 1] if len(positions) >= fetch else -1.0
            # A tie at the cut must be seen whole, since ids decide it.
            if (
                fetch == count
                or fetch > WHOLE_TIES
                or found.similarity[k - 1] - ceiling > 2 * 10**-DIGITS
            ):
                return self._candidates(found.first(k))
            fetch = min(fetch * 4, count)

    def matching(self, words: WordScores, k: int, allowed: Mask | None = None) -> Positions:
        """Find the k rows that match best by `word_scores`; rows that share no word aren't found.

        Ties at the cut are broken by id.
        """
        alive = self.alive if allowed is None else self.alive & allowed
        positions, scores = words.best(k, alive)
        if len(positions) > k:
            order = np.lexsort((self.ids_at(positions), -scores))
            positions = positions[order[:k]]
        return positions

    def sample(self, query: Vectors, k: int, seed: int, allowed: Mask | None = None) -> Candidates:
        """Draw k rows at random, the same ones for the same seed, in the order of the draw.

        The query changes nothing, and the first of more are those of fewer.
        """
        alive = np.flatnonzero(self.alive if allowed is None else self.alive & allowed)
        drawn = self.draw(alive, k, seed)
        found = self.scored(drawn, query)
        places = {position: at for at, position in enumerate(found.positions.tolist())}
        return found.at([places[position] for position in drawn.tolist()])

    def draw(self, positions: Positions, k: int, seed: int) -> Positions:
        """Draw k of these rows at random, by their texts, wherever they happen to lie."""
        texts = self._gather(positions, self.base.rows.texts, self.delta.texts)
        lots = draw_lots(texts, seed)
        if k < len(positions):
            drawn = lots <= np.partition(lots, k)[k]  # all of a tie at the cut, which ids decide
            positions, lots = positions[drawn], lots[drawn]
        order = np.lexsort((self.ids_at(positions), lots))
        return positions[order[:k]]

    def without(self, ids: Collection[str]) -> Mask:
        """Mark the rows that have none of these ids."""
        return ~np.isin(self.ids_at(slice(None)), list(ids))

    def scored(self, positions: Positions, query: Vectors) -> Candidates:
        """Score rows by the cosine, and put the nearest first; ties by id."""
        return self._candidates(self._compared(positions, query))

    def joined(
        self, near: Candidates, positions: Positions, query: Vectors, words: WordScores
    ) -> Candidates:
        """Add rows that were found by their words to the nearest; all get both scores."""
        is_near = np.zeros(len(self.alive), bool)
        is_near[near.positions] = True
        more = self._compared(positions[~is_near[positions]], query)
        both = Scored(near.positions, near.ids, near.similarity).and_more(more)
        return replace(self._candidates(both), lexical=words.at(both.positions))

    def known_terms(self, terms: Counter[int]) -> list[KnownTerm]:
        """Look up the terms of a query among the rows."""
        return known_terms(terms, self._words)

    def word_scores(self, known: Sequence[KnownTerm]) -> WordScores:
        """Score rows for the terms of a query by BM25, rounded to DIGITS."""
        return WordScores(known, self._words, DIGITS)

    def words_in(self, found: Candidates, known: Sequence[KnownTerm]) -> Candidates:
        """Add to candidates which of a query's terms they have, by inverse document frequency."""
        return replace(found, words=word_weights(known, self._words, found.positions))

    def with_word_scores(self, found: Candidates, known: Sequence[KnownTerm]) -> Candidates:
        """Add the BM25 scores to candidates that were found without them."""
        return replace(found, lexical=self.word_scores(known).at(found.positions))

    # -- facts -----------------------------------------------------------------------------------

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels of the rows, sorted."""
        return tuple(self.volume.classes)

    @cached_property
    def volume(self) -> Volume:
        """Count what the advice hint asks about."""
        living = self.alive[len(self.base.rows) :]
        return count_volume(self.base, self._words.parts[0].dead, self.delta, living)

    def labels_at(self, positions: Positions) -> NDArray[np.object_]:
        """Read the labels of rows; None for those without."""
        codes = self._gather(positions, self.base.rows.labels, self._delta_codes)
        labels: NDArray[np.object_] = self._label_names[codes]  # code -1 reads the last, None
        return labels

    def vectors_at(self, positions: Positions) -> Halves:
        """Read the vectors of rows."""
        found: Halves = self._gather(positions, self.base.rows.vectors, self.delta.vectors)
        return found

    def keys_at(self, positions: Positions) -> NDArray[np.int64]:
        """Read the keys of rows."""
        keys: NDArray[np.int64] = self._gather(positions, self.base.rows.keys, self.delta.keys)
        return keys

    def with_labels(self, names: frozenset[str]) -> Mask:
        """Mark the rows that have one of these labels."""
        codes = self._gather(slice(None), self.base.rows.labels, self._delta_codes)
        wanted = [code for code, name in enumerate(self._label_names[:-1]) if name in names]
        return np.isin(codes, wanted)

    # -- parts -----------------------------------------------------------------------------------

    def _compared(self, positions: Positions, query: Vectors) -> Scored:
        # FAISS's sums depend on its kernel; these don't, so that equal texts score equal.
        similarity = products(self.vectors_at(positions), query).clip(-1, 1).round(DIGITS)
        return Scored(positions, self.ids_at(positions), similarity).nearest_first()

    def _candidates(self, found: Scored) -> Candidates:
        positions = found.positions
        return Candidates(
            positions=positions,
            keys=self.keys_at(positions),
            ids=found.ids,
            labels=self.labels_at(positions),
            similarity=found.similarity,
            lexical=np.zeros(len(positions)),
            texts=self._gather(positions, self.base.rows.texts, self.delta.texts),
            words=np.zeros((len(positions), 0)),
            read_vectors=self.vectors_at,
        )

    def _fetch(
        self, query: Vectors, count: int, alive: Mask, begun: Scan | None
    ) -> tuple[Positions, float | None]:
        """Find positions among base and delta: at least the `count` nearest of each.

        Also gives the cosine that no other row exceeds; None where the base can't tell.
        """
        [(_, found, ceiling)] = self._scan(query[None], count, alive, begun)
        if not len(self.delta):
            return found, ceiling
        base_rows = len(self.base.rows)
        changed = np.flatnonzero(alive[base_rows:])
        if len(changed) > count:
            scores = self.delta.vectors[changed].astype(np.float32) @ query
            order = np.argpartition(-scores, count)
            changed = changed[order[:count]]
            if ceiling is not None:
                ceiling = max(ceiling, float(scores[order[count]]) + SUMMED)
        return np.concatenate([found, changed + base_rows]), ceiling

    def _scan(
        self, queries: Vectors, count: int, alive: Mask, begun: Scan | None = None
    ) -> list[Scan]:
        """Find the `count` nearest of the base's rows that are marked, unless `begun` is that."""
        in_base = alive[: len(self.base.rows)]
        is_all = alive is self.alive
        wanted = min(count, self._words.parts[0].rows if is_all else np.count_nonzero(in_base))
        if is_all and begun is not None and begun.wanted == wanted:
            return [begun]
        if not wanted:
            return [NOTHING] * len(queries)
        selector = self._selector if is_all else make_selector(in_base)
        return self.base.finder.find(queries, int(wanted), in_base, selector)

    @cached_property
    def _selector(self) -> Any:
        return make_selector(self.alive[: len(self.base.rows)])

    @cached_property
    def _words(self) -> Corpus:
        base_rows = len(self.base.rows)
        parts = [Part(self.base.rows.words, self.alive[:base_rows])]
        if len(self.delta):
            parts.append(Part(self.delta.words, self.alive[base_rows:]))
        return Corpus(tuple(parts))

    @cached_property
    def _living(self) -> int:
        return int(np.count_nonzero(self.alive))

    def ids_at(self, positions: Positions | slice) -> NDArray[np.str_]:
        """Read the ids of rows."""
        ids: NDArray[np.str_] = self._gather(positions, self.base.rows.ids, self.delta.ids)
        return ids

    def _gather(self, positions: Any, base: Any, delta: Any) -> Any:
        """Take from the base's array and the delta's as if they were one."""
        if not len(self.delta):
            return base[positions]
        if isinstance(positions, slice):
            return np.concatenate([base, delta])[positions]
        in_base = positions < len(base)
        out = np.empty((len(positions), *base.shape[1:]), np.result_type(base.dtype, delta.dtype))
        out[in_base] = base[positions[in_base]]
        out[~in_base] = delta[positions[~in_base] - len(base)]
        return out

    @cached_property
    def _label_names(self) -> NDArray[np.object_]:
        # One list for both: the delta's names come after the base's.
        names = (*self.base.rows.label_names, *self.delta.label_names, None)
        return np.array(names, dtype=object)

    @cached_property
    def _delta_codes(self) -> NDArray[np.int32]:
        codes = self.delta.labels
        return np.where(codes < 0, -1, codes + len(self.base.rows.label_names)).astype(np.int32)

"""The rows of a store as an audit looks at them: texts, vectors, labels and neighbours."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from promptlib.audit.copies import (
    NEIGHBOURS,
    Neighbours,
    Twins,
    find_neighbours,
    find_twins,
    letter_vectors,
)
from promptlib.curation.likeness import NEAR_DUPLICATE
from promptlib.embedding.embedder import Progress, Vectors
from promptlib.errors import StoreError
from promptlib.example import Example, output_text, retrieval_text
from promptlib.store.database import batched
from promptlib.store.planning import Edit
from promptlib.store.settings import StoreSettings
from promptlib.store.store import ExampleStore
from promptlib.store.vectors import embed_missing, vectors_of
from promptlib.text import text_hash

Codes = NDArray[np.int64]

MOST = 500_000
"""Rows: these take an hour and 6 GB, and four times as many sixteen times as long."""


@dataclass(frozen=True)
class AuditRows:
    """Rows of a store that nobody has rejected, in the order of their ids."""

    store: str
    settings: StoreSettings
    examples: Sequence[Example] = field(repr=False)
    labels: Sequence[str | None] = field(repr=False)
    """In effect."""
    texts: Sequence[str] = field(repr=False)
    """By which rows are found, each once."""
    text_of: Codes = field(repr=False)
    """Of each row, its place in `texts`."""
    vectors: Vectors = field(repr=False)
    """Of `texts`: unit rows, (texts, dim)."""
    near: float
    """Rows at least so similar (cosine) are near copies."""
    reviewed: frozenset[str] = frozenset()
    """Ids of rows that somebody has looked at, and that are as they were left."""
    progress: Progress | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.examples)

    @cached_property
    def label_names(self) -> list[str]:
        """All labels, sorted."""
        return sorted({label for label in self.labels if label is not None})

    @cached_property
    def codes(self) -> Codes:
        """Of each row's label, its place in `label_names`; -1 without one."""
        places = {name: code for code, name in enumerate(self.label_names)}
        return np.array([places.get(label or "", -1) for label in self.labels], np.int64)

    @cached_property
    def inputs(self) -> list[str]:
        """Each row's whole input as text."""
        return [retrieval_text(example.input) for example in self.examples]

    @cached_property
    def outputs(self) -> list[str]:
        """Each row's output as text; "" for a draft without one."""
        return [output_text(e.output) if e.output is not None else "" for e in self.examples]

    @cached_property
    def normal(self) -> list[str]:
        """Each row's input as `normalised` makes it."""
        return list(map(normalised, self.inputs))

    @cached_property
    def normal_texts(self) -> list[str]:
        """Each of `texts` as `normalised` makes it."""
        return list(map(normalised, self.texts))

    @cached_property
    def letters(self) -> Vectors:
        """The letters of each of `texts` as a unit vector; see `letter_vectors`."""
        return letter_vectors(self.normal_texts)

    @cached_property
    def neighbours(self) -> Neighbours:
        """The nearest other texts of each text."""
        return find_neighbours(self.vectors, NEIGHBOURS, self.progress)

    @cached_property
    def twins(self) -> Twins:
        """Pairs of texts that are near copies, by meaning or by letters."""
        return find_twins(self.neighbours, self.normal_texts, self.letters, self.vectors, self.near)

    @cached_property
    def rows_of_text(self) -> list[list[int]]:
        """Of each text, the rows that have it."""
        found: list[list[int]] = [[] for _ in self.texts]
        for row, text in enumerate(self.text_of.tolist()):
            found[text].append(row)
        return found

    def distinct_rows(self, text: int) -> list[int]:
        """Give the rows with a text, one of each answer."""
        kept: dict[tuple[str | None, str], int] = {}
        for row in self.rows_of_text[text]:
            kept.setdefault((self.labels[row], self.outputs[row]), row)
        return list(kept.values())

    def aside(self, *rows: int) -> list[Edit]:
        """Plan to set rows aside as drafts, which prompts don't show."""
        shown = (self.examples[row] for row in rows)
        return [Edit(e, replace(e, status="draft")) for e in shown if e.status == "approved"]

    def ids(self, rows: Sequence[int]) -> list[str]:
        """Give the ids of rows."""
        return [self.examples[row].id for row in rows]


def read_rows(
    store: ExampleStore, *, near: float = NEAR_DUPLICATE, progress: Progress | None = None
) -> AuditRows:
    """Read the rows that nobody has rejected; those without a vector are embedded.

    Raises StoreError for a store without any, or with more than can be held side by side.
    """
    if len(store) > MOST:
        raise StoreError(
            f"store {store.name!r} has {len(store):,} rows: an audit compares all with all, in "
            f"memory, which is done up to {MOST:,}; look at a part of them, in a store of its own "
            f"(promptlib store export {store.name} part.jsonl --where FIELD=VALUE)"
        )
    rows = [row for row in store.rows() if row.status != "rejected"]
    if not rows:
        raise StoreError(f"store {store.name!r} has no rows to look at")
    settings = store.settings
    examples = [row.example for row in rows]
    found = [retrieval_text(example.input, settings.embed) for example in examples]
    hashes = list(map(text_hash, found))
    # By hash, as vectors are: texts that differ in Unicode's composition alone have one.
    texts: dict[str, str] = {}
    for hash, text in zip(hashes, found, strict=True):
        texts.setdefault(hash, text)
    places = {hash: place for place, hash in enumerate(texts)}
    text_of = np.array([places[hash] for hash in hashes], np.int64)
    if not store.database.read_only:
        embed_missing(store.database, store.embedder, texts, progress)
    with store.database.read() as connection:
        vectors = _matrix(connection, store, list(texts.items()))
    return AuditRows(
        store.name, settings, examples, [row.label for row in rows], list(texts.values()), text_of,
        vectors, near, store.reviewed(), progress,
    )  # fmt: skip


def normalised(text: str) -> str:
    """Reduce a text to its words: no case, no punctuation, one space; marks folded (NFKC)."""
    return " ".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold()))


def _matrix(
    connection: Connection, store: ExampleStore, texts: Sequence[tuple[str, str]]
) -> Vectors:
    made = np.empty((len(texts), store.embedder.dim), np.float32)
    at = 0
    for part in batched(texts):
        found = vectors_of(connection, store.embedder.fingerprint, [hash for hash, _ in part])
        if missing := [text for hash, text in part if hash not in found]:  # nothing may be written
            made_now = store.embedder.embed(missing)
            found |= dict(zip(map(text_hash, missing), made_now, strict=True))
        for hash, _ in part:
            made[at] = found[hash]
            at += 1
    return made

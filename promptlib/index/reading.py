"""Rows of a store as an index has them, read from the database a part at a time."""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, and_, func, select

from promptlib.example import Recipe, retrieval_text
from promptlib.index.base import Rows
from promptlib.index.lexical import PostingsBuilder
from promptlib.store.tables import examples, vectors
from promptlib.store.vectors import embedder_key

PART = 4_096
"""Rows that are in memory as Python objects at a time."""


@dataclass(frozen=True)
class Read:
    """What was read."""

    keys: list[int]
    """Of all rows that were asked for."""
    rows: Rows
    """Those that prompts may show and that have a vector, by id."""
    pending: int
    """Rows that prompts may show, but for want of a vector."""


def read_rows(
    connection: Connection, store: int, fingerprint: str, dim: int, recipe: Recipe,
    changed_after: int | None = None,
) -> Read:  # fmt: skip
    """Read the rows that prompts may show, or all that have changed after a revision."""
    usable = and_(examples.c.status == "approved", ~examples.c.deleted)
    wanted = usable if changed_after is None else examples.c.revision > changed_after
    of_store = and_(examples.c.store == store, wanted)
    embedder = embedder_key(connection, fingerprint)
    with_vectors = examples.outerjoin(
        vectors, and_(vectors.c.embedder == embedder, vectors.c.text_hash == examples.c.text_hash)
    )
    columns = examples.c.key, examples.c.id, examples.c.label, examples.c.text_hash
    query = (
        select(*columns, vectors.c.vector, examples.c.content, usable.label("usable"))
        .select_from(with_vectors)
        .where(of_store)
        .order_by(examples.c.id)
    )
    most = connection.scalar(select(func.count()).where(of_store))
    reader = _Reader(most or 0, dim, recipe)
    for part in connection.execute(query.execution_options(yield_per=PART)).partitions():
        reader.take(part)
    return reader.done()


class _Reader:
    """Puts rows together as they come."""

    def __init__(self, most: int, dim: int, recipe: Recipe) -> None:
        self.recipe = recipe
        self.asked = array("q")
        self.keys, self.codes, self.texts = array("q"), array("i"), array("Q")
        self.ids: list[Any] = []
        self.labels: dict[str, int] = {}
        self.vectors = np.empty((most, dim), np.dtype("<f2"))
        self.words = PostingsBuilder()
        self.pending = 0

    def take(self, part: Any) -> None:
        live = [row for row in part if row.usable and row.vector is not None]
        self.asked.extend(row.key for row in part)
        self.pending += sum(bool(row.usable) for row in part) - len(live)
        if not live:
            return
        start = len(self.keys)
        blobs = b"".join([row.vector for row in live])
        found = np.frombuffer(blobs, "<f2").reshape(len(live), -1)
        self.vectors[start : start + len(live)] = found
        self.ids.append(np.array([row.id for row in live], np.str_))
        for key, _, label, text_hash, _, content, _ in live:
            self.keys.append(key)
            code = -1 if label is None else self.labels.setdefault(label, len(self.labels))
            self.codes.append(code)
            self.texts.append(int(text_hash[:16], 16))
            self.words.add(retrieval_text(json.loads(content)["input"], self.recipe))

    def done(self) -> Read:
        names = tuple(sorted(self.labels))
        numbers = np.full(len(names) + 1, -1, np.int32)  # code -1 reads the last
        for number, name in enumerate(names):
            numbers[self.labels[name]] = number
        rows = Rows(
            keys=np.array(self.keys, np.int64),
            ids=np.concatenate(self.ids) if self.ids else np.zeros(0, np.dtype("U1")),
            labels=numbers[np.array(self.codes, np.int32)],
            label_names=names,
            texts=np.array(self.texts, np.uint64),
            vectors=self.vectors[: len(self.keys)],
            words=self.words.done(),
        )
        return Read(self.asked.tolist(), rows, self.pending)

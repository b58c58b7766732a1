"""Vectors by (embedder, hash of the text), kept as float16: half the disk of float32."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, insert, select

from promptlib.embedding.ahead import worked_ahead
from promptlib.embedding.embedder import Coverage, Embedder, Progress, Vectors, embed_and_cover
from promptlib.store.database import Database, batched
from promptlib.store.lookups import Prepared, items_of
from promptlib.store.tables import embedders, vectors

Halves = NDArray[np.float16]
"""Unit vectors as they are stored."""

ROWS = 8_000
"""Rows whose texts are sorted by length together: so many that batches hold little padding."""
BATCH = 65_536
"""Characters of texts embedded and committed at a time: a second's work or two."""


def embed_missing(
    database: Database,
    embedder: Embedder,
    texts: Mapping[str, str],
    progress: Progress | None = None,
) -> Coverage:
    """Embed and store what has no vector yet; `texts` is hash -> text. Returns what was read.

    Each batch is committed by itself: content-keyed vectors are invisible until a row uses them,
    so an interrupted run loses the few that are under way and goes on from there.
    """
    if not texts:
        return Coverage()
    with database.read() as connection:
        known = stored_hashes(connection, embedder.fingerprint, texts)
    missing = sorted((h for h in texts if h not in known), key=lambda h: (len(texts[h]), h))
    coverage, done = Coverage(), 0

    def embed(part: list[str]) -> tuple[list[str], Vectors, Coverage]:
        return part, *embed_and_cover(embedder, [texts[h] for h in part])

    # Of two threads, one cuts texts into tokens while the model works for the other.
    parts = _parts(missing, [len(texts[h]) for h in missing])
    for part, made, read in worked_ahead(embed, parts, threads=2):
        with database.write() as connection:
            put_vectors(connection, embedder, part, made)
        coverage += read
        done += len(part)
        if progress is not None:
            progress(done, len(missing))
    return coverage


def _parts(hashes: list[str], lengths: list[int]) -> Iterator[list[str]]:
    """Cut what is to be embedded into parts of BATCH characters, or one text that is longer."""
    start = size = 0
    for at, length in enumerate(lengths):
        if at > start and size + length > BATCH:
            yield hashes[start:at]
            start, size = at, 0
        size += length
    if hashes:
        yield hashes[start:]


def embedder_key(connection: Connection, fingerprint: str) -> int | None:
    """Find the number under which an embedder's vectors are kept."""
    query = select(embedders.c.key).where(embedders.c.fingerprint == fingerprint)
    return connection.scalar(query)


def stored_hashes(connection: Connection, fingerprint: str, hashes: Iterable[str]) -> set[str]:
    """Find which of these texts have a vector."""
    key = embedder_key(connection, fingerprint)
    if key is None:
        return set()
    return {found for (found,) in _STORED.all(connection, key, json.dumps([*hashes]))}


_STORED = Prepared(
    select(vectors.c.text_hash).where(
        vectors.c.embedder == bindparam("its_embedder"), vectors.c.text_hash.in_(items_of("hashes"))
    )
)


def vectors_of(connection: Connection, fingerprint: str, hashes: list[str]) -> dict[str, Vectors]:
    """Read the vectors of texts, by hash, where they are stored."""
    key = embedder_key(connection, fingerprint)
    if key is None:
        return {}
    found: dict[str, Vectors] = {}
    for part in batched(hashes):
        query = select(vectors.c.text_hash, vectors.c.vector).where(
            vectors.c.embedder == key, vectors.c.text_hash.in_(part)
        )
        for text_hash, blob in connection.execute(query):
            found[text_hash] = np.frombuffer(blob, dtype="<f2").astype(np.float32)
    return found


def put_vectors(
    connection: Connection, embedder: Embedder, hashes: list[str], made: Vectors
) -> None:
    """Store vectors; those that another process has stored meanwhile are left as they are."""
    key = embedder_key(connection, embedder.fingerprint)
    if key is None:
        row = insert(embedders).values(fingerprint=embedder.fingerprint, dim=made.shape[1])
        key = connection.execute(row.returning(embedders.c.key)).scalar_one()
    known = stored_hashes(connection, embedder.fingerprint, hashes)
    rows = [
        {"embedder": key, "text_hash": h, "vector": vector.tobytes()}
        for h, vector in zip(hashes, made.astype("<f2"), strict=True)
        if h not in known
    ]
    if rows:
        connection.execute(insert(vectors), rows)

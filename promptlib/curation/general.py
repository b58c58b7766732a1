"""A small sample of everyday English, to hold a store's texts against (data/curation)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from promptlib.embedding.embedder import Embedder, Vectors
from promptlib.store.database import Database
from promptlib.store.vectors import embed_missing, vectors_of
from promptlib.text import text_hash

FILE = Path(__file__).resolve().parent.parent / "data" / "curation" / "general.txt"


@cache
def general_texts() -> list[str]:
    """Read the sample: a thousand sentences."""
    return FILE.read_text(encoding="utf-8").splitlines()


def general_vectors(database: Database, embedder: Embedder) -> Vectors:
    """Give the sample's vectors, (texts, dim): embedded once, where they can be kept."""
    texts = general_texts()
    hashes = [text_hash(text) for text in texts]
    if database.read_only:
        return embedder.embed(texts)
    embed_missing(database, embedder, dict(zip(hashes, texts, strict=True)))
    with database.read() as connection:
        found = vectors_of(connection, embedder.fingerprint, hashes)
    return np.stack([found[each] for each in hashes])

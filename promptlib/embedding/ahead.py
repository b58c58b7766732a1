"""Embed queries while prompts are built of those before them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice

from promptlib.embedding.embedder import Embedder, Vectors

PART = 64
"""Texts that are embedded at a time."""


def embedded_ahead(embedder: Embedder, texts: Sequence[str]) -> Iterator[Vectors]:
    """Give the vector of each query, (dim,); the next part is being made while one is used."""
    embed = partial(embedder.embed, kind="query")
    parts = [texts[start : start + PART] for start in range(0, len(texts), PART)]
    if len(parts) < 2:
        for part in parts:
            yield from embed(part)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="promptlib-ahead") as thread:
        coming = [thread.submit(embed, part) for part in parts[:2]]
        waiting = iter(parts[2:])
        while coming:
            yield from coming.pop(0).result()
            coming += [thread.submit(embed, part) for part in islice(waiting, 1)]

"""Embed what comes next while what came before is worked with."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TypeVar

from promptlib.embedding.embedder import Embedder, Vectors

PART = 64
"""Queries that are embedded at a time."""

T = TypeVar("T")
R = TypeVar("R")


def worked_ahead(work: Callable[[T], R], items: Iterable[T], threads: int = 1) -> Iterator[R]:
    """Give what `work` makes of each item, in order; so many and one more are under way."""
    waiting = iter(items)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="promptlib-ahead")
    try:
        coming = deque(pool.submit(work, item) for item in islice(waiting, threads + 1))
        while coming:
            yield coming.popleft().result()
            coming.extend(pool.submit(work, item) for item in islice(waiting, 1))
    finally:
        pool.shutdown(cancel_futures=True)


def embedded_ahead(embedder: Embedder, texts: Sequence[str]) -> Iterator[Vectors]:
    """Give the vector of each query, (dim,); the next part is being made while one is used."""
    embed = partial(embedder.embed, kind="query")
    parts = [texts[start : start + PART] for start in range(0, len(texts), PART)]
    made = map(embed, parts) if len(parts) < 2 else worked_ahead(embed, parts)
    for vectors in made:
        yield from vectors

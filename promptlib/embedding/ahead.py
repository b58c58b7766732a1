"""Embed what comes next while what came before is worked with."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from promptlib.embedding.embedder import Embedder, Vectors

PART, LEAST = 128, 32
"""Queries that are embedded at a time, at the most and at the least."""

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


def embedded_ahead(
    embedder: Embedder, texts: Sequence[str], then: Callable[[Vectors], Sequence[T]]
) -> Iterator[tuple[int, Vectors, T]]:
    """Give the place of each query, its vector (dim,) and what `then` makes of it, longest first.

    Queries of like length are embedded together, the next part while one is used; `then` takes the
    vectors of a part.
    """
    order = sorted(range(len(texts)), key=lambda at: -len(texts[at]))
    parts = [*_parts(order)]

    def embed(part: Sequence[int]) -> Iterator[tuple[int, Vectors, T]]:
        vectors = embedder.embed([texts[at] for at in part], kind="query")
        return zip(part, vectors, then(vectors), strict=True)

    made = map(embed, parts) if len(parts) < 2 else worked_ahead(embed, parts, threads=2)
    for part in made:
        yield from part


def _parts(order: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut into parts, a third of what is left each: beside work on the last nothing is embedded."""
    start = 0
    while start < len(order):
        size = max(LEAST, min(PART, (len(order) - start) // 3))
        yield order[start : start + size]
        start += size

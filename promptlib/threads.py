"""How many threads linear algebra may take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS and OpenMP work on one thread: for many small products that is the fastest.

    Their pools wait by spinning; on a busy machine two threads were up to ten times slower.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield

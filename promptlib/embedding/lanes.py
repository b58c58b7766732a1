"""Many batches through a model at once, each on one core: none waits for another's threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from promptlib.forking import ForkAware, abandon

T = TypeVar("T")
R = TypeVar("R")


class Lanes(ForkAware):
    """Threads that share a session of one thread; made on first use, and anew in a forked child."""

    def __init__(self, open_session: Callable[[], Any], count: int) -> None:
        self.count = count
        self._open_session = open_session
        self._opened: tuple[Any, ThreadPoolExecutor] | None = None
        self._renew()
        super().__init__()

    def _renew(self) -> None:
        if self._opened is not None:
            abandon(self._opened)
        self._opened = None
        self._lock = threading.Lock()

    @property
    def session(self) -> Any:
        """The session of one thread, for callers that run it in their own."""
        return self._open()[0]

    def map(self, work: Callable[[Any, T], R], items: Iterable[T]) -> Iterator[R]:
        """Give what `work` makes of the session and each item, in order."""
        session, pool = self._open()
        return pool.map(partial(work, session), items)

    def _open(self) -> tuple[Any, ThreadPoolExecutor]:
        with self._lock:
            if self._opened is None:
                pool = ThreadPoolExecutor(self.count, thread_name_prefix="promptlib-lane")
                self._opened = self._open_session(), pool
            return self._opened

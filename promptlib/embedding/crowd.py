"""A text that comes alone has all cores; those of several threads at once have a core each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

CALM = 8
"""Calls in a row that met no other, after which the next one has all cores again."""


class Crowd:
    """Says what a call may work on; safe to share by threads.

    Cores that work on one text wait for each other at every step of the model, so whatever runs
    beside it stalls them all.
    """

    def __init__(self, cores: int) -> None:
        self._free = threading.Semaphore(cores)
        self._state = threading.Lock()
        self._inside = 0
        self._calm = CALM

    @contextmanager
    def enter(self) -> Iterator[bool]:
        """Wait for a core; gives whether the call may have all of them."""
        with self._state:
            self._inside += 1
            self._calm = 0 if self._inside > 1 else self._calm + 1
            alone = self._calm > CALM
        try:
            with self._free:
                yield alone
        finally:
            with self._state:
                self._inside -= 1

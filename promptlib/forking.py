"""What a forked child must not share with its parent: locks that a thread held, threads,
connections, sessions. Web servers fork workers after loading, so this happens in earnest."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that a fork waits for other threads to leave native code."""

_alive: WeakSet[ForkAware] = WeakSet()


class ForkAware:
    """Something with locks or threads. `_renew` makes them anew, in the child of a fork.

    A subclass calls `super().__init__()` last, when it is ready for that.
    """

    def __init__(self) -> None:
        _alive.add(self)

    def _renew(self) -> None:
        raise NotImplementedError


class _Gate:
    """Keeps forks and native code apart: a child inherits for good what a thread had locked."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.inside: dict[int, int] = {}  # thread -> how often
        self.closing = False

    def enter(self) -> int:
        thread = threading.get_ident()
        with self.changed:
            while self.closing and thread not in self.inside:
                self.changed.wait()
            self.inside[thread] = self.inside.get(thread, 0) + 1
        return thread

    def leave(self, thread: int) -> None:
        with self.changed:
            self.inside[thread] -= 1
            if not self.inside[thread]:
                del self.inside[thread]
                self.changed.notify_all()

    def close(self) -> None:
        """Wait, not for ever, until no other thread is inside, and let none in."""
        self.changed.acquire()
        self.closing = True
        end, me = time.monotonic() + PATIENCE, threading.get_ident()
        while set(self.inside) - {me} and time.monotonic() < end:
            self.changed.wait(end - time.monotonic())

    def open(self) -> None:
        self.closing = False
        self.changed.notify_all()
        self.changed.release()


_gate = _Gate()


@contextmanager
def unforked() -> Iterator[None]:
    """Let no other thread fork meanwhile: SQLite's global locks would stay locked in the child."""
    gate = _gate
    thread = gate.enter()
    try:
        yield
    finally:
        if gate is _gate:  # in a child the count began anew
            gate.leave(thread)


def abandon(thing: object) -> None:
    """Keep what a parent left from ever being freed in its child, not even when that ends.

    Native sessions end their threads when they are freed, and those threads aren't there.
    """
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _renew_all() -> None:
    global _gate
    _gate = _Gate()
    for thing in list(_alive):
        try:
            thing._renew()
        except Exception:  # one that can't be renewed must not keep others from it
            log.exception("%s can't be used in a forked child", type(thing).__name__)
    if "onnxruntime" in sys.modules:
        _end_without_destructors()


def _end_without_destructors() -> None:
    """Let this child end, with its own exit status, right after Python has cleaned up.

    What follows then are the destructors of native libraries: ONNX Runtime's wait for threads
    that only the parent has, without end.
    """
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):  # glibc
        libc.on_exit(libc._exit, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _gate.close(),
        after_in_parent=lambda: _gate.open(),
        after_in_child=_renew_all,
    )

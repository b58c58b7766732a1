"""What a forked child must not share with its parent: locks that a thread held, threads,
connections, sessions. Web servers fork workers after loading, so this happens in earnest."""

from __future__ import annotations

import os
import sys
from weakref import WeakSet

_alive: WeakSet[ForkAware] = WeakSet()


class ForkAware:
    """Something with locks or threads. `_renew` makes them anew, in the child of a fork."""

    def __init__(self) -> None:
        _alive.add(self)

    def _renew(self) -> None:
        raise NotImplementedError


def abandon(thing: object) -> None:
    """Keep what a parent left from ever being freed in its child, not even when that ends.

    Native sessions end their threads when they are freed, and those threads aren't there.
    """
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _renew_all() -> None:
    for thing in list(_alive):
        thing._renew()
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
    os.register_at_fork(after_in_child=_renew_all)

"""What a forked child must not share with its parent: locks that a thread held, threads,
connections, sessions. Web servers fork workers after loading, so this happens in earnest."""

from __future__ import annotations

import os
from weakref import WeakSet

_alive: WeakSet[ForkAware] = WeakSet()


class ForkAware:
    """Something with locks or threads. `_renew` makes them anew, in the child of a fork."""

    def __init__(self) -> None:
        _alive.add(self)

    def _renew(self) -> None:
        raise NotImplementedError


def _renew_all() -> None:
    for thing in list(_alive):
        thing._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)

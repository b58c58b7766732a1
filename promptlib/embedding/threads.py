"""How many threads a model works on, unless it is told: what was fastest here for one text alone,
and one on each core for batches and for texts of several threads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from promptlib.errors import EmbedderError

VARIABLE = "PROMPTLIB_THREADS"
MOST = 4
ROUNDS = 15


def usual_threads() -> int:
    """Give the number for a machine that nothing was measured on."""
    return min(os.cpu_count() or 1, MOST)


def threads_for(facts: Mapping[str, Any]) -> int:
    """Choose: PROMPTLIB_THREADS, what was measured on a machine like this, or the usual number.

    Raises EmbedderError for a variable that isn't a number.
    """
    if told := _told():
        return told
    if facts.get("cores") == os.cpu_count():
        return int(facts["threads"])
    return usual_threads()


def lanes_here() -> int:
    """Say how many calls the model takes at once: PROMPTLIB_THREADS, or one on each core.

    Raises EmbedderError for a variable that isn't a number.
    """
    return _told() or os.cpu_count() or 1


def _told() -> int | None:
    told = os.environ.get(VARIABLE)
    if told and not (told.isdecimal() and int(told)):
        raise EmbedderError(f"{VARIABLE} must be a whole number from 1, not {told!r}")
    return int(told) if told else None


def measure_threads(embed_with: Callable[[int], Callable[[], object]]) -> dict[str, int]:
    """Find the number of threads with which one text is embedded soonest.

    `embed_with` gives for a number of threads what embeds a text; all take turns.
    """
    numbers: Sequence[int] = sorted({1, 2, usual_threads()} & {*range(1, usual_threads() + 1)})
    work = {number: embed_with(number) for number in numbers}
    times: dict[int, list[float]] = {number: [] for number in numbers}
    for _ in range(ROUNDS):
        for number, embed in work.items():
            embed()  # wakes its threads
            start = time.perf_counter()
            embed()
            times[number].append(time.perf_counter() - start)
    best = min(numbers, key=lambda number: float(np.median(times[number])))
    return {"cores": os.cpu_count() or 1, "threads": best}

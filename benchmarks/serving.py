"""Chatbots: python benchmarks/serving.py

A hundred prompts at once beside an event loop that is watched; sixteen threads for twenty seconds
against one thread's bytes, and once more in a forked child; build_many against one by one, in
three rounds of 900 for each of two strategies.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor

from common import TEMPLATE, median, percentile, prepared_project, queries, save

import promptlib


async def lags(project: promptlib.Project, texts: list[str]) -> list[float]:
    """Seconds that the loop came late while all texts were built at once."""
    late: list[float] = []
    done = asyncio.Event()

    async def watch() -> None:
        while not done.is_set():
            start = time.perf_counter()
            await asyncio.sleep(0.001)
            late.append(time.perf_counter() - start - 0.001)

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(project.abuild(TEMPLATE, text) for text in texts))
    done.set()
    await watcher
    return late


def threads(
    project: promptlib.Project, expected: dict[str, str], seconds: float
) -> tuple[int, int]:
    """Build in sixteen threads; returns how many prompts, and how many differ."""
    end = time.perf_counter() + seconds
    texts = list(expected)

    def work(number: int) -> tuple[int, int]:
        built = different = 0
        while time.perf_counter() < end:
            text = texts[(number * 37 + built) % len(texts)]
            different += project.build(TEMPLATE, text).text != expected[text]
            built += 1
        return built, different

    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(work, range(16)))
    return sum(built for built, _ in done), sum(different for _, different in done)


def in_child(project: promptlib.Project, expected: dict[str, str], seconds: float) -> int:
    child = os.fork()
    if child == 0:
        built, different = threads(project, expected, seconds)
        os._exit(0 if built and not different else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def many_against_one(project: promptlib.Project, texts: list[str], strategy: str) -> float:
    start = time.perf_counter()
    prompts = [project.build(TEMPLATE, text, strategy=strategy).text for text in texts]
    between = time.perf_counter()
    together = project.build_many(TEMPLATE, texts, strategy=strategy)  # asks for no known query
    end = time.perf_counter()
    assert [prompt.text for prompt in together] == prompts
    return (between - start) / (end - between)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    seconds = parser.parse_args().seconds
    project = promptlib.open(prepared_project())
    project.warm(TEMPLATE)
    texts = queries()[:300]
    expected = {text: project.build(TEMPLATE, text).text for text in texts}
    quicker: dict[str, list[float]] = {"similar": [], "hybrid": []}
    for number in range(6):  # what comes again was forgotten meanwhile
        strategy, start = [*quicker][number % 2], 300 + 900 * (number % 3)
        mine = queries()[start : start + 900]
        quicker[strategy].append(many_against_one(project, mine, strategy))
    late = [lag for _ in range(5) for lag in asyncio.run(lags(project, texts[:100]))]
    built, different = threads(project, expected, seconds)
    save(
        "serving",
        {
            "event_loop_lag_ms": {
                share: round(percentile(late, share) * 1e3, 1) for share in (0.5, 0.9, 0.99)
            },
            "threads_16": {"seconds": seconds, "prompts": built, "different": different},
            "forked_child_exit_status": in_child(project, expected, seconds),
            "build_many_is_quicker_by": {
                strategy: round(median(times), 2) for strategy, times in quicker.items()
            },
        },
    )


if __name__ == "__main__":
    main()

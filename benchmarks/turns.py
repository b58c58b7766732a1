"""Processes that live side by side and take turns, so that a slow minute meets all of them alike.

A process asks `turns` for what to do next and says what it found with `answer`; `side_by_side`
starts several and collects it. Only the standard library is used, since the peers' environment has
no more.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import IO, Any

TURN = 50


def turns(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The next few texts for each line of stdin."""
    for start in range(0, len(texts), TURN):
        sys.stdin.readline()
        yield texts[start : start + TURN]


def timed(build: Callable[[str], Any], texts: Sequence[str]) -> dict[str, list[Any]]:
    """What is built of each text, one by one, and the seconds each took."""
    times, made = [], []
    for text in texts:
        start = time.perf_counter()
        made.append(build(text))
        times.append(time.perf_counter() - start)
    return {"times": times, "made": made}


def answer(found: dict[str, Any]) -> None:
    print("\n" + json.dumps(found), flush=True)


def side_by_side(
    commands: dict[str, list[str]], texts: int, **options: Any
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Name, position of its first text, and what a process answered, for every turn of each.

    The first turn of each opens and warms it, and its answer is dropped.
    """
    with ExitStack() as stack:
        takers = {
            name: stack.enter_context(
                Taker(command, stack.enter_context(tempfile.TemporaryFile("w+")), options)
            )
            for name, command in commands.items()
        }
        for taker in takers.values():
            taker.turn()
        for start in range(TURN, texts, TURN):
            for name, taker in takers.items():
                yield name, start, taker.turn()


class Taker:
    """A process that is stopped between its turns.

    Threads that wait for work spin for a while before they sleep, and would slow down the next.
    """

    def __init__(self, command: list[str], errors: IO[str], options: dict[str, Any]) -> None:
        self.errors = errors
        self.process = subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            **options,
        )  # fmt: skip
        assert self.process.stdin is not None and self.process.stdout is not None
        self.write, self.read = self.process.stdin, self.process.stdout

    def __enter__(self) -> Taker:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()

    def turn(self) -> dict[str, Any]:
        self.process.send_signal(signal.SIGCONT)
        try:
            return self._answer()
        finally:
            self.process.send_signal(signal.SIGSTOP)

    def _answer(self) -> dict[str, Any]:
        self.write.write("\n")
        self.write.flush()
        for line in self.read:
            if line.startswith('{"times"'):  # tools say other things, too
                done: dict[str, Any] = json.loads(line)
                return done
        self.errors.seek(0)
        raise SystemExit(f"a process ended before its turn:\n{self.errors.read()[-2000:]}")

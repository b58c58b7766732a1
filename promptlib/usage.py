"""The usage ledger: how many prompts of which template, with how many tokens, judged how.

Counts by day, never text. A prompt is only put on a list; a thread of its own adds up and writes,
every few seconds and when the project is closed.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import insert, inspect, select, update

from promptlib.errors import InputsError, ReadOnlyError
from promptlib.forking import ForkAware
from promptlib.prompt import Prompt
from promptlib.store.database import Database
from promptlib.store.tables import usage_counts
from promptlib.text import is_whole, lone_surrogate, shared_prefix

log = logging.getLogger(__name__)

PAUSE = 5.0
"""Seconds between two writes."""

CROWD = 1_000
"""Waiting prompts that are written at once; twice as many are only added up."""

MOST_K = 2**31 - 1


class Key(NamedTuple):
    """What is counted together."""

    day: str
    template: str
    store: str
    model: str
    k: int


@dataclass(frozen=True)
class Counts:
    """How often, and how much."""

    prompts: int = 0
    tokens: int = 0
    cacheable: int = 0
    """Tokens of the start that a prompt shares with the one before it, by share of characters."""
    correct: int = 0
    wrong: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Counts)))


@dataclass(frozen=True)
class UsageRow:
    """The counts of one day, template, store, model and k."""

    key: Key
    counts: Counts

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {**self.key._asdict(), **vars(self.counts)}


class UsageLedger(ForkAware):
    """Counts prompts and outcomes, off the request's path; safe to share by threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._renew()
        super().__init__()

    def _renew(self) -> None:
        self._lock = threading.Lock()  # of what waits
        self._writing = threading.Lock()
        self._waiting: list[tuple[Key, Counts, str]] = []
        self._summed: dict[Key, Counts] = {}  # waits too, its texts forgotten
        self._last: dict[tuple[Any, ...], str] = {}  # text by all of its key but the day
        self._wake = threading.Event()
        self._worker: tuple[threading.Thread, threading.Event] | None = None  # and what ends it
        self._told = False

    def count(self, prompts: Sequence[Prompt]) -> None:
        """Put prompts on the list."""
        self._put([
            (_key(prompt.settings), Counts(prompts=1, tokens=prompt.tokens), prompt.text)
            for prompt in prompts
        ])  # fmt: skip

    def judge(self, manifest: Mapping[str, Any], correct: bool) -> None:
        """Put an outcome on the list; raises InputsError for what is no manifest."""
        if not isinstance(correct, bool):
            raise InputsError(f"correct must be True or False, not {correct!r}")
        try:
            key = _key(manifest)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InputsError("an outcome needs the prompt, or its manifest") from None
        self._put([(key, Counts(correct=int(correct), wrong=int(not correct)), "")])

    def flush(self) -> None:
        """Add up what waits and write it; raises what the database does, and then keeps it.

        What can't ever be written, in a bundle say, is dropped with a line in the log.
        """
        with self._writing:
            with self._lock:
                taken, self._waiting = self._waiting, []
                summed, self._summed = self._summed, {}
            for key, counts, text in taken:
                more = self._with_cacheable(key, counts, text) if text else counts
                summed[key] = summed.get(key, Counts()) + more
            if not summed:
                return
            try:
                self._write(summed)
            except ReadOnlyError as error:
                if not self._told:
                    log.warning("usage isn't counted: %s", error)
                self._told = True
            except BaseException:
                with self._lock:
                    self._fold(summed.items())
                raise

    def close(self) -> None:
        """Write what waits, and end the thread."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            thread, end = worker
            end.set()
            self._wake.set()
            thread.join()
            atexit.unregister(self._flush_quietly)
        self._flush_quietly()

    # -- parts -----------------------------------------------------------------------------------

    def _put(self, entries: list[tuple[Key, Counts, str]]) -> None:
        with self._lock:
            self._waiting += entries
            if len(self._waiting) >= CROWD:
                self._wake.set()
            if len(self._waiting) >= 2 * CROWD:  # whoever writes is being held up
                waiting, self._waiting = self._waiting, []
                self._fold((key, counts) for key, counts, _ in waiting)
            if self._worker is None:
                self._start()

    def _fold(self, entries: Iterable[tuple[Key, Counts]]) -> None:
        """Add up what waits, forgetting its texts."""
        for key, counts in entries:
            self._summed[key] = self._summed.get(key, Counts()) + counts

    def _start(self) -> None:
        end = threading.Event()
        thread = threading.Thread(
            target=self._work, args=(end,), name="promptlib-usage", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # a prompt must not fail for want of a thread
            log.warning("usage is written when the project is closed: %s", error)
            return
        self._worker = thread, end
        atexit.register(self._flush_quietly)

    def _work(self, end: threading.Event) -> None:
        while not end.is_set():
            self._wake.wait(PAUSE)
            self._wake.clear()
            self._flush_quietly()

    def _flush_quietly(self) -> None:
        try:
            self.flush()
        except Exception as error:  # whatever it is, the thread must go on
            log.warning("usage can't be counted yet: %s", error)

    def _with_cacheable(self, key: Key, counts: Counts, text: str) -> Counts:
        last = self._last.get(key[1:])
        self._last[key[1:]] = text
        if last is None:
            return counts
        share = len(shared_prefix([last, text])) / len(text)
        return replace(counts, cacheable=int(counts.tokens * share))

    def _write(self, summed: Mapping[Key, Counts]) -> None:
        columns = usage_counts.c
        with self._database.write() as connection:
            for key, counts in summed.items():
                mine = (columns[name] == value for name, value in key._asdict().items())
                more = {name: columns[name] + value for name, value in vars(counts).items()}
                if not connection.execute(
                    update(usage_counts).where(*mine).values(**more)
                ).rowcount:
                    row = {**key._asdict(), **vars(counts)}
                    connection.execute(insert(usage_counts).values(**row))


def read_usage(database: Database, days: int | None = None) -> list[UsageRow]:
    """List what was counted, by day: of the last so many days, or ever."""
    if not database.exists:
        return []
    query = select(usage_counts).order_by(*usage_counts.primary_key)
    if days is not None:
        first = (datetime.now(UTC) - timedelta(days=days - 1)).date().isoformat()
        query = query.where(usage_counts.c.day >= first)
    with database.read() as connection:
        if not inspect(connection).has_table(usage_counts.name):
            return []  # read-only, and older than this ledger
        rows = connection.execute(query).all()
    width = len(Key._fields)
    return [UsageRow(Key(*row[:width]), Counts(*row[width:])) for row in rows]


def _key(manifest: Mapping[str, Any]) -> Key:
    store, k = manifest["store"], manifest["k"]
    names = manifest["template"]["name"], store["name"] if store else "", manifest["model"] or ""
    if not all(isinstance(name, str) and lone_surrogate(name) is None for name in names):
        raise ValueError("a name isn't text")
    if not is_whole(k, 0) or k > MOST_K:
        raise ValueError("k isn't a number of examples")
    return Key(datetime.now(UTC).date().isoformat(), *names, k)

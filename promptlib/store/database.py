"""The one place that knows which database is behind a URL.

Two transactions exist. `read()` is one snapshot. `write()` takes the write lock at once: SQLite's
deferred ones fail with "database is locked" when two of them start to write.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError

from promptlib.errors import ConfigError, ReadOnlyError, StoreError
from promptlib.forking import ForkAware, abandon, unforked
from promptlib.store.migrations import NEWEST, migrate, refuse_newer, schema_number
from promptlib.store.sqlite import end_reading, open_engine, raw_of, use_write_ahead_log, writing

T = TypeVar("T")

KEPT = 8
"""Connections that are kept open for whoever reads next."""


class Database(ForkAware):
    """A database by URL; relative SQLite paths start at `root`. Opened on first use."""

    def __init__(self, url: str, *, root: Path | str = ".", read_only: bool = False) -> None:
        self.path = _sqlite_path(url, Path(root))
        self._read_only = read_only
        self._engine: Engine | None = None
        self._opened: int | None = None  # the number of the file
        self._renew()
        super().__init__()

    def _renew(self) -> None:
        # A forked child must neither use nor close its parent's connections
        # (sqlite.org/howtocorrupt, 2.6).
        if self._engine is not None:
            abandon((self._engine, self._idle))
        self._engine = None
        self._idle: list[Connection] = []
        self._lock = threading.Lock()

    @property
    def exists(self) -> bool:
        """Whether there is anything to read yet."""
        return self.path.is_file()

    @property
    def is_gone(self) -> bool:
        """Whether the file was there, and isn't any more."""
        return self._opened is not None and not self.exists

    @property
    def read_only(self) -> bool:
        """Whether the file, or the folder it would be made in, can't or mustn't be written to."""
        if self._read_only:
            return True
        folder = next(folder for folder in self.path.parents if folder.exists())
        writable = os.access(folder, os.W_OK, effective_ids=True)
        if self.path.exists():
            writable = writable and os.access(self.path, os.W_OK, effective_ids=True)
        return not writable

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot, whatever is written meanwhile."""
        with unforked(), self._errors(), self._connection() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that holds the write lock from its start; all of it happens or none."""
        if self.read_only:
            raise ReadOnlyError(f"{self.path} is read-only: nothing was written")
        self._check_place()
        with unforked(), self._errors(), self._connection() as connection, writing(connection):
            yield connection

    def check(self) -> None:
        """Read the whole file for damage; raises StoreError."""
        with self.read() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if found != "ok":
            raise StoreError(f"{self.path} is damaged: {found}")

    def copy_to(self, path: Path) -> None:
        """Copy the database as it stands to a file that isn't there yet."""
        with self._errors(), self._connection() as connection:
            raw = raw_of(connection)
            raw.execute("VACUUM INTO ?", (str(path),))

    def shrink(self) -> None:
        """Give back the room of what was deleted, and leave no log beside the file."""
        with self._errors(), self._connection() as connection:
            raw = raw_of(connection)
            raw.execute("VACUUM")
            raw.execute("PRAGMA journal_mode = DELETE")

    def rewrite(self) -> None:
        """Write the file anew, so that neither it nor its log has a trace of what was deleted.

        Raises StoreError while another process reads what stands in the log.
        """
        with self._errors(), self._connection() as connection:
            raw = raw_of(connection)
            raw.execute("VACUUM")
            busy, *_ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreError(
                f"the log beside {self.path} can't be emptied: another process still reads it; "
                "end that and do this again"
            )

    def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            while self._idle:
                self._idle.pop().close()
            engine.dispose()

    def _check_place(self) -> None:
        """Open the file anew if another one is in its place: what is written must be found there.

        Raises StoreError when it is gone.
        """
        if self._engine is None or self._opened is None:
            return
        if self.is_gone:
            raise StoreError(f"{self.path} is gone: nothing was written")
        if self.path.stat().st_ino != self._opened:
            self.close()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """Lend a connection; one that nothing went wrong with is lent again.

        SQLAlchemy's pool does the same, and more of it, at twice the cost for a prompt.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connected().connect()
        try:
            yield connection
            end_reading(connection)
        except BaseException:
            connection.close()
            raise
        if connection.engine is self._engine and len(self._idle) < KEPT:
            self._idle.append(connection)
        else:
            connection.close()

    def _connected(self) -> Engine:
        if self._engine is None:
            with self._lock:
                if self._engine is None:
                    self._engine = self._open()
        return self._engine

    def _open(self) -> Engine:
        read_only = self.read_only
        if read_only and not self.exists:
            raise ReadOnlyError(f"there is no database at {self.path}, and none can be made there")
        if not read_only:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"can't make {self.path.parent}: {error.strerror}") from None
        engine = open_engine(self.path, read_only)
        with self._errors():
            with engine.connect() as connection:
                found = schema_number(connection)
                if not found and inspect(connection).get_table_names():
                    raise StoreError(f"{self.path} is another program's database")
                refuse_newer(connection)
            if not read_only:
                use_write_ahead_log(engine)  # a backup may come without one
            if found < NEWEST and not read_only:
                with engine.connect() as connection, writing(connection):
                    migrate(connection)
        self._opened = self.path.stat().st_ino if self.exists else None
        return engine

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (DatabaseError, sqlite3.DatabaseError) as error:
            reason = error.orig if isinstance(error, DatabaseError) else error
            if isinstance(reason, sqlite3.IntegrityError):
                raise
            if isinstance(reason, sqlite3.OperationalError):
                raise StoreError(f"the database {self.path} can't be used: {reason}") from error
            raise StoreError(
                f"{self.path} is not a sound SQLite database ({reason}): put a backup in its "
                "place, or move it away to start anew"
            ) from error


def _sqlite_path(url: str, root: Path) -> Path:
    try:
        parsed: URL = make_url(url)
    except ArgumentError:
        raise ConfigError(
            f"database {url!r} is not a URL; a file is sqlite:///folder/file.db"
        ) from None
    if parsed.get_backend_name() != "sqlite":
        raise ConfigError(
            f"database {parsed.render_as_string()!r}: only SQLite is supported so far; "
            "use sqlite:///folder/file.db"
        )
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigError("a store needs a database file: use sqlite:///folder/file.db")
    return (root / parsed.database).resolve()


def batched(items: Iterable[T], size: int = 1000) -> Iterator[list[T]]:
    """Cut items into lists, by default such as fit one statement's parameters."""
    source = iter(items)
    while part := list(islice(source, size)):
        yield part

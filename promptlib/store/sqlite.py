"""How SQLite is opened, and how its transactions begin and end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

BUSY_TIMEOUT = 60.0
"""Seconds that a writer waits for another one."""


def open_engine(path: Path, read_only: bool) -> Engine:
    """Make the engine that opens connections to the file as they are asked for."""

    def connect() -> sqlite3.Connection:
        # A read-only folder can't hold the -shm file that a write-ahead log needs. Where there is
        # no log to read either, the file alone is the whole truth and can be taken as immutable.
        wal = path.with_name(path.name + "-wal")
        mode = "rwc"
        if read_only:
            mode = "ro" if wal.exists() and wal.stat().st_size else "ro&immutable=1"
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}",
            uri=True,
            timeout=BUSY_TIMEOUT,
            isolation_level=None,  # transactions are begun below, by name
            check_same_thread=False,
        )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    engine = create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, pool_size=8, max_overflow=-1
    )
    # An event would do it too, and cost each connection objects that only the garbage collector
    # frees.
    engine.dialect.do_begin = _begin  # type: ignore[method-assign, assignment]
    return engine


def _begin(connection: PoolProxiedConnection) -> None:
    raw: Any = connection.dbapi_connection
    if not raw.in_transaction:  # one that writes was begun by `writing`
        raw.execute("BEGIN")


def begun(connection: Connection) -> Any:
    """Begin a transaction if there is none; returns the driver's own connection.

    SQLAlchemy takes it for its own once it is asked for something.
    """
    _begin(connection.connection)
    return raw_of(connection)


def end_reading(connection: Connection) -> None:
    """End a transaction that only read."""
    if connection.in_transaction():
        connection.rollback()
    raw = raw_of(connection)
    if raw.in_transaction:
        raw.execute("ROLLBACK")


def raw_of(connection: Connection) -> Any:
    """Give the driver's own connection."""
    return connection.connection.dbapi_connection


@contextmanager
def writing(connection: Connection) -> Iterator[None]:
    """Hold the write lock; what is written in between happens wholly or not at all."""
    raw_of(connection).execute("BEGIN IMMEDIATE")
    with connection.begin():
        yield


def use_write_ahead_log(engine: Engine) -> None:
    """Let readers go on while one writes; the file itself remembers it."""
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("PRAGMA journal_mode = WAL")
    finally:
        raw.close()

"""Bring a database to the schema of this version of promptlib.

A new database is made from `tables` as it stands. An older one goes through the numbered functions
of MIGRATIONS that it hasn't seen; a released one is never edited, since it has run somewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, insert, inspect, select, update

from promptlib.errors import StoreError
from promptlib.store.tables import metadata, schema_version

FIRST = 1


def _count_usage(connection: Connection) -> None:
    connection.exec_driver_sql(
        "CREATE TABLE usage_counts (day VARCHAR(10) NOT NULL, template VARCHAR(200) NOT NULL, "
        "store VARCHAR(200) NOT NULL, model VARCHAR(200) NOT NULL, k INTEGER NOT NULL, "
        "prompts BIGINT NOT NULL, tokens BIGINT NOT NULL, cacheable BIGINT NOT NULL, "
        "correct BIGINT NOT NULL, wrong BIGINT NOT NULL, "
        "PRIMARY KEY (day, template, store, model, k))"
    )


MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {2: _count_usage}
"""number -> the function that lifts a database from number - 1."""

NEWEST = max(MIGRATIONS, default=FIRST)


def schema_number(connection: Connection) -> int:
    """Read which schema a database has; 0 for an empty one."""
    if not inspect(connection).has_table(schema_version.name):
        return 0
    return connection.scalar(select(schema_version.c.number)) or 0


def migrate(
    connection: Connection, migrations: Mapping[int, Callable[[Connection], None]] = MIGRATIONS
) -> None:
    """Lift a database to the newest schema, inside the caller's transaction."""
    newest = max(migrations, default=FIRST)
    found = schema_number(connection)
    check_not_newer(found, newest)
    if found == 0:
        metadata.create_all(connection)
        connection.execute(insert(schema_version).values(number=newest))
        return
    for number in range(found + 1, newest + 1):
        migrations[number](connection)
        connection.execute(update(schema_version).values(number=number))


def check_not_newer(found: int, newest: int = NEWEST) -> None:
    """Refuse a database that a later promptlib has made; raises StoreError."""
    if found > newest:
        raise StoreError(
            f"the database has schema {found}, this promptlib knows {newest}: upgrade promptlib"
        )

"""Bring a database to the schema of this version of promptlib.

A new database is made from `tables` as it stands. An older one goes through the numbered functions
of MIGRATIONS that it hasn't seen; a released one is never edited, since it has run somewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, insert, inspect, select, update

from promptlib.errors import StoreError
from promptlib.store.tables import metadata, schema_version
from promptlib.version import __version__

FIRST = 1


def _count_usage(connection: Connection) -> None:
    connection.exec_driver_sql(
        "CREATE TABLE usage_counts (day VARCHAR(10) NOT NULL, template VARCHAR(200) NOT NULL, "
        "store VARCHAR(200) NOT NULL, model VARCHAR(200) NOT NULL, k INTEGER NOT NULL, "
        "prompts BIGINT NOT NULL, tokens BIGINT NOT NULL, cacheable BIGINT NOT NULL, "
        "correct BIGINT NOT NULL, wrong BIGINT NOT NULL, "
        "PRIMARY KEY (day, template, store, model, k))"
    )


def _publish_templates(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE schema_version ADD COLUMN promptlib VARCHAR(50)")
    # Nothing could be published before: both tables are empty.
    connection.exec_driver_sql("DROP TABLE template_versions")
    connection.exec_driver_sql("DROP TABLE template_labels")
    connection.exec_driver_sql(
        "CREATE TABLE template_versions (name VARCHAR(200) NOT NULL, number INTEGER NOT NULL, "
        "hash VARCHAR(32) NOT NULL, files JSON NOT NULL, static JSON NOT NULL, "
        'problems JSON NOT NULL, at VARCHAR(32) NOT NULL, "by" VARCHAR(200) NOT NULL, '
        "message TEXT NOT NULL, PRIMARY KEY (name, number))"
    )
    connection.exec_driver_sql(
        'CREATE TABLE template_labels ("key" INTEGER NOT NULL, name VARCHAR(200) NOT NULL, '
        "label VARCHAR(200) NOT NULL, number INTEGER NOT NULL, reason VARCHAR(10) NOT NULL, "
        'at VARCHAR(32) NOT NULL, "by" VARCHAR(200) NOT NULL, PRIMARY KEY ("key"))'
    )
    connection.exec_driver_sql(
        "CREATE INDEX template_labels_by_name ON template_labels (name, label)"
    )


def _keep_answers(connection: Connection) -> None:
    connection.exec_driver_sql(
        'CREATE TABLE answers ("key" VARCHAR(32) NOT NULL, model VARCHAR(200) NOT NULL, '
        "settings JSON NOT NULL, store VARCHAR(200) NOT NULL, text TEXT NOT NULL, "
        "finish VARCHAR(10) NOT NULL, input_tokens INTEGER NOT NULL, "
        "output_tokens INTEGER NOT NULL, seconds FLOAT NOT NULL, cost FLOAT, "
        'at VARCHAR(32) NOT NULL, PRIMARY KEY ("key"))'
    )
    connection.exec_driver_sql("CREATE INDEX answers_by_store ON answers (store)")
    connection.exec_driver_sql(
        'CREATE TABLE outcomes ("key" VARCHAR(32) NOT NULL, model VARCHAR(200) NOT NULL, '
        "template VARCHAR(200) NOT NULL, version INTEGER, template_hash VARCHAR(32) NOT NULL, "
        "store VARCHAR(200) NOT NULL, strategy VARCHAR(200) NOT NULL, weights JSON NOT NULL, "
        "k INTEGER NOT NULL, ordering VARCHAR(20) NOT NULL, budget INTEGER, "
        "metric VARCHAR(200) NOT NULL, question VARCHAR(32) NOT NULL, score FLOAT NOT NULL, "
        "kind VARCHAR(20) NOT NULL, proxies JSON NOT NULL, tokens INTEGER NOT NULL, "
        "seconds FLOAT NOT NULL, cost FLOAT, at VARCHAR(32) NOT NULL, "
        'PRIMARY KEY ("key"))'
    )
    connection.exec_driver_sql("CREATE INDEX outcomes_by_store ON outcomes (store, model)")


def _note_revisions(connection: Connection) -> None:
    for column in ("note TEXT NOT NULL DEFAULT ''", "settings_before JSON", "settings_after JSON"):
        connection.exec_driver_sql(f"ALTER TABLE revisions ADD COLUMN {column}")


MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {
    2: _count_usage, 3: _publish_templates, 4: _keep_answers, 5: _note_revisions,
}  # fmt: skip
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
    refuse_newer(connection, newest)
    if found == 0:
        metadata.create_all(connection)
        connection.execute(insert(schema_version).values(number=newest, promptlib=__version__))
        return
    for number in range(found + 1, newest + 1):
        migrations[number](connection)
    if found < newest:
        connection.execute(update(schema_version).values(number=newest, promptlib=__version__))


def refuse_newer(connection: Connection, newest: int = NEWEST) -> None:
    """Refuse a database that a later promptlib has made; raises StoreError."""
    found = schema_number(connection)
    if found <= newest:
        return
    made_by = connection.scalar(select(schema_version.c.promptlib))
    needed = made_by if made_by not in (None, __version__) else "as new as the one that made it"
    raise StoreError(
        f"the database has schema {found}, this promptlib ({__version__}) knows {newest}: it needs "
        f"promptlib {needed}, or a later one"
    )

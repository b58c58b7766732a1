"""Destroy rows: the only thing that does. What is left says that it happened, and not what it was.

For people who ask that what they wrote be forgotten, and for secrets that slipped in.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, select, update

from promptlib.errors import ExampleNotFoundError
from promptlib.example import Example
from promptlib.store.database import batched
from promptlib.store.history import logged_row
from promptlib.store.reports import StoreState
from promptlib.store.rows import RevisionWriter, StoredRow, rows_by_id
from promptlib.store.store import ExampleStore
from promptlib.store.tables import (
    answers,
    changes,
    examples,
    outcomes,
    revisions,
    template_versions,
    vectors,
)
from promptlib.text import text_hash


@dataclass(frozen=True)
class Purged:
    """What was destroyed."""

    ids: Sequence[str]
    revision: int
    answers: int
    """Of language models, to prompts that may have shown the rows."""
    outcomes: int
    """Figures of questions that the rows were."""
    versions: Sequence[str]
    """Published templates that showed one of the rows in every prompt: they don't any more."""
    notes: Sequence[int] = ()
    """Revisions of other rows too whose words, in the log, may speak of these."""


def purge_examples(
    store: ExampleStore, ids: Sequence[str], *, by: str | None = None, note: str = ""
) -> Purged:
    """Destroy rows, with their history, in one transaction; raises ExampleNotFoundError.

    In their place stands an empty row under another name, so that other processes notice.
    """
    with store.database.write() as connection:
        state = store.state(connection)
        rows = rows_by_id(connection, state.key, ids)
        if missing := [id for id in ids if id not in rows]:
            raise ExampleNotFoundError(f"store {store.name!r} never had {', '.join(missing)}")
        past = _past(connection, state, rows)
        touched = _revisions_of(connection, state, rows)
        writer = RevisionWriter(connection, state.key, reason="purge", by=by, note=note)
        number = writer.touch()
        for part in batched(rows):
            gone = (changes.c.store == state.key, changes.c.example.in_(part))
            connection.execute(delete(changes).where(*gone))
        for id in rows:
            this = (examples.c.store == state.key, examples.c.id == id)
            connection.execute(update(examples).where(*this).values(_nothing(number)))
        _forget_vectors(connection, {row.text_hash for row in past})
        contents = {row.content_hash for row in past}
        return Purged(
            ids=list(rows),
            revision=number,
            answers=connection.execute(
                delete(answers).where(answers.c.store == store.name)
            ).rowcount,
            outcomes=_forget_outcomes(connection, store.name, contents),
            versions=_forget_static(connection, contents),
            notes=_forget_notes(connection, state, touched),
        )


def _nothing(revision: int) -> dict[str, object]:
    row = StoredRow(
        id=f"purged-{secrets.token_hex(8)}", content='{"input":"purged"}',
        content_hash=text_hash("purged"), label=None, status="rejected", deleted=True,
        source_hash=None, text_hash=text_hash("purged"),
    )  # fmt: skip
    return asdict(row) | {"revision": revision}


def _past(
    connection: Connection, state: StoreState, rows: Mapping[str, StoredRow]
) -> list[StoredRow]:
    """Read all that the rows ever were."""
    found = list(rows.values())
    for part in batched(rows):
        mine = (changes.c.store == state.key, changes.c.example.in_(part))
        for before, after in connection.execute(
            select(changes.c.before, changes.c.after).where(*mine)
        ):
            found += [row for row in map(logged_row, (before, after)) if row is not None]
    return found


def _revisions_of(connection: Connection, state: StoreState, ids: Iterable[str]) -> set[int]:
    found: set[int] = set()
    for part in batched(ids):
        mine = (changes.c.store == state.key, changes.c.example.in_(part))
        found.update(connection.scalars(select(changes.c.revision).where(*mine).distinct()))
    return found


def _forget_notes(connection: Connection, state: StoreState, touched: set[int]) -> list[int]:
    """Empty what was said of revisions of these rows alone; returns which others say something."""
    others: list[int] = []
    for number in sorted(touched):
        this = (revisions.c.store == state.key, revisions.c.number == number)
        left = (changes.c.store == state.key, changes.c.revision == number)
        if connection.scalar(select(changes.c.key).where(*left).limit(1)) is None:
            connection.execute(update(revisions).where(*this).values(note=""))
        elif connection.scalar(select(revisions.c.note).where(*this)):
            others.append(number)
    return others


def _forget_vectors(connection: Connection, hashes: Iterable[str]) -> None:
    """Delete the vectors of texts that no other row has, in any store."""
    for part in batched(hashes):
        used = select(examples.c.text_hash).where(examples.c.text_hash.in_(part))
        still = set(connection.scalars(used))
        gone = [each for each in part if each not in still]
        connection.execute(delete(vectors).where(vectors.c.text_hash.in_(gone)))


def _forget_outcomes(connection: Connection, store: str, contents: Iterable[str]) -> int:
    count = 0
    for part in batched(contents):
        mine = (outcomes.c.store == store, outcomes.c.question.in_(part))
        count += connection.execute(delete(outcomes).where(*mine)).rowcount
    return count


def _forget_static(connection: Connection, contents: set[str]) -> list[str]:
    """Take the rows out of the static examples of published templates; returns which they were."""
    versions = template_versions.c
    columns = versions.name, versions.number, versions.static
    changed = []
    for name, number, static in connection.execute(select(*columns)).all():
        kept = [row for row in static if Example.from_dict(row).content_hash not in contents]
        if len(kept) == len(static):
            continue
        this = (versions.name == name, versions.number == number)
        connection.execute(update(template_versions).where(*this).values(static=kept))
        changed.append(f"{name}@{number}")
    return changed

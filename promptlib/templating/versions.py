"""Published templates in the database: versions that never change, labels that move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, func, insert, select

from promptlib.errors import ExampleError, StoreError, TemplateError, TemplateNotFoundError
from promptlib.example import Example
from promptlib.store.author import author
from promptlib.store.database import Database
from promptlib.store.migrations import schema_number
from promptlib.store.rows import now
from promptlib.store.tables import template_labels, template_versions
from promptlib.templating.naming import LATEST, Reference, check_label
from promptlib.templating.published import Draft, LabelMove, Reason, Version

SCHEMA = 3
"""Databases before this one hold no versions; one that can't be written stays as it is."""


class TemplateVersions:
    """The published templates of a database. Without a database there are none."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # -- reading ---------------------------------------------------------------------------------

    def newest(self) -> dict[str, int]:
        """Say which templates are published: name -> number of the newest version."""
        query = select(template_versions.c.name, func.max(template_versions.c.number))
        rows = self._rows(query.group_by(template_versions.c.name))
        return {name: number for name, number in rows}  # noqa: C416

    def of(self, name: str) -> list[Version]:
        """List the versions of a template, oldest first."""
        mine = template_versions.c.name == name
        rows = self._rows(_VERSION.where(mine).order_by(template_versions.c.number))
        return [_version(row) for row in rows]

    def get(self, name: str, number: int) -> Version:
        """Read one version; raises TemplateNotFoundError that lists those there are."""
        mine = (template_versions.c.name == name, template_versions.c.number == number)
        rows = self._rows(_VERSION.where(*mine))
        if not rows:
            raise self._missing(Reference(name, number))
        return _version(rows[0])

    def with_hash(self, name: str, hash: str) -> Version | None:
        """Find the newest version of a template that has these files."""
        mine = (template_versions.c.name == name, template_versions.c.hash == hash)
        rows = self._rows(_VERSION.where(*mine).order_by(template_versions.c.number.desc()))
        return _version(rows[0]) if rows else None

    def identity(self, reference: Reference) -> tuple[int, str]:
        """Say which version a reference means, and its hash; raises TemplateNotFoundError."""
        number = self.resolve(reference)
        mine = (template_versions.c.name == reference.name, template_versions.c.number == number)
        rows = self._rows(select(template_versions.c.hash).where(*mine))
        if not rows:
            raise self._missing(Reference(reference.name, number))
        return number, rows[0][0]

    def resolve(self, reference: Reference) -> int:
        """Say which version a reference means; raises TemplateNotFoundError."""
        if reference.number is not None:
            return reference.number
        found = self.labels(reference.name).get(reference.label or LATEST)
        if found is None:
            raise self._missing(reference)
        return found

    def labels(self, name: str) -> dict[str, int]:
        """Say where the labels of a template point, `latest` among them."""
        return self.all_labels(name).get(name, {})

    def all_labels(self, name: str | None = None) -> dict[str, dict[str, int]]:
        """Say where the labels of all templates point, or of one."""
        number = func.max(template_versions.c.number)
        newest = select(template_versions.c.name, number).group_by(template_versions.c.name)
        moves = select(template_labels.c.name, template_labels.c.label, template_labels.c.number)
        if name is not None:
            newest = newest.where(template_versions.c.name == name)
            moves = moves.where(template_labels.c.name == name)
        found: dict[str, dict[str, int]] = {}
        for named, label, at in self._rows(moves.order_by(template_labels.c.key)):
            found.setdefault(named, {})[label] = at
        for named, last in self._rows(newest):
            found.setdefault(named, {})[LATEST] = last
        return found

    def moves(self, name: str) -> list[LabelMove]:
        """List the moves of a template's labels, oldest first."""
        mine = _MOVE.where(template_labels.c.name == name).order_by(template_labels.c.key)
        pointed: dict[str, int] = {}
        moves = []
        for label, number, reason, at, by in self._rows(mine):
            moves.append(LabelMove(name, label, number, pointed.get(label), reason, at, by))
            pointed[label] = number
        return moves

    def describe(self, name: str) -> str:
        """Say which labels there are of a template, and where they point."""
        labels = sorted(self.labels(name).items())
        known = (f"{label} (version {number})" for label, number in labels)
        return f"there are: {', '.join(known)}" if labels else f"{name} isn't published"

    # -- writing ---------------------------------------------------------------------------------

    def add(
        self, drafts: Sequence[Draft], *, message: str = "", label: str | None = None,
        by: str | None = None,
    ) -> list[Version]:  # fmt: skip
        """Publish versions, all of them or none; what is published already stays that version.

        A label is moved to each in the same transaction.
        """
        if label is not None:
            check_movable(label)
        with self.database.write() as connection:
            made = [_added(connection, draft, message, by or author()) for draft in drafts]
            for version in made if label is not None else ():
                _move(connection, version.name, str(label), version.number, "publish", by)
        return made

    def move(self, reference: Reference, label: str, *, by: str | None = None) -> LabelMove:
        """Let a label point at a version; raises TemplateNotFoundError for one there isn't."""
        check_movable(label)
        version = self.get(reference.name, self.resolve(reference))
        with self.database.write() as connection:
            return _move(connection, version.name, label, version.number, "label", by)

    def rollback(self, name: str, label: str, *, by: str | None = None) -> LabelMove:
        """Move a label back to where it pointed before; again: to where it did before that."""
        check_movable(label)
        if not self.labels(name).get(label):
            raise self._missing(Reference(name, label=label))
        with self.database.write() as connection:
            query = _MOVE.where(template_labels.c.name == name, template_labels.c.label == label)
            moves = connection.execute(query.order_by(template_labels.c.key))
            pointed: list[int] = []
            for _, number, reason, _, _ in moves:
                if reason == "rollback":
                    pointed.pop()
                elif not pointed or pointed[-1] != number:
                    pointed.append(number)
            if len(pointed) == 1:
                raise TemplateError(
                    f"{name}@{label} points at version {pointed[0]}, and at none before it: "
                    "there is nothing to go back to"
                )
            return _move(connection, name, label, pointed[-2], "rollback", by)

    # -- parts -----------------------------------------------------------------------------------

    def _rows(self, query: Any) -> list[Any]:
        if self.database.is_gone:
            raise StoreError(f"{self.database.path} is gone")
        if not self.database.exists:
            return []
        with self.database.read() as connection:
            if schema_number(connection) < SCHEMA:
                return []
            try:
                return list(connection.execute(query).all())
            except ValueError as error:  # a column that should be JSON
                raise StoreError(
                    f"the published templates in {self.database.path} are damaged: {error}"
                ) from None

    def _missing(self, reference: Reference) -> TemplateNotFoundError:
        labels = self.labels(reference.name)
        if not labels:
            return TemplateNotFoundError(
                f"template {reference.name!r} isn't published; "
                f"promptlib template publish {reference.name} does that"
            )
        if reference.number is not None:
            newest = labels[LATEST]
            there = "there is only version 1" if newest == 1 else f"there are 1 to {newest}"
            return TemplateNotFoundError(f"no version {reference}; {there}")
        return TemplateNotFoundError(f"no label {reference}; {self.describe(reference.name)}")


def check_movable(label: str) -> None:
    """Raise TemplateError for a label that can't be set."""
    check_label(label)
    if label == LATEST:
        raise TemplateError(f"the label {LATEST!r} moves by itself, to each new version")


_VERSION = select(*(
    template_versions.c[name]
    for name in ("name", "number", "hash", "files", "static", "problems", "at", "by", "message")
))  # fmt: skip
_MOVE = select(
    template_labels.c.label, template_labels.c.number, template_labels.c.reason,
    template_labels.c.at, template_labels.c.by,
)  # fmt: skip


def _version(row: Sequence[Any]) -> Version:
    name, number, hash, files, static, problems, at, by, message = row
    try:
        examples = tuple(Example.from_dict(example) for example in static)
        if name not in files or not all(isinstance(text, str) for text in files.values()):
            raise ValueError("its file is missing")
    except (ExampleError, ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"version {name}@{number} is damaged in the database: {error}") from None
    return Version(name, number, hash, files, examples, tuple(problems), at, by, message)


def _added(connection: Connection, draft: Draft, message: str, by: str) -> Version:
    mine = (template_versions.c.name == draft.name, template_versions.c.hash == draft.hash)
    newest = template_versions.c.number.desc()
    for found in connection.execute(_VERSION.where(*mine).order_by(newest)):
        if (version := _version(found)).static == tuple(draft.static):
            return version
    last = select(func.max(template_versions.c.number)).where(mine[0])
    row = {
        "name": draft.name, "number": (connection.scalar(last) or 0) + 1, "hash": draft.hash,
        "files": dict(draft.files), "static": [example.to_dict() for example in draft.static],
        "problems": list(draft.problems), "at": now(), "by": by, "message": message,
    }  # fmt: skip
    connection.execute(insert(template_versions).values(row))
    return replace(_version(list(row.values())), is_new=True)


def _move(
    connection: Connection, name: str, label: str, number: int, reason: Reason, by: str | None
) -> LabelMove:
    mine = (template_labels.c.name == name, template_labels.c.label == label)
    newest = select(template_labels.c.number).where(*mine).order_by(template_labels.c.key.desc())
    before = connection.scalar(newest.limit(1))
    moved = LabelMove(name, label, number, before, reason, now(), by or author())
    if before != number:  # else it points there
        row = {key: value for key, value in vars(moved).items() if key != "before"}
        connection.execute(insert(template_labels).values(**row))
    return moved

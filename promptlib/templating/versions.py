"""Published templates in the database: versions that never change, labels that move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select

from promptlib.errors import TemplateError, TemplateNotFoundError
from promptlib.example import Example
from promptlib.store.database import Database
from promptlib.store.migrations import schema_number
from promptlib.store.rows import author, now
from promptlib.store.tables import template_labels, template_versions
from promptlib.templating.naming import LATEST, Reference, check_label

Reason = Literal["publish", "label", "rollback"]

SCHEMA = 3
"""Databases before this one hold no versions; one that can't be written stays as it is."""


@dataclass(frozen=True)
class Version:
    """One published version. Never changes."""

    name: str
    number: int
    hash: str
    """Of the template's file and of all that it includes."""
    files: Mapping[str, str] = field(repr=False)
    """Name -> source; the template's own comes first."""
    static: tuple[Example, ...] = field(repr=False)
    """The examples that every prompt of it shows."""
    problems: tuple[str, ...]
    """What its check found, and was overridden."""
    at: str
    """UTC, ISO 8601."""
    by: str
    message: str
    is_new: bool = field(default=False, compare=False)
    """Whether it was made by the call that returned it."""

    def __str__(self) -> str:
        return f"{self.name}@{self.number}"

    def to_dict(self) -> dict[str, Any]:
        """Give plain data, without sources and examples."""
        return {
            "name": self.name, "version": self.number, "hash": self.hash, "at": self.at,
            "by": self.by, "message": self.message, "files": list(self.files),
            "static": [example.id for example in self.static], "problems": list(self.problems),
        }  # fmt: skip


@dataclass(frozen=True)
class LabelMove:
    """A label that was set: where it points since then, and where it pointed before."""

    name: str
    label: str
    number: int
    before: int | None
    reason: Reason
    at: str
    by: str

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {**vars(self)}


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

    # -- writing ---------------------------------------------------------------------------------

    def add(
        self, name: str, hash: str, files: Mapping[str, str], *,
        static: Sequence[Example] = (), problems: Sequence[str] = (), message: str = "",
        label: str | None = None, by: str | None = None,
    ) -> Version:  # fmt: skip
        """Publish a version, unless the newest one is the same.

        A label is moved to it in the same transaction.
        """
        if label is not None:
            check_movable(label)
        pinned = [example.to_dict() for example in static]
        with self.database.write() as connection:
            mine = template_versions.c.name == name
            newest = _VERSION.where(mine).order_by(template_versions.c.number.desc()).limit(1)
            last = connection.execute(newest).first()
            version = _version(last) if last is not None else None
            same = version is not None and (version.hash, version.static) == (hash, tuple(static))
            if version is None or not same:
                number = version.number + 1 if version is not None else 1
                row = {
                    "name": name, "number": number, "hash": hash, "files": dict(files),
                    "static": pinned, "problems": list(problems), "at": now(),
                    "by": by or author(), "message": message,
                }  # fmt: skip
                connection.execute(insert(template_versions).values(row))
                version = _version(list(row.values()))
            if label is not None:
                _move(connection, name, label, version.number, "publish", by)
        return replace(version, is_new=not same)

    def move(self, reference: Reference, label: str, *, by: str | None = None) -> LabelMove:
        """Let a label point at a version; raises TemplateNotFoundError for one there isn't."""
        check_movable(label)
        version = self.get(reference.name, self.resolve(reference))
        with self.database.write() as connection:
            _move(connection, version.name, label, version.number, "label", by)
        return self._last(version.name, label)

    def rollback(self, name: str, label: str, *, by: str | None = None) -> LabelMove:
        """Move a label back to where it pointed before; again: to where it did before that."""
        check_movable(label)
        with self.database.write() as connection:
            query = _MOVE.where(template_labels.c.name == name, template_labels.c.label == label)
            pointed: list[int] = []
            for _, number, reason, _, _ in connection.execute(
                query.order_by(template_labels.c.key)
            ):
                if reason == "rollback":
                    pointed.pop()
                elif not pointed or pointed[-1] != number:
                    pointed.append(number)
            if pointed and len(pointed) > 1:
                _move(connection, name, label, pointed[-2], "rollback", by)
        if not pointed:
            raise self._missing(Reference(name, label=label))
        if len(pointed) == 1:
            raise TemplateError(
                f"{name}@{label} has pointed at version {pointed[0]} alone: there is nothing to "
                "go back to"
            )
        return self._last(name, label)

    # -- parts -----------------------------------------------------------------------------------

    def _rows(self, query: Any) -> list[Any]:
        if not self.database.exists:
            return []
        with self.database.read() as connection:
            if schema_number(connection) < SCHEMA:
                return []
            return list(connection.execute(query).all())

    def _last(self, name: str, label: str) -> LabelMove:
        return [move for move in self.moves(name) if move.label == label][-1]

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
        known = (f"{label} (version {number})" for label, number in sorted(labels.items()))
        return TemplateNotFoundError(f"no label {reference}; there are: {', '.join(known)}")


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
    examples = tuple(Example.from_dict(example) for example in static)
    return Version(name, number, hash, files, examples, tuple(problems), at, by, message)


def _move(
    connection: Connection, name: str, label: str, number: int, reason: Reason, by: str | None
) -> None:
    mine = (template_labels.c.name == name, template_labels.c.label == label)
    newest = select(template_labels.c.number).where(*mine).order_by(template_labels.c.key.desc())
    if connection.scalar(newest.limit(1)) == number:
        return  # it points there
    row = {"name": name, "label": label, "number": number, "reason": reason, "at": now()}
    connection.execute(insert(template_labels).values(**row, by=by or author()))

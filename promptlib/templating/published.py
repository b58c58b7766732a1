"""What is published: versions, what becomes one, and moves of labels. Frozen values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from promptlib.example import Example
from promptlib.text import text_hash

Reason = Literal["publish", "label", "rollback"]

STATIC = "static examples"
"""What stands for a file where these are shown with the others."""


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

    @property
    def digest(self) -> str:
        """Tell it from all others, in a few digits: by its files and its static examples."""
        if not self.static:
            return self.hash[:12]
        return text_hash(self.hash + "".join(each.content_hash for each in self.static))[:12]

    @property
    def contents(self) -> dict[str, str]:
        """Name -> text of all that makes it up, static examples as a file of their own."""
        return {**self.files, **contents_of(self.static)}

    def to_dict(self) -> dict[str, Any]:
        """Give plain data, without sources and examples."""
        return {
            "name": self.name, "version": self.number, "hash": self.hash, "at": self.at,
            "by": self.by, "message": self.message, "files": list(self.files),
            "static": [example.id for example in self.static], "problems": list(self.problems),
        }  # fmt: skip


@dataclass(frozen=True)
class Draft:
    """What is about to be published."""

    name: str
    hash: str
    files: Mapping[str, str] = field(repr=False)
    static: Sequence[Example] = ()
    problems: Sequence[str] = ()
    """What its check found."""


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


def contents_of(static: Sequence[Example]) -> dict[str, str]:
    """Write static examples as a file, a line each."""
    lines = [json.dumps(each.to_dict(), ensure_ascii=False) + "\n" for each in static]
    return {STATIC: "".join(lines)} if lines else {}

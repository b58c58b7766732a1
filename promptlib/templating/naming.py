"""How templates, their versions and labels are named: `intent`, `intent@3`, `intent@production`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from promptlib.errors import TemplateError
from promptlib.text import lone_surrogate

LATEST = "latest"
"""The label that every newest version has by itself."""

SUFFIX = ".j2"
"""How a template's file ends."""

MOST_VERSIONS = 10**9
"""Of one template; larger numbers are none."""

PRODUCTION = "production"
"""The label that moves when none is named."""

_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}", re.ASCII)


@dataclass(frozen=True)
class Reference:
    """A template's name and which of its versions is meant; neither: the working file."""

    name: str
    number: int | None = None
    label: str | None = None

    @property
    def is_working(self) -> bool:
        """Whether the working file is meant."""
        return self.number is None and self.label is None

    def __str__(self) -> str:
        if self.is_working:
            return self.name
        return f"{self.name}@{self.label if self.number is None else self.number}"


def parse_reference(
    text: str, *, version: int | None = None, label: str | None = None
) -> Reference:
    """Read `name`, `name@3` or `name@label`; raises TemplateError for anything else.

    `version` and `label` say the same beside the name; only one of the three may be given.
    """
    if not isinstance(text, str):
        raise TemplateError(f"a template's name must be text, not {text!r}")
    if problem := lone_surrogate(text):
        raise TemplateError(f"a template's name {problem}")
    name, at, said = text.partition("@")
    if asks_for_both(text, version, label):
        raise TemplateError(
            f"template {text!r}: ask for a version or for a label, not for both: "
            f"{name}@3 or {name}@{PRODUCTION}"
        )
    if at and said.isdecimal() and said.isascii() and len(said) <= len(str(MOST_VERSIONS)):
        version = int(said)
    elif at:
        label = said
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        raise TemplateError(f"a version must be a whole number, not {version!r}")
    if label is not None:
        check_label(label)
    return Reference(_normal(name), version, label)


def asks_for_both(text: str, version: int | None, label: str | None) -> bool:
    """Whether more than one version or label is asked for."""
    return text.count("@") + (version is not None) + (label is not None) > 1


@lru_cache  # every prompt names its template
def _normal(name: str) -> str:
    """Write a name in one way only: `a//b`, `./a/b` and `a/b.j2` are `a/b`."""
    return str(PurePosixPath(name.removesuffix(SUFFIX))) if name else name


def check_label(label: str) -> None:
    """Raise TemplateError for a label that can't be one."""
    if not isinstance(label, str) or not _LABEL.fullmatch(label):
        raise TemplateError(
            f"label {label!r} isn't allowed: a letter, then letters, digits, '.', '_' or '-', "
            "100 in all"
        )

"""Conditions on examples: `label=card_lost`, `metadata.speaker!=system`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from promptlib.errors import ConfigError, did_you_mean
from promptlib.example import ROW_KEYS, Example
from promptlib.text import canonical_json, kind_of

_CONDITION = re.compile(r"\s*([^=!\s][^=!]*?)\s*(!?=)(.*)", re.DOTALL)


@dataclass(frozen=True)
class Condition:
    """A field that must have one of these values, or, negated, none of them."""

    field: str
    values: frozenset[str]
    negated: bool = False


@dataclass(frozen=True)
class Where:
    """Conditions that a row must meet, all of them.

    A field is `label` (the one in effect), `status`, `id`, a path into `input`, `output` or
    `metadata` such as `output.intent`, or the name of a metadata field. Values are compared as
    text, other JSON by its JSON; of a list, one item must match.
    """

    conditions: tuple[Condition, ...]

    @classmethod
    def parse(cls, where: Where | Mapping[str, Any] | Sequence[str] | None) -> Where:
        """Read {field: value or list of values}, or texts like "field=value" and "field!=value".

        Texts that name the same field in the same way are alternatives. Raises ConfigError.
        """
        if where is None:
            return cls(())
        if isinstance(where, Where):
            return where
        if isinstance(where, Mapping):
            return cls(tuple(_from_item(name, value) for name, value in where.items()))
        if isinstance(where, str) or not isinstance(where, Sequence):
            raise ConfigError(f"where must be an object or a list of texts, not {kind_of(where)}")
        wanted: dict[tuple[str, bool], set[str]] = {}
        for text in where:
            match = _CONDITION.fullmatch(text) if isinstance(text, str) else None
            if match is None:
                raise ConfigError(f"where {text!r} is not FIELD=VALUE or FIELD!=VALUE")
            wanted.setdefault((match[1], match[2] == "!="), set()).add(match[3].strip())
        return cls(tuple(Condition(name, frozenset(v), neg) for (name, neg), v in wanted.items()))

    def __bool__(self) -> bool:
        return bool(self.conditions)

    @property
    def fields(self) -> set[str]:
        """The fields that are asked about."""
        return {condition.field for condition in self.conditions}

    def to_data(self) -> list[dict[str, Any]]:
        """Give the conditions as plain data."""
        return [asdict(c) | {"values": sorted(c.values)} for c in self.conditions]

    def test(self, example: Example, label: str | None) -> tuple[bool, set[str]]:
        """Say whether a row meets all conditions, and which fields asked about it has.

        `label` is the one in effect.
        """
        meets, has = True, set()
        for condition in self.conditions:
            values = _field_values(example, label, condition.field)
            if values is not None:
                has.add(condition.field)
            hit = values is not None and not condition.values.isdisjoint(values)
            meets = meets and hit != condition.negated
        return meets, has

    def check(self, has: Collection[str], known: Iterable[str]) -> None:
        """Raise ConfigError for a field that no row has; `known` names those that rows have."""
        for name in sorted(self.fields - {"label", "status", "id"} - set(has)):
            raise ConfigError(f"where: no row has a field {name!r}; {did_you_mean(name, known)}")


@dataclass
class Matcher:
    """Applies conditions to rows, and remembers which fields the rows had."""

    where: Where
    rows: int = 0
    has: set[str] = field(default_factory=set)
    """Fields asked about that some row had."""
    known: set[str] = field(default_factory=lambda: {"label", "status", "id"})

    def matches(self, example: Example, label: str | None) -> bool:
        """Whether a row meets all conditions; `label` is the one in effect."""
        meets, has = self.where.test(example, label)
        self.rows += 1
        self.has |= has
        self.known.update(example.metadata)
        return meets

    def check(self) -> None:
        """Raise ConfigError for a field that no row had, if there were rows at all."""
        if self.rows:
            self.where.check(self.has, self.known)


def _from_item(name: object, value: object) -> Condition:
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"where: a field must be text, not {name!r}")
    values = value if isinstance(value, list | tuple | set | frozenset) else [value]
    return Condition(name, frozenset(map(_text, values)))


def _field_values(example: Example, label: str | None, path: str) -> set[str] | None:
    """Read a field's values as texts; None where the row doesn't have it."""
    if path == "label":
        return {label} if label is not None else set()
    first, *rest = path.split(".")
    value: Any = getattr(example, first) if first in ROW_KEYS else example.metadata.get(path)
    if first not in ROW_KEYS and value is None:
        value, rest = example.metadata, [first, *rest]
    for part in rest if first in ROW_KEYS or value is example.metadata else ():
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    if value is None:
        return None
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {_text(item) for item in value}
    return {_text(value)}


def _text(value: object) -> str:
    return value if isinstance(value, str) else canonical_json(value)

"""What differs between two states of a store, or between a store and a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from promptlib.example import Example


@dataclass(frozen=True)
class RowDifference:
    """A row that stands otherwise on one side; None where it isn't there."""

    before: Example | None
    after: Example | None

    @property
    def id(self) -> str:
        """Which row it is."""
        example = self.after or self.before
        assert example is not None
        return example.id

    @property
    def kind(self) -> Literal["added", "removed", "edited"]:
        """What became of it."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "edited"

    @property
    def fields(self) -> dict[str, tuple[Any, Any]]:
        """Field -> what it was and what it is; None for nothing. Metadata is told by its keys."""
        before, after = _flat(self.before), _flat(self.after)
        names = dict.fromkeys([*before, *after])
        pairs = {name: (before.get(name), after.get(name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        changed = {name: {"before": one, "after": two} for name, (one, two) in self.fields.items()}
        return {"id": self.id, "kind": self.kind, "fields": changed}


def compare_rows(before: Iterable[Example], after: Iterable[Example]) -> Iterator[RowDifference]:
    """Go through what differs; both sides come by id."""
    old, new = iter(before), iter(after)
    left, right = next(old, None), next(new, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.id < right.id):
            yield RowDifference(left, None)
            left = next(old, None)
        elif left is None or right.id < left.id:
            yield RowDifference(None, right)
            right = next(new, None)
        else:
            if (left.content_hash, left.status) != (right.content_hash, right.status):
                yield RowDifference(left, right)
            left, right = next(old, None), next(new, None)


def _flat(example: Example | None) -> Mapping[str, Any]:
    if example is None:
        return {}
    row = example.to_dict() | {"status": example.status}
    metadata = row.pop("metadata", {})
    return {key: row[key] for key in row if key != "id"} | {
        f"metadata.{key}": value for key, value in metadata.items()
    }

"""What an audit finds: one kind of trouble, the rows that have it, and what would mend them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from promptlib.store.planning import Edit

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Item:
    """Rows that belong together, and why they were found."""

    ids: Sequence[str]
    reason: str
    score: float = 0.0
    """The higher, the more there is to it; for ranking within a finding."""
    edits: Sequence[Edit] = ()
    """What would mend it; nothing where a person has to decide."""
    suggestion: str = ""
    """The same in words."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "ids": list(self.ids), "reason": self.reason, "score": self.score,
            "suggestion": self.suggestion,
        }  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One kind of trouble in a store."""

    id: str
    title: str
    why: str
    """What it does to prompts."""
    severity: Severity
    items: Sequence[Item] = field(repr=False)
    """The worst first."""
    fix: str = ""
    """What `store fix` does about it, in words; nothing where it can't do anything."""
    command: str = ""
    """What deals with it, to be typed."""

    @property
    def rows(self) -> list[str]:
        """The ids of all rows concerned, each once."""
        return list(dict.fromkeys(id for item in self.items for id in item.ids))

    @property
    def edits(self) -> list[Edit]:
        """All that would mend it; of a row that several items would change, the first one's."""
        found: dict[str, Edit] = {}
        for item in self.items:
            for edit in item.edits:
                found.setdefault(edit.before.id, edit)
        return list(found.values())

    def unless(self, reviewed: frozenset[str]) -> Finding:
        """Leave out what concerns such rows alone: somebody has looked at it and left it so."""
        items = [item for item in self.items if not reviewed.issuperset(item.ids)]
        return replace(self, items=items)

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "id": self.id, "title": self.title, "severity": self.severity, "why": self.why,
            "rows": len(self.rows), "fix": self.fix, "command": self.command,
            "items": [item.to_dict() for item in self.items],
        }  # fmt: skip


def ranked(items: Sequence[Item]) -> list[Item]:
    """Put the worst first; ties by id."""
    return sorted(items, key=lambda item: (-item.score, item.ids[:1]))

"""What importing rows does to a store, decided without touching it.

The rule: a source row that didn't change never overwrites a curator's edit nor brings back what
was rejected or deleted; one that did change updates a row nobody touched; changed on both sides,
it is a conflict that is listed and left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from promptlib.example import Example
from promptlib.store.rows import Change, StoredRow, row_of
from promptlib.store.settings import StoreSettings


@dataclass(frozen=True)
class Merge:
    """What an import changes, as rows to write, and what it leaves alone."""

    changes: tuple[Change, ...]
    added: int = 0
    updated: int = 0
    restored: int = 0
    unchanged: int = 0
    kept: int = 0
    """Rows edited, rejected or deleted here whose source is as it was: left as the curator has
    them."""
    conflicts: tuple[str, ...] = ()
    """Ids of rows that changed in the source and here."""
    ids: Mapping[str, list[str]] = field(default_factory=dict)
    """Outcome -> the ids of the rows that change."""


def merge(
    incoming: Sequence[Example],
    existing: Mapping[str, StoredRow],
    settings: StoreSettings,
    *,
    restore: bool = False,
) -> Merge:
    """Decide what importing `incoming` does to the rows that a store has, by id.

    With `restore`, the source wins over edits, rejections and deletions.
    """
    counts = dict.fromkeys(("added", "updated", "restored", "unchanged", "kept"), 0)
    changes: list[Change] = []
    conflicts: list[str] = []
    ids: dict[str, list[str]] = {}
    for example in incoming:
        before = existing.get(example.id)
        outcome = _outcome(example, before, restore)
        if outcome == "conflict":
            conflicts.append(example.id)
            continue
        counts[outcome] += 1
        if outcome in ("added", "updated", "restored"):
            after = row_of(example, settings, source_hash=example.source_hash)
            changes.append((before, after))
            ids.setdefault(outcome, []).append(example.id)
        elif before is not None and before.source_hash != example.source_hash:
            # Nothing to show, but remember what the source says now.
            changes.append((before, replace(before, source_hash=example.source_hash)))
    return Merge(tuple(changes), conflicts=tuple(conflicts), ids=ids, **counts)


def _outcome(example: Example, before: StoredRow | None, restore: bool) -> str:
    if before is None:
        return "added"
    here = before.source_state
    if here == example.source_hash:
        return "unchanged"
    if restore:
        return "restored"
    if before.source_hash == example.source_hash:
        return "kept"
    return "updated" if here == before.source_hash else "conflict"

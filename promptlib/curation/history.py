"""What a store's change log says: corrections, and labels that come and go."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from promptlib.store.reports import LoggedChange
from promptlib.store.store import ExampleStore

DAYS_A_MONTH = 365.25 / 12

BY_HAND = ("edit", "review")
"""Reasons of changes that a person has thought about."""

YOUNG_DAYS = 14
"""A store younger than that says nothing of how fast it changes."""


@dataclass(frozen=True)
class Correction:
    """An output that a person has replaced: a preference of the new over the old."""

    id: str
    input: Any
    rejected: Any
    chosen: Any


@dataclass(frozen=True)
class History:
    """How a store has changed."""

    days: float
    """Since its first row."""
    corrections: Sequence[Correction]
    came: Mapping[str, datetime]
    """Label -> when a row first had it."""
    went: Mapping[str, datetime]
    """Label -> when the last row with it went."""
    now: datetime

    @property
    def is_young(self) -> bool:
        """Whether there is too little of it to tell a pace."""
        return self.days < YOUNG_DAYS

    @property
    def months(self) -> float:
        """Its length, a month at least."""
        return max(1.0, self.days / DAYS_A_MONTH)

    @property
    def churn(self) -> float | None:
        """The share of labels that came or went, a month; None without labels."""
        if not self.came:
            return None
        changed = sum(at > self._settled for at in (*self.came.values(), *self.went.values()))
        return changed / len(self.came) / self.months

    @property
    def new_labels(self) -> float | None:
        """The share of labels that came within the last month; None without labels."""
        if not self.came:
            return None
        recent = max(self._settled, self.now - timedelta(days=DAYS_A_MONTH))
        return sum(at > recent for at in self.came.values()) / len(self.came)

    @property
    def _settled(self) -> datetime:
        """What a store began with on its first day isn't a change."""
        return self.now - timedelta(days=self.days - 1)


def read_history(store: ExampleStore, now: datetime | None = None) -> History:
    """Read a store's change log."""
    now = now or datetime.now(UTC)
    log = store.log()
    begun = datetime.fromisoformat(log[0].at) if log else now
    came, went = _label_times(log)
    days = (now - begun).total_seconds() / 86400
    return History(days, _corrections(log), came, went, now)


def _corrections(log: Sequence[LoggedChange]) -> list[Correction]:
    """Find the edits that changed an output and left its input alone; of each row the last."""
    found: dict[str, Correction] = {}
    for change in log:
        if change.reason not in BY_HAND or not (change.before and change.after):
            continue
        before, after = _content(change.before), _content(change.after)
        rejected, chosen = before.get("output"), after.get("output")
        if rejected is None or chosen is None:
            continue
        if before["input"] == after["input"] and rejected != chosen:
            found[change.id] = Correction(change.id, after["input"], rejected, chosen)
    return list(found.values())


def _label_times(
    log: Sequence[LoggedChange],
) -> tuple[dict[str, datetime], dict[str, datetime]]:
    came: dict[str, datetime] = {}
    went: dict[str, datetime] = {}
    rows: dict[str, int] = {}
    for change in log:
        at = datetime.fromisoformat(change.at)
        for state, step in ((change.before, -1), (change.after, 1)):
            label = _label(state)
            if label is None:
                continue
            rows[label] = rows.get(label, 0) + step
            came.setdefault(label, at)
            if rows[label]:
                went.pop(label, None)
            else:
                went[label] = at
    return came, went


def _label(state: str | None) -> str | None:
    row: dict[str, Any] = json.loads(state) if state else {"deleted": True}
    if row["deleted"] or row["status"] != "approved":
        return None
    label: str | None = row["label"]
    return label


def _content(state: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.loads(state)["content"])
    return found

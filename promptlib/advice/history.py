"""What a store's change log says: labels that come and go, corrections, preferences."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from promptlib.advice.economics import DAYS_A_MONTH
from promptlib.advice.facts import Fact
from promptlib.store.reports import LoggedChange
from promptlib.store.store import ExampleStore

YOUNG_DAYS = 14
"""A store younger than that says nothing of how fast it changes."""


@dataclass(frozen=True)
class Correction:
    """An output that a person has replaced: a preference of the new over the old."""

    id: str
    input: Any
    rejected: Any
    chosen: Any


def corrections(log: list[LoggedChange]) -> Iterator[Correction]:
    """Find the edits that changed an output and left its input alone."""
    for change in log:
        if change.reason != "edit" or not (change.before and change.after):
            continue
        before, after = _content(change.before), _content(change.after)
        rejected, chosen = before.get("output"), after.get("output")
        if rejected is None or chosen is None:
            continue
        if before["input"] == after["input"] and rejected != chosen:
            yield Correction(change.id, after["input"], rejected, chosen)


def history_facts(store: ExampleStore, now: datetime | None = None) -> dict[str, Fact]:
    """Measure how fast labels change, and how many corrections there are."""
    now = now or datetime.now(UTC)
    log = store.log()
    pairs = list(corrections(log))
    facts = {"preference_pairs": Fact(float(len(pairs)), note="outputs corrected by hand")}
    if not log:
        return facts
    begun = datetime.fromisoformat(log[0].at)
    days = (now - begun).total_seconds() / 86400
    if days < YOUNG_DAYS:
        return facts
    months = max(1.0, days / DAYS_A_MONTH)
    note = f"over {days:,.0f} days of history"
    facts["corrections_per_month"] = Fact(len(pairs) / months, note=note)
    came, went = _label_times(log)
    if not came:
        return facts
    settled = begun + timedelta(days=1)  # what the store began with isn't new
    changed = sum(at > settled for at in (*came.values(), *went.values()))
    facts["label_churn"] = Fact(changed / len(came) / months, note=note)
    recent = now - timedelta(days=DAYS_A_MONTH)
    new = sum(at > max(settled, recent) for at in came.values())
    facts["new_labels"] = Fact(new / len(came), note="first seen within a month")
    return facts


def _label_times(log: list[LoggedChange]) -> tuple[dict[str, datetime], dict[str, datetime]]:
    """Say when each label was first seen, and when the last row with it went."""
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

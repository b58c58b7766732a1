"""Mend what an audit has found: each fix is one change of the store, which undo takes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from promptlib.audit.auditing import look_at
from promptlib.audit.duplicates import exact_duplicates, near_duplicates, normalised_duplicates
from promptlib.audit.finding import Finding
from promptlib.audit.rows import AuditRows
from promptlib.curation.likeness import NEAR_DUPLICATE
from promptlib.errors import ConfigError
from promptlib.project import Project
from promptlib.store.planning import Edit

GUESSED = ("label-errors",)
"""Findings of which nobody should mend all at once without a look."""


@dataclass(frozen=True)
class Fix:
    """What would be changed, and why."""

    finding: str
    edits: Sequence[Edit]
    what: str
    """In words."""


def plan_fix(finding: Finding, *, rows: Sequence[str] = (), most: int | None = None) -> Fix:
    """Plan what mends a finding: all of it, the items that concern `rows`, or the worst `most`.

    Raises ConfigError for what a person has to decide, and for rows that it doesn't concern.
    """
    if unknown := sorted(set(rows) - set(finding.rows)):
        raise ConfigError(f"{finding.id} doesn't concern {', '.join(unknown)}")
    if finding.id in GUESSED and not rows and most is None:
        raise ConfigError(
            f"{finding.id} are a classifier's guesses: say how many of the likeliest, with --most "
            "N, or which, with --row ID; to look at them first: " + finding.command
        )
    items = [item for item in finding.items if not rows or not set(rows).isdisjoint(item.ids)]
    chosen = replace(finding, items=items[:most])
    if not finding.fix and finding.items:
        raise ConfigError(
            f"nothing can be done about {finding.id} by itself; look at: {finding.command}"
        )
    return Fix(finding.id, chosen.edits, finding.fix)


def plan_dedupe(project: Project, store: str, *, near: float = NEAR_DUPLICATE) -> Fix:
    """Plan to keep one of all exact, normalised and near duplicates.

    What two kinds of them would do at once is consistent: a row that one kind keeps, and another
    takes out, goes, and what it stood for is near to what stays.
    """
    rows = look_at(project, store, near=near).rows
    kinds = (exact_duplicates, normalised_duplicates, near_duplicates)
    edits: dict[str, Edit] = {}
    for kind in kinds:
        left = _without(rows, edits)
        edits |= {edit.before.id: edit for edit in kind(left).unless(rows.reviewed).edits}
    return Fix("dedupe", list(edits.values()), "keeps one of each and takes the others out")


def _without(rows: AuditRows, gone: dict[str, Edit]) -> AuditRows:
    """Leave rows out; the texts and their neighbours stay as they are."""
    if not gone:
        return rows
    kept = [row for row, example in enumerate(rows.examples) if example.id not in gone]
    left = replace(
        rows,
        examples=[rows.examples[row] for row in kept],
        labels=[rows.labels[row] for row in kept],
        text_of=rows.text_of[kept],
    )
    left.__dict__.update(twins=rows.twins)
    return left

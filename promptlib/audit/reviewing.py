"""Look at rows one by one: a queue of what matters most, and decisions that are kept at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from promptlib.audit.auditing import audit_store, find
from promptlib.audit.finding import Finding, Item
from promptlib.errors import ConfigError
from promptlib.example import Example
from promptlib.project import Project
from promptlib.store.history import REVIEW
from promptlib.store.planning import Edit
from promptlib.store.store import ExampleStore

GRAVE = (
    "secrets", "label-errors", "conflicts", "label-spelling", "disputed-labels", "odd-outputs",
    "leaked-prompts", "mojibake",
)  # fmt: skip
"""Findings whose rows are looked at where none is named."""

MUCH = 500
"""Rows of a queue beyond which nobody gets."""


@dataclass(frozen=True)
class Doubt:
    """A row to look at, and why."""

    example: Example
    label: str | None
    """In effect."""
    reasons: Sequence[str]
    suggestion: str = ""
    suggested: Example | None = None
    """What it would be by the suggestion; None for none, or to take it out (see `takes_out`)."""
    takes_out: bool = False
    others: Sequence[Example] = field(default=(), repr=False)
    """Rows that the finding holds it against."""


def review_queue(
    project: Project, store: str, *, finding: str | None = None, where: Sequence[str] = (),
    most: int = MUCH,
) -> list[Doubt]:  # fmt: skip
    """List the rows to look at, what matters most first: those of a finding, or of all grave ones,
    then the drafts.

    Rows that somebody has looked at, and that are as they were left, aren't listed. With `where`
    only rows that meet it are. Raises ConfigError for a finding that there isn't.
    """
    opened = project.store(store)
    if finding is not None:
        found: Iterable[Finding] = [find(project, store, finding)]
    elif where:
        found = []
    else:
        found = audit_store(project, store, only=GRAVE).findings
    rows = {row.id: row for row in opened.rows(where=where) if row.status != "rejected"}
    examples = {id: row.example for id, row in rows.items()}
    doubts: dict[str, Doubt] = {}
    for each in found:
        for item in each.items:
            for id in item.ids:
                if id in rows:
                    doubt = _doubt(examples, rows[id].label, id, each, item)
                    known = doubts.setdefault(id, doubt)
                    if known is not doubt:
                        reasons = [*known.reasons, *doubt.reasons]
                        doubts[id] = replace(known, reasons=reasons)
    if finding is None:
        seen = opened.reviewed()
        for id, row in rows.items():
            if id not in doubts and id not in seen and (where or row.status == "draft"):
                told = "a draft" if row.status == "draft" else "meets the condition"
                doubts[id] = Doubt(examples[id], row.label, [told])
    return list(doubts.values())[:most]


class Review:
    """Decisions on rows, each kept at once as a revision of its own, and taken back one by one."""

    def __init__(self, store: ExampleStore, *, by: str | None = None) -> None:
        self.store = store
        self.by = by
        self.done: list[int] = []
        """The revisions, the last one last."""

    def approve(self, row: Example) -> None:
        """Say that a row is right: prompts may show it. Raises ExampleError without an output."""
        self._keep(row, replace(row, status="approved"))

    def reject(self, row: Example, why: str = "") -> None:
        """Keep a row out of prompts for good."""
        self._keep(row, replace(row, status="rejected"), why)

    def relabel(self, row: Example, label: str) -> None:
        """Give a row another label, and approve it."""
        if not label.strip():
            raise ConfigError("a label can't be empty")
        labelled = self.store.settings.with_label(row, label)
        self._keep(row, replace(labelled, status="approved"))

    def correct(self, row: Example, after: Example) -> None:
        """Replace a row; what its output was is kept in the log, as the answer that isn't right."""
        self._keep(row, after)

    def follow(self, doubt: Doubt) -> None:
        """Do as the suggestion says; raises ConfigError without one."""
        if doubt.takes_out:
            self._keep(doubt.example, None)
        elif doubt.suggested is not None:
            self._keep(doubt.example, doubt.suggested)
        else:
            raise ConfigError("there is no suggestion for this row")

    def undo(self) -> int | None:
        """Take the last decision back; returns its revision, None where there is none."""
        if not self.done:
            return None
        number = self.done.pop()
        self.store.undo(number, by=self.by)
        return number

    def _keep(self, before: Example, after: Example | None, why: str = "") -> None:
        edit = Edit(before, after)
        self.done.append(self.store.edit([edit], reason=REVIEW, by=self.by, note=why, log_all=True))


def _doubt(
    examples: dict[str, Example], label: str | None, id: str, finding: Finding, item: Item
) -> Doubt:
    edits = {edit.before.id: edit for edit in item.edits}
    edit = edits.get(id)
    others = [examples[other] for other in item.ids if other != id and other in examples]
    return Doubt(
        examples[id], label, [f"{finding.id}: {item.reason}"], item.suggestion if edit else "",
        edit.after if edit else None, edit is not None and edit.after is None, others,
    )  # fmt: skip

"""An audit as a table, as rows for a spreadsheet, and as one HTML page."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from promptlib.audit.auditing import Audit
from promptlib.audit.finding import Finding
from promptlib.audit.projection import project_rows
from promptlib.example import output_text
from promptlib.files.reading import REVISION_COLUMN
from promptlib.models.prices import dollars
from promptlib.reporting.page import Section, make_page
from promptlib.reporting.pictures import Bars, Cloud, draw_cloud, draw_panels

SHOWN = 50
"""Items of a finding that the page lists; --json has all."""
DEAR = 5
"""Classes that are named for their cost."""
COLOURS = 10
"""Labels that have a colour of their own in the picture."""
BARS = 40

Table = tuple[list[str], list[list[Any]]]


def audit_table(audit: Audit) -> Table:
    """Give a line for each finding."""
    rows = [
        [finding.severity, finding.id, len(finding.rows), finding.title, finding.command]
        for finding in audit.findings
    ]
    return ["severity", "finding", "rows", "what", "command"], rows


def criteria_table(audit: Audit) -> Table:
    """Give a line for each of the five criteria of training data."""
    rows = [
        [c.name, c.grade or "", c.score.value if c.score else None, len(c.affected) or None,
         f"needs {c.missing}" if c.missing else c.meaning]
        for c in audit.criteria
    ]  # fmt: skip
    return ["criterion", "grade", "score", "rows behind it", "meaning"], rows


def economy_lines(audit: Audit) -> list[str]:
    """Say in sentences what rows, classes and prompts cost."""
    tokens = audit.economy.get("tokens")
    if tokens is None:
        return []
    lines = [
        f"A row has {tokens['median']:,.0f} tokens at the median, {tokens['p95']:,.0f} at the 95th "
        f"percentile, {tokens['most']:,} at most; all together {tokens['all']:,}."
    ]
    classes = list(audit.economy["tokens_by_class"].items())[:DEAR]
    if len(classes) > 1:
        named = ", ".join(f"{label} ({mean:,.0f})" for label, mean in classes)
        lines.append(f"The dearest classes, in tokens a row: {named}.")
    for name, each in audit.economy["prompts"].items():
        dear = f"; {dollars(1_000 * each['usd'])} for 1,000 of them, {each['model']}"
        lines.append(
            f"A prompt of {name} usually shows {each['examples']:,} tokens of examples (k "
            f"{each['k']}, budget {each['budget']:,}{'' if each['usd'] is None else dear})."
        )
    return lines


def item_table(finding: Finding, most: int | None = SHOWN) -> Table:
    """Give a line for each item of a finding."""
    rows = [
        [", ".join(item.ids[:2]) + (f" +{len(item.ids) - 2}" if len(item.ids) > 2 else ""),
         item.reason, item.suggestion]
        for item in finding.items[:most]
    ]  # fmt: skip
    return ["rows", "why", "suggestion"], rows


def audit_csv(audit: Audit) -> str:
    """Write the suspects for a spreadsheet: edit a row's own columns, and import it with --update.

    Each row stands once, with all its findings; the columns that tell of them are not read back.
    """
    examples = {example.id: example for example in audit.looked.rows.examples}
    labels = dict(zip(examples, audit.looked.rows.labels, strict=True))
    told: dict[str, list[tuple[str, str, str]]] = {}
    for finding in audit.findings:
        for item in finding.items:
            for id in item.ids:
                told.setdefault(id, []).append((finding.id, item.reason, item.suggestion))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    notes = ["audit:finding", "audit:reason", "audit:suggestion"]
    writer.writerow(["id", "input", "output", "label", "status", *notes, REVISION_COLUMN])
    for id, facts in told.items():
        row = examples[id]
        output = output_text(row.output) if row.output is not None else ""
        own = [id, output_text(row.input), output, labels[id] or "", row.status]
        joined = ["; ".join(dict.fromkeys(filter(None, each))) for each in zip(*facts, strict=True)]
        writer.writerow([*own, *joined, audit.revision])
    return out.getvalue()


def audit_page(audit: Audit, *, umap: bool = False) -> str:
    """Write the audit as one HTML page with pictures.

    Raises MissingDependencyError without matplotlib, or for `umap` without the extra.
    """
    columns, rows = audit_table(audit)
    lead = [
        f"{audit.rows:,} rows at revision {audit.revision:,}, {audit.seconds:,.0f} s; "
        f"nothing was found by {len(audit.clean)} further checks: {', '.join(audit.clean)}."
    ]
    picture = _map(audit, umap)
    return make_page(
        f"Audit of {audit.store}",
        lead=lead,
        sections=[
            Section(columns=columns, rows=rows),
            Section(
                "The store as a map", lines=[_MAP], picture=picture.decode(),
            ),
            *_classes(audit),
            Section("Tokens", lines=economy_lines(audit)),
            *_criteria(audit),
            *map(_finding, audit.findings),
        ],
    )  # fmt: skip


_MAP = (
    "Each text is a point; near each other is alike in meaning, as far as two of so many "
    "dimensions can show it. Marked are rows with a finding of an error or a warning."
)


def _map(audit: Audit, umap: bool) -> bytes:
    rows = audit.looked.rows
    first = np.array([members[0] for members in rows.rows_of_text])
    common = [label for label, _ in Counter(rows.labels).most_common(COLOURS) if label]
    places = project_rows(rows.vectors, umap=umap)
    groups = [rows.labels[row] for row in first.tolist()]
    grave = {id for f in audit.findings if f.severity != "note" for id in f.rows}
    marked = np.array([rows.examples[row].id in grave for row in first.tolist()])
    clouds = [
        Cloud(name or "others", places[np.array([_named(g, common) == name for g in groups])])
        for name in [None, *common]
    ]
    return draw_cloud(clouds, places[marked], title=audit.store, form="svg")


def _named(label: str | None, common: Sequence[str]) -> str | None:
    return label if label in common else None


def _classes(audit: Audit) -> list[Section]:
    sizes = Counter(label for label in audit.looked.rows.labels if label is not None)
    if len(sizes) < 2:
        return []
    shown = sizes.most_common(BARS)
    names, counts = [label for label, _ in shown], [size for _, size in shown]
    picture = draw_panels([Bars("rows by label", names, counts)], title="", form="svg")
    effective = audit.economy.get("effective_classes")
    told = f"{len(sizes):,} labels"
    if effective is not None:
        told += f", as even as {effective:.1f} of one size"
    more = [f"The {BARS} largest are shown."] if len(sizes) > BARS else []
    return [Section("Classes", lines=[f"{told}.", *more], picture=picture.decode())]


def _criteria(audit: Audit) -> list[Section]:
    if not audit.criteria:
        return []
    rows = [
        [c.name, c.grade or "?", c.score.value if c.score else None, c.meaning,
         (c.missing and f"needs {c.missing}") or c.thresholds, _first_of(c.affected)]
        for c in audit.criteria
    ]  # fmt: skip
    columns = ["criterion", "grade", "score", "meaning", "thresholds", "rows behind it"]
    return [Section("The five criteria of training data", columns=columns, rows=rows)]


def _first_of(ids: Sequence[str], most: int = 5) -> str:
    more = f" and {len(ids) - most:,} more" if len(ids) > most else ""
    return ", ".join(ids[:most]) + more


def _finding(finding: Finding) -> Section:
    lines = [f"{len(finding.rows):,} rows. {_sentence(finding.why)}"]
    if finding.fix:
        lines.append(f"The fix {finding.fix}.")
    if finding.command:
        lines.append(finding.command)
    if len(finding.items) > SHOWN:
        lines.append(f"The first {SHOWN} of {len(finding.items):,}; --json has all.")
    columns, rows = item_table(finding)
    return Section(f"{finding.title} ({finding.id})", lines=lines, columns=columns, rows=rows)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."

"""How rows are spread over classes, and what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from promptlib.audit.finding import Finding, Item, ranked
from promptlib.audit.rows import AuditRows
from promptlib.curation.criteria import effective_classes

SMALL = 8
"""Rows below which a class can't fill a prompt."""
GIANT = 20
"""Times the usual number of tokens from which a row is a giant where no budget is known."""


def small_classes(rows: AuditRows, asked: Mapping[str, int] | None = None) -> Finding:
    """Find classes with too few rows; with `asked`, how often queries are of each class."""
    sizes = Counter(label for label in rows.labels if label is not None)
    total, queries = sizes.total(), sum((asked or {}).values())
    items = []
    for label, size in sizes.items():
        wanted = (asked or {}).get(label, 0) / queries if queries else 0.0
        scarce = queries > 0 and wanted >= 0.01 and size / total < wanted / 4
        if size >= SMALL and not scarce:
            continue
        ids = [rows.examples[row].id for row, name in enumerate(rows.labels) if name == label]
        told = f"{label}: {size} rows"
        if queries:
            told += f", {size / total:.1%} of all, for {wanted:.1%} of queries"
        items.append(Item(ids, told, 1 / size))
    effective = effective_classes(np.array([*sizes.values()])) if sizes else 0.0
    few = "few rows for what is asked" if queries else "few rows"
    title = f"Classes with {few} (all are as even as {effective:.1f} of {len(sizes)})"
    return Finding(
        "small-classes", title,
        f"fewer than {SMALL} rows of a class can't show its range", "note",
        ranked(items) if len(sizes) > 1 else [], "",
        f"promptlib store label-next {rows.store} 50 --from UNLABELLED.jsonl",
    )  # fmt: skip


def giants(rows: AuditRows, tokens: Sequence[int], room: int | None) -> Finding:
    """Find rows too long for any template's budget, or far longer than is usual."""
    counts = np.array(tokens)
    limit = room if room is not None else max(1_000, int(GIANT * np.median(counts)))
    items = []
    for row in np.flatnonzero(counts > limit).tolist():
        told = f"{counts[row]:,} tokens: {rows.inputs[row]:.60}"
        items.append(Item(rows.ids([row]), told, float(counts[row]), rows.aside(row), "set aside"))
    why = (
        f"no template has room for more than {limit:,} tokens of examples: they are never shown"
        if room is not None
        else f"one of them costs as much as {GIANT} others"
    )
    return Finding(
        "giants", "Rows too long for a prompt", why, "note", ranked(items),
        "sets them aside as drafts", f"promptlib store fix {rows.store} --finding giants",
    )  # fmt: skip

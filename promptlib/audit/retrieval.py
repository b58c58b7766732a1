"""How rows do in retrieval: unlike all, never found, found everywhere, on both sides of a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from shlex import quote

import numpy as np

from promptlib.audit.finding import Finding, Item, ranked
from promptlib.audit.rows import AuditRows, Codes
from promptlib.embedding.embedder import Vectors

SHOWN = 8
"""Examples that a prompt shows: a row is reached if it is among so many nearest."""
CROWDING = 10
"""Times the mean share of prompts from which a row crowds in everywhere."""
OUTLYING = 3.0
"""Interquartile ranges below the first quartile of likeness from which a row is an outlier."""
FEWEST = 50
"""Texts below which there is no telling what is usual."""


def outliers(rows: AuditRows) -> Finding:
    """Find rows unlike all others: their mean cosine with the nearest is far below what is usual.

    Tukey's outer fence (1977) on the mean cosine of the five nearest texts.
    """
    items = []
    if len(rows.texts) >= FEWEST:
        likeness = rows.neighbours.cosine[:, :5].mean(axis=1)
        first, third = np.quantile(likeness, [0.25, 0.75])
        fence = first - OUTLYING * (third - first)
        for text in np.flatnonzero(likeness < min(fence, 0.5)).tolist():
            group = rows.rows_of_text[text]
            edits = rows.aside(*group)
            reason = f"{likeness[text]:.2f} like its nearest: {rows.texts[text]:.60}"
            score = float(1 - likeness[text])
            items.append(Item(rows.ids(group), reason, score, edits, "set aside"))
    return Finding(
        "outliers", "Rows unlike all others",
        "they may be noise, or the one example of something real: look", "note", ranked(items),
        "sets them aside as drafts, out of prompts",
        f"promptlib store review {rows.store} --finding outliers",
    )  # fmt: skip


def never_retrieved(rows: AuditRows, log: Vectors | None = None) -> Finding:
    """Find rows that are among the nearest of no query: of a log, or of the other rows."""
    counts = _reached(rows, log)
    items = []
    if counts.sum() >= 2 * len(rows.texts):
        items = [
            Item(rows.ids(rows.rows_of_text[text]), f"never shown: {rows.texts[text]:.60}")
            for text in np.flatnonzero(counts == 0).tolist()
        ]
    command = f"promptlib store review {rows.store} --finding never-retrieved"
    return Finding(
        "never-retrieved", "Rows that no query reaches",
        f"nothing asked {_asked(log)} has them among its {SHOWN} nearest: they do no harm, nor any "
        "good", "note", items, "", command,
    )  # fmt: skip


def crowding_rows(rows: AuditRows, log: Vectors | None = None) -> Finding:
    """Find rows that are among the nearest of far more queries than others (hubs)."""
    counts = _reached(rows, log)
    queries = len(rows.texts) if log is None else len(log)
    often = max(CROWDING * counts.mean(), 0.01 * queries, SHOWN)
    items = [
        Item(rows.ids(rows.rows_of_text[text]),
             f"shown for {counts[text]:,} of {queries:,}: {rows.texts[text]:.60}",
             float(counts[text]))
        for text in np.flatnonzero(counts > often).tolist()
    ]  # fmt: skip
    return Finding(
        "crowding-rows", "Rows that are shown for everything",
        "vague texts lie near all others and push better examples out", "note", ranked(items), "",
        f"promptlib store review {rows.store} --finding crowding-rows",
    )  # fmt: skip


def gaps(
    rows: AuditRows, log: Vectors | None, queries: Sequence[str] = (), file: str = "QUERIES"
) -> Finding:
    """Find queries of a log that no example is near to."""
    items = []
    if log is not None and len(log) and len(rows.texts) > 1:
        usual = float(np.quantile(rows.neighbours.cosine[:, 0], 0.05))
        nearest, cosine = _nearest(log, rows.vectors, 1)
        for at in np.flatnonzero(cosine[:, 0] < usual).tolist():
            row = rows.rows_of_text[int(nearest[at, 0])][0]
            reason = f"{cosine[at, 0]:.2f} from its nearest example: {queries[at]:.60}"
            items.append(Item(rows.ids([row]), reason, float(1 - cosine[at, 0])))
    return Finding(
        "gaps", "Queries that no example is near to",
        "for these, examples can't help: collect some like them", "warning", ranked(items), "",
        f"promptlib store label-next {rows.store} {max(1, len(items))} --from {quote(file)}",
    )  # fmt: skip


def split_leakage(rows: AuditRows, field: str = "split") -> Finding:
    """Find near copies on different sides of a split, as the rows' metadata names it."""
    sides = [example.metadata.get(field) for example in rows.examples]
    items = []
    if len({side for side in sides if isinstance(side, str)}) > 1:
        groups = rows.twins.groups(len(rows.texts))[rows.text_of]
        members: dict[int, list[int]] = {}
        for row, group in enumerate(groups.tolist()):
            if isinstance(sides[row], str):
                members.setdefault(group, []).append(row)
        for cluster in members.values():
            counts = Counter(str(sides[row]) for row in cluster)
            if len(counts) > 1:
                told = ", ".join(f"{n} in {side}" for side, n in sorted(counts.items()))
                reason = f"{told}: {rows.inputs[cluster[0]]:.60}"
                items.append(Item(rows.ids(cluster), reason, len(cluster)))
    return Finding(
        "split-leakage", "Near copies on both sides of a split",
        "what is measured on one side was seen on the other", "warning", ranked(items), "",
        f"promptlib store split {rows.store}",
    )  # fmt: skip


def _reached(rows: AuditRows, log: Vectors | None) -> Codes:
    """Count for how many queries each text is among the nearest; a row isn't its own query."""
    if log is None:
        places = rows.neighbours.places[:, :SHOWN]
    else:
        places, _ = _nearest(log, rows.vectors, min(SHOWN, len(rows.texts)))
    return np.bincount(places[places >= 0].ravel(), minlength=len(rows.texts))


def _nearest(asked: Vectors, vectors: Vectors, k: int) -> tuple[Codes, Vectors]:
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    cosine, places = index.search(asked, k)
    return places, cosine


def _asked(log: Vectors | None) -> str:
    return "of the store's own rows" if log is None else "in the log"

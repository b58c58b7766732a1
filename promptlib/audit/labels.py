"""Labels that are probably wrong, that are written in several ways, or that annotators dispute."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from promptlib.audit.finding import Finding, Item, ranked
from promptlib.audit.rows import AuditRows, normalised
from promptlib.curation.annotators import annotations_of, majority
from promptlib.errors import ExampleError, MissingDependencyError
from promptlib.files.reading import SHORT
from promptlib.learning.probe import FOLDS, USUAL, fit_probe, folds
from promptlib.store.planning import Edit
from promptlib.text import visible

LEAST_ROWS = 20
"""Labelled rows below which no probability means anything."""

DOUBTS = 0.7
"""Share of doubted rows beyond which the doubts say nothing."""

LEARNT_FROM = 20_000
"""Rows that each fold's classifier learns from at most."""

Shares = NDArray[np.float32]


def label_errors(rows: AuditRows) -> Finding:
    """Find labels that a classifier, which hasn't seen the row, is confident are others.

    Confident learning (Northcutt et al. 2021) on out-of-fold probabilities of a logistic
    regression on embeddings and letters; the least likely labels first. In a language that the
    embedder hardly knows, letters tell more than embeddings do. Classes with fewer rows than there
    are folds aren't judged, and a classifier that doubts nearly all hasn't learnt the labels.
    """
    items = []
    known = np.flatnonzero(rows.codes >= 0)
    sizes = np.bincount(rows.codes[known], minlength=len(rows.label_names))
    known = known[sizes[rows.codes[known]] >= FOLDS]
    if len(known) >= LEAST_ROWS and (sizes >= FOLDS).sum() > 1:
        shares = _out_of_fold(rows, known)
        suspects = _suspects(rows.codes[known], shares)
        for at, quality in suspects if len(suspects) <= DOUBTS * len(known) else ():
            row, likely = int(known[at]), rows.label_names[int(shares[at].argmax())]
            items.append(_suspect(rows, row, likely, float(shares[at].max()), 1 - quality))
    return Finding(
        "label-errors", "Labels that are probably wrong",
        "a wrong example is worse than none: the model copies it", "warning", ranked(items),
        "gives each row the label that is likelier",
        f"promptlib store review {rows.store} --finding label-errors",
    )  # fmt: skip


def label_spelling(rows: AuditRows) -> Finding:
    """Find labels that differ by case, punctuation or space alone."""
    called = [_called(rows, row) for row in range(len(rows))]
    sizes = Counter(name for name in called if name)
    kinds: dict[str, list[str]] = defaultdict(list)
    for label in sizes:
        kinds[normalised(label) or label].append(label)
    items = []
    for names in kinds.values():
        if len(names) == 1:
            continue
        best = max(names, key=lambda name: (sizes[name], name == " ".join(name.split()), name))
        concerned = [row for row, name in enumerate(called) if name in names]
        told = ", ".join(f"{visible(name)} ({sizes[name]})" for name in sorted(names))
        edits = [
            edit for row in concerned if called[row] != best
            if (edit := _relabel(rows, row, best)) is not None
        ]  # fmt: skip
        score = len(concerned)
        suggestion = f"call all of them {visible(best)}"
        items.append(Item(rows.ids(concerned), told, score, edits, suggestion))
    return Finding(
        "label-spelling", "One label written in several ways",
        "the model sees two classes where there is one", "error", ranked(items),
        "gives all rows the way that most have; where none has most, the tidiest",
        f"promptlib store fix {rows.store} --finding label-spelling",
    )  # fmt: skip


def disputed_labels(rows: AuditRows) -> Finding:
    """Find rows whose annotators differ."""
    items = []
    for row, example in enumerate(rows.examples):
        said = annotations_of(example)
        if len(set(said.values())) < 2:
            continue
        most = majority(said.values())
        told = ", ".join(f"{who} says {label}" for who, label in sorted(said.items()))
        edit = _relabel(rows, row, most) if most is not None and most != rows.labels[row] else None
        share = 1 - max(Counter(said.values()).values()) / len(said)
        edits = [edit] if edit is not None else []
        suggestion = f"most say {most}" if most is not None else "nobody has a majority"
        items.append(Item([example.id], told, share, edits, suggestion))
    return Finding(
        "disputed-labels", "Labels on which annotators differ",
        "what people don't agree on, a prompt can't teach", "warning", ranked(items),
        "gives each row the label of the majority, where there is one",
        f"promptlib store review {rows.store} --finding disputed-labels",
    )  # fmt: skip


def _out_of_fold(rows: AuditRows, known: NDArray[np.int64]) -> Shares:
    """Give each labelled row's probabilities by a classifier that saw neither it nor a twin."""
    codes = rows.codes[known]
    groups = rows.twins.groups(len(rows.texts))[rows.text_of[known]]
    classes = len(rows.label_names)
    shares = np.zeros((len(known), classes), np.float32)
    seen = np.concatenate([rows.vectors, rows.letters], axis=1)
    texts = rows.text_of[known]
    rng = np.random.default_rng(0)
    for train, test in folds(codes, groups):
        if len(train) > LEARNT_FROM:
            train = rng.choice(train, LEARNT_FROM, replace=False)
        probe = fit_probe(
            seen[texts[train]], codes[train], classes=classes, strength=USUAL, balanced=True
        )
        shares[test] = probe.predict_proba(seen[texts[test]])
    return shares


def _suspects(codes: NDArray[np.int64], shares: Shares) -> list[tuple[int, float]]:
    """Give (place, quality of the label) of the rows that confident learning doubts."""
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        raise MissingDependencyError("suspected labels", "audit") from None
    present, own = np.unique(codes, return_inverse=True)
    mine = shares[:, present].astype(np.float64)
    mine /= np.maximum(mine.sum(axis=1, keepdims=True), 1e-12)
    marked = find_label_issues(own, mine, filter_by="predicted_neq_given", n_jobs=1)
    quality = get_label_quality_scores(own, mine, method="normalized_margin")
    return [(int(at), float(quality[at])) for at in np.flatnonzero(marked)]


def _suspect(rows: AuditRows, row: int, likely: str, share: float, score: float) -> Item:
    edit = _relabel(rows, row, likely)
    told = f"has {rows.labels[row]}; its likes have {likely} ({share:.0%}): {rows.inputs[row]:.60}"
    edits = [edit] if edit is not None else []
    return Item(rows.ids([row]), told, score, edits, f"label {likely}")


def _called(rows: AuditRows, row: int) -> str:
    """Give a row's label, or an output that is short enough to be one."""
    output = rows.outputs[row]
    return rows.labels[row] or (output if len(output) <= SHORT else "")


def _relabel(rows: AuditRows, row: int, label: str) -> Edit | None:
    example = rows.examples[row]
    if rows.labels[row] is None:
        return Edit(example, replace(example, output=label))
    try:
        return Edit(example, rows.settings.with_label(example, label))
    except ExampleError:  # its output has no place for one
        return None

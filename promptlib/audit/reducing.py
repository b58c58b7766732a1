"""A smaller store that answers like the whole one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptlib.audit.rows import AuditRows
from promptlib.embedding.embedder import Vectors
from promptlib.errors import ConfigError
from promptlib.intervals import Estimate, wilson
from promptlib.learning.vote import vote
from promptlib.store.planning import Edit
from promptlib.threads import one_thread

Codes = NDArray[np.int64]

PART = 3_000
"""Rows of a class that are compared all with all; a larger class is cut into parts first."""


@dataclass(frozen=True)
class Reduction:
    """Which rows stay, and what that does to a vote of the nearest."""

    kept: Sequence[str]
    edits: Sequence[Edit]
    before: Estimate | None
    """Accuracy of a vote of each row's nearest others; None without labels."""
    after: Estimate | None
    """The same questions, when only the kept rows have a vote."""
    classes: tuple[int, int]
    """The smallest class, before and after."""


def plan_reduction(rows: AuditRows, size: int) -> Reduction:
    """Plan to keep `size` rows that stand for all, class by class in its share.

    Facility location (Lin & Bilmes 2011), greedily: each step takes the row that brings most rows
    of its class nearer to one that is kept. Raises ConfigError for a size that can't be.
    """
    shown = np.array([e.status == "approved" for e in rows.examples])
    positions = np.flatnonzero(shown)
    classes = np.unique(rows.codes[positions])
    if len(positions) <= len(classes):
        raise ConfigError(f"{len(positions):,} rows of {len(classes):,} kinds can't be fewer")
    if not len(classes) <= size < len(positions):
        raise ConfigError(
            f"a size must be {len(classes)}, one of each label, or more, and less than "
            f"{len(positions):,}, not {size:,}"
        )
    vectors = rows.vectors[rows.text_of]
    shares = _shares([int((rows.codes[positions] == code).sum()) for code in classes], size)
    chosen = []
    for code, share in zip(classes.tolist(), shares, strict=True):
        members = positions[rows.codes[positions] == code]
        chosen.append(members[_representatives(vectors[members], share)])
    kept = np.sort(np.concatenate(chosen))
    before, after = _accuracies(rows, positions, kept)
    gone = np.setdiff1d(positions, kept).tolist()
    return Reduction(
        kept=rows.ids(kept.tolist()),
        edits=[Edit(rows.examples[row], None) for row in gone],
        before=before,
        after=after,
        classes=(_smallest(rows.codes[positions]), _smallest(rows.codes[kept])),
    )


def facility_location(vectors: Vectors, count: int) -> Codes:
    """Choose rows so that every row is near to one that is chosen, (count,), the best first."""
    cosine = vectors @ vectors.T
    best = np.zeros(len(vectors), np.float32)
    chosen: list[int] = []
    left = np.ones(len(vectors), bool)
    for _ in range(min(count, len(vectors))):
        gain = np.maximum(cosine - best[:, None], 0).sum(axis=0)
        gain[~left] = -1
        at = int(gain.argmax())
        chosen.append(at)
        left[at] = False
        best = np.maximum(best, cosine[:, at])
    return np.array(chosen, np.int64)


def _representatives(vectors: Vectors, count: int) -> Codes:
    if len(vectors) <= PART:
        with one_thread():
            return facility_location(vectors, count)
    from sklearn.cluster import MiniBatchKMeans

    parts = -(-len(vectors) // (PART // 2))
    groups = MiniBatchKMeans(parts, random_state=0, n_init=1).fit_predict(vectors)
    members = [np.flatnonzero(groups == part) for part in range(parts)]
    members = [part for group in members if len(group)
               for part in np.array_split(group, -(-len(group) // PART))]  # fmt: skip
    shares = _shares([len(part) for part in members], count, least=0)
    found = [
        part[_representatives(vectors[part], share)]
        for part, share in zip(members, shares, strict=True) if share
    ]  # fmt: skip
    return np.concatenate(found)


def _shares(sizes: Sequence[int], total: int, least: int = 1) -> list[int]:
    """Divide a total in proportion to sizes, each getting `least` or more: largest remainders."""
    exact = np.array(sizes) * total / sum(sizes)
    shares = np.maximum(np.floor(exact).astype(int), least)
    shares = np.minimum(shares, sizes)
    order = np.argsort(-(exact - np.floor(exact)), kind="stable")
    while (missing := total - int(shares.sum())) != 0:
        step = 1 if missing > 0 else -1
        for at in order if step > 0 else np.argsort(-shares, kind="stable"):
            if missing == 0:
                break
            if least <= shares[at] + step <= sizes[at]:
                shares[at] += step
                missing -= step
    return [int(share) for share in shares]


def _accuracies(
    rows: AuditRows, positions: Codes, kept: Codes
) -> tuple[Estimate | None, Estimate | None]:
    """Ask every row of those the others, and those that are kept; never a near copy of itself."""
    labelled = positions[rows.codes[positions] >= 0]
    classes = len(rows.label_names)
    if classes < 2 or len(labelled) < 2:
        return None, None
    groups = rows.twins.groups(len(rows.texts))[rows.text_of]
    vectors, codes = rows.vectors[rows.text_of], rows.codes
    found = []
    for voters in (labelled, kept[codes[kept] >= 0]):
        said = vote(
            vectors[voters], codes[voters], vectors[labelled], classes=classes,
            groups=groups[voters], asked_groups=groups[labelled],
        )  # fmt: skip
        found.append(wilson(int((said == codes[labelled]).sum()), len(labelled)))
    return found[0], found[1]


def _smallest(codes: Codes) -> int:
    sizes = np.bincount(codes[codes >= 0]) if (codes >= 0).any() else np.zeros(1, int)
    return int(sizes[sizes > 0].min(initial=len(codes)))

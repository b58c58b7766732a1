"""Rows divided into parts of like classes, near copies never on two sides."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.audit.rows import AuditRows, Codes
from promptlib.errors import ConfigError
from promptlib.example import ROW_KEYS
from promptlib.learning.probe import folds
from promptlib.store.planning import Edit

Floats = NDArray[np.float64]

PARTS = 20
"""Folds that are dealt out: shares are met to a twentieth, or better."""
WHOLE = 10
"""How much more a part's share of all rows counts than its share of a class: of a thousand classes
with two rows each, every row is likelier to be missed by the largest part."""


@dataclass(frozen=True)
class PartCount:
    """How many rows a part has, and the label that is furthest from its share."""

    part: str
    share: float
    rows: int
    label: str | None
    label_rows: int
    """Of this label in this part."""
    label_all: int


@dataclass(frozen=True)
class Split:
    """What would be written, and what each part gets."""

    edits: Sequence[Edit]
    parts: Sequence[PartCount]


def plan_split(
    rows: AuditRows, shares: Mapping[str, float], *, field: str = "split", seed: int = 0
) -> Split:
    """Plan to write into each row's metadata which part it is of.

    Shares are stratified by label, and a group of near copies stays together. Raises ConfigError
    for shares that don't make one, for a field that can't be asked for with FIELD=VALUE, and for
    too few rows to divide.
    """
    if not re.fullmatch(r"[\w-]+", field) or field in ROW_KEYS:
        raise ConfigError(f"{field!r} can't be the name of a metadata field for parts")
    if len(shares) < 2 or not all(share > 0 for share in shares.values()):
        raise ConfigError("a split has two parts or more, each with a share above 0")
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise ConfigError(f"the shares must make 1, not {sum(shares.values()):g}")
    groups = rows.twins.groups(len(rows.texts))[rows.text_of]
    if (apart := len(np.unique(groups))) < len(shares):
        raise ConfigError(
            f"{len(rows):,} rows can't be divided into {len(shares)} parts: near copies stay "
            f"together, and leave {apart}; another likeness (--near) may tell them apart"
        )
    parts = _dealt(rows, groups, shares, seed)
    if missing := shares.keys() - {*parts.values()}:
        raise ConfigError(f"there are too few rows to give some to {', '.join(sorted(missing))}")
    edits = []
    for row, example in enumerate(rows.examples):
        after = replace(example, metadata={**example.metadata, field: parts[row]})
        if after != example:
            edits.append(Edit(example, after))
    return Split(edits, _counts(rows, parts, shares))


def _counts(
    rows: AuditRows, parts: Mapping[int, str], shares: Mapping[str, float]
) -> list[PartCount]:
    sizes = Counter(rows.labels)
    found = []
    for part, share in shares.items():
        got = Counter(rows.labels[row] for row, name in parts.items() if name == part)
        label = max(sizes, key=lambda label: abs(got[label] - share * sizes[label]))
        found.append(PartCount(part, share, got.total(), label, got[label], sizes[label]))
    return found


def _dealt(
    rows: AuditRows,
    groups: Codes,
    shares: Mapping[str, float],
    seed: int,
) -> dict[int, str]:
    """Deal folds out: each goes where the shares of all classes are least missed afterwards."""
    found: dict[int, str] = {}
    classes = rows.codes + 1  # the first is of rows without a label

    def counted(fold: Any) -> Floats:
        by_class = np.bincount(classes[fold], minlength=classes.max() + 1)
        return np.append(by_class, by_class.sum()).astype(float)

    sizes = counted(slice(None))
    missing = {part: share * sizes for part, share in shares.items()}
    made = [test for _, test in folds(rows.codes, groups, PARTS, seed)]
    counts = [counted(fold) for fold in made]
    # The most uneven folds first, while there is room for them.
    for at in sorted(range(len(made)), key=lambda at: -float((counts[at] ** 2).sum())):
        part = min(shares, key=lambda part: _missed(missing[part], counts[at], sizes))
        missing[part] -= counts[at]
        found.update(dict.fromkeys(made[at].tolist(), part))
    return found


def _missed(missing: Floats, more: Floats, sizes: Floats) -> float:
    """Say how much worse a part misses its shares, of classes and of all, with these rows."""
    worse = ((missing - more) ** 2 - missing**2) / np.maximum(sizes, 1)
    return float(worse[:-1].sum() + WHOLE * worse[-1])

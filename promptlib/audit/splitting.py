"""Rows divided into parts of like classes, near copies never on two sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from promptlib.audit.rows import AuditRows, Codes
from promptlib.errors import ConfigError
from promptlib.learning.probe import folds
from promptlib.store.planning import Edit

PARTS = 20
"""Folds that are dealt out: shares are met to a twentieth, or better."""


def plan_split(
    rows: AuditRows, shares: Mapping[str, float], *, field: str = "split", seed: int = 0
) -> list[Edit]:
    """Plan to write into each row's metadata which part it is of.

    Shares are stratified by label, and a group of near copies stays together. Raises ConfigError
    for shares that don't make one, and for too few rows to divide.
    """
    if len(shares) < 2 or any(share <= 0 for share in shares.values()):
        raise ConfigError("a split has two parts or more, each with a share above 0")
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise ConfigError(f"the shares must make 1, not {sum(shares.values()):g}")
    groups = rows.twins.groups(len(rows.texts))[rows.text_of]
    if len(np.unique(groups)) < len(shares):
        raise ConfigError("there are too few different rows to divide them")
    parts = _dealt(rows, groups, shares, seed)
    edits = []
    for row, example in enumerate(rows.examples):
        after = replace(example, metadata={**example.metadata, field: parts[row]})
        if after != example:
            edits.append(Edit(example, after))
    return edits


def _dealt(
    rows: AuditRows,
    groups: Codes,
    shares: Mapping[str, float],
    seed: int,
) -> dict[int, str]:
    """Deal folds out: each goes to the part that is furthest behind its share."""
    found: dict[int, str] = {}
    got = dict.fromkeys(shares, 0)
    made = [test for _, test in folds(rows.codes, groups, PARTS, seed)]
    for fold in sorted(made, key=len, reverse=True):
        behind = max(shares, key=lambda part: shares[part] * len(rows) - got[part])
        got[behind] += len(fold)
        found.update(dict.fromkeys(fold.tolist(), behind))
    return found

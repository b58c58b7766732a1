"""What a model has answered in experiments: which is measured on the spot, and counts as such."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from promptlib.advice.facts import Fact
from promptlib.experiment.calibrating import LEAST_ARM, ArmAccuracy, arm_accuracies
from promptlib.experiment.outcomes import Logged
from promptlib.intervals import mean_of, wilson


def logged_facts(
    rows: Sequence[Logged], model: str | None = None, template: str | None = None
) -> dict[str, Fact]:
    """Give accuracy with examples, in the best way that was tried, and without any.

    Of `model` if it was asked, else of the one that answered most; of `template` alone, if named.
    """
    mine = [row for row in rows if template is None or row.template == template.partition("@")[0]]
    asked = [row.model for row in mine]
    if not asked:
        return {}
    chosen = model if model in asked else max(dict.fromkeys(asked), key=asked.count)
    mine = [row for row in mine if row.model == chosen]
    arms = [arm for arm in arm_accuracies(mine) if arm.answers >= LEAST_ARM]
    shown = [arm for arm in arms if arm.k and arm.strategy != "random"]
    facts = {}
    if shown:
        best = max(shown, key=lambda arm: arm.accuracy.low)
        facts["accuracy"] = _fact(best)
        theirs = [row for row in mine if _is_of(row, best)]
        off = sum(row.kind in ("format", "empty", "cut") for row in theirs)
        invalid = wilson(off, len(theirs))
        facts["invalid_outputs"] = Fact.of(invalid, "outcomes", f"of {len(theirs):,} answers")
        times = mean_of(np.array([row.seconds * 1e3 for row in theirs]))
        facts["latency_ms"] = Fact.of(times, "outcomes", f"{chosen}, in experiments")
    if without := [arm for arm in arms if not arm.k]:
        facts["zero_shot"] = _fact(max(without, key=lambda arm: arm.answers))
    return facts


def _fact(arm: ArmAccuracy) -> Fact:
    how = f"{arm.strategy}, k {arm.k}" if arm.k else "no examples"
    version = f"@{arm.version}" if arm.version is not None else ""
    note = f"{arm.answers:,} answers of {arm.model} to {arm.template}{version}, {how}"
    return Fact.of(arm.accuracy, "outcomes", note)


def _is_of(row: Logged, arm: ArmAccuracy) -> bool:
    mine = (row.template, row.version, row.strategy, row.k, row.ordering, row.budget, row.metric)
    return mine == (
        arm.template, arm.version, arm.strategy, arm.k, arm.order, arm.budget, arm.metric,
    )  # fmt: skip

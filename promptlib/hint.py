"""What the volume of examples alone says about training on them: a question, never an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

Grade = Literal["too few to ask", "early to ask", "worth asking"]


@dataclass(frozen=True)
class Volume:
    """Counts of the examples that prompts may show."""

    rows: int
    distinct: int
    """Rows whose text for retrieval no other row has, and one of each group that shares one."""
    classes: Mapping[str, int]
    """Label -> rows."""


@dataclass(frozen=True)
class Threshold:
    """A published number of examples and who published it."""

    rows: int
    says: str
    source: str


# A classification store counts examples a class, any other store counts distinct rows.
PER_CLASS = (
    Threshold(8, "a small classifier can be trained", "SetFit, Tunstall et al. 2022: 8 a class"),
    Threshold(20, "a fine-tuning pilot is reasonable", "Loukas et al. 2023: about 20 a class"),
    Threshold(50, "fine-tuning is plausible", "OpenAI fine-tuning guide: gains at 50 to 100"),
)
PER_TASK = (
    Threshold(10, "a fine-tuning job is accepted", "OpenAI fine-tuning guide: 10 at least"),
    Threshold(50, "a fine-tuning pilot is reasonable", "OpenAI fine-tuning guide: gains at 50"),
    Threshold(
        1000, "fine-tuning for quality is plausible", "LIMA, Zhou et al. 2023: 1,000 curated"
    ),
)


@dataclass(frozen=True)
class Hint:
    """Whether the volume makes it worth asking if the examples should train a model instead."""

    grade: Grade
    rows: int
    distinct: int
    classes: int
    per_class: tuple[int, float, int] | None
    """Fewest, median and most rows of a class."""
    shown: int
    """The most examples that one prompt can show."""
    share: float
    """Of the store's rows, what one prompt can show at most."""
    passed: tuple[Threshold, ...]
    """The published thresholds that the median class, or the whole store, reaches."""

    def __str__(self) -> str:
        parts = [f"{self.distinct:,} distinct examples"]
        if self.per_class is not None:
            low, middle, high = self.per_class
            sizes = f"{low:,} to {high:,}, median {middle:g}"
            parts = [f"{parts[0]} in {self.classes:,} classes ({sizes})"]
        parts.append(f"a prompt shows at most {self.shown:,} of them ({_percent(self.share)})")
        if self.passed:
            last = self.passed[-1]
            parts.append(f"{self.grade} whether to train: {last.says} ({last.source})")
        else:
            parts.append(f"{self.grade} whether to train")
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Give the hint as plain data."""
        return asdict(self) | {"text": str(self)}


def volume_hint(volume: Volume, shown: int) -> Hint | None:
    """Grade a store's volume by published thresholds; None for an empty store.

    `shown` is how many examples k and the budget let one prompt show.
    """
    if not volume.rows:
        return None
    sizes = sorted(volume.classes.values())
    is_classification = len(sizes) > 1
    measure = median(sizes) if is_classification else volume.distinct
    thresholds = PER_CLASS if is_classification else PER_TASK
    passed = tuple(t for t in thresholds if measure >= t.rows)
    grade: Grade = ("too few to ask", "early to ask", "early to ask", "worth asking")[len(passed)]
    return Hint(
        grade=grade,
        rows=volume.rows,
        distinct=volume.distinct,
        classes=len(sizes),
        per_class=(sizes[0], median(sizes), sizes[-1]) if is_classification else None,
        shown=shown,
        share=min(1.0, shown / volume.rows),
        passed=passed,
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"

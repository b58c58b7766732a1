"""Several annotators' labels of a row: how far they agree, and choosing one of them.

A row has them in its metadata: `"annotations": {"ada": "card_lost", "bo": "card_stolen"}`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptlib.errors import ConfigError, MissingDependencyError, did_you_mean
from promptlib.example import Example
from promptlib.store.planning import Edit
from promptlib.store.settings import StoreSettings

FIELD = "annotations"
MAJORITY = "majority"


@dataclass(frozen=True)
class Annotator:
    """One who has labelled rows."""

    name: str
    rows: int
    shared: int
    """Rows that somebody else has labelled too."""
    agrees: float | None
    """Share of those on which it says what most say, itself left out; None without any."""


@dataclass(frozen=True)
class Agreement:
    """How far annotators agree."""

    rows: int
    """That anybody has labelled."""
    shared: int
    """That two or more have labelled."""
    alpha: float | None
    """Krippendorff's alpha for names: 1 is perfect, 0 is chance; None where nothing is shared."""
    annotators: Sequence[Annotator]
    disputed: Sequence[str]
    """Ids of rows on which they differ."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        who = [dict(vars(each)) for each in self.annotators]
        return dict(vars(self)) | {"annotators": who, "disputed": list(self.disputed)}


def annotations_of(example: Example, field: str = FIELD) -> dict[str, str]:
    """Read who says what of a row; nothing where nobody does."""
    said = example.metadata.get(field)
    if not isinstance(said, Mapping):
        return {}
    return {name: label for name, label in said.items() if isinstance(label, str) and label}


def measure_agreement(rows: Iterable[Example], field: str = FIELD) -> Agreement:
    """Measure how far annotators agree; raises ConfigError if no row has annotations."""
    found = {row.id: said for row in rows if (said := annotations_of(row, field))}
    if not found:
        raise ConfigError(
            f"no row has annotations: its metadata needs {field!r}, an object of "
            '{"ANNOTATOR": "LABEL"}'
        )
    shared = {id: said for id, said in found.items() if len(said) > 1}
    names = sorted({name for said in found.values() for name in said})
    return Agreement(
        rows=len(found),
        shared=len(shared),
        alpha=_alpha(shared) if shared else None,
        annotators=[_annotator(name, found) for name in names],
        disputed=[id for id, said in shared.items() if len(set(said.values())) > 1],
    )


def choose_labels(
    rows: Iterable[Example], settings: StoreSettings, choice: str = MAJORITY, field: str = FIELD
) -> list[Edit]:
    """Plan to give each row the label that most annotators say, or one of them.

    Rows without a majority stay as they are. Raises ConfigError for an annotator who says nothing.
    """
    edits, names = [], set[str]()
    for row in rows:
        said = annotations_of(row, field)
        names |= said.keys()
        label = majority(said.values()) if choice == MAJORITY else said.get(choice)
        if label is not None:
            after = settings.with_label(row, label)
            if after != row:
                edits.append(Edit(row, after))
    if choice != MAJORITY and choice not in names:
        raise ConfigError(f"no annotator {choice!r}; {did_you_mean(choice, names)}")
    return edits


def majority(labels: Iterable[str]) -> str | None:
    """Give the label that more say than any other; None for a tie or nothing."""
    counts = Counter(labels).most_common(2)
    if not counts or (len(counts) == 2 and counts[0][1] == counts[1][1]):
        return None
    return counts[0][0]


def _annotator(name: str, found: Mapping[str, Mapping[str, str]]) -> Annotator:
    mine = {id: said for id, said in found.items() if name in said}
    shared = [said for said in mine.values() if len(said) > 1]
    others = [
        (said[name], majority(label for who, label in said.items() if who != name))
        for said in shared
    ]
    judged = [own == most for own, most in others if most is not None]
    return Annotator(name, len(mine), len(shared), sum(judged) / len(judged) if judged else None)


def _alpha(shared: Mapping[str, Mapping[str, str]]) -> float:
    """Krippendorff's alpha for nominal data, over the rows that two or more have labelled."""
    try:
        from nltk.metrics.agreement import AnnotationTask
    except ImportError:
        raise MissingDependencyError("agreement of annotators", "audit") from None
    if len({label for said in shared.values() for label in said.values()}) == 1:
        return 1.0  # nothing to differ in: by the formula nought over nought
    data = [(who, id, label) for id, said in shared.items() for who, label in said.items()]
    return float(AnnotationTask(data=data).alpha())

"""Judge an answer against the right one, by the kind of task."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from promptlib.errors import ConfigError, did_you_mean
from promptlib.example import output_text
from promptlib.judging.functions import load_function
from promptlib.judging.reading import normal_label, read_json, read_number
from promptlib.models.answer import Answer

Kind = Literal["right", "partly", "wrong", "format", "refused", "empty", "cut", "unbuilt"]
"""What came of a question; `format`: the answer isn't of the form that was asked for, `unbuilt`:
its prompt doesn't fit the budget."""

METRICS: Mapping[str, str] = {
    "label": "the first line is the label, but for case, quotes and a full stop",
    "exact": "the answer is the output, but for white space around it",
    "contains": "the output stands somewhere in the answer",
    "json": "F1 of the fields of a JSON object that are right; no JSON counts 0",
    "number": "the last number, or the one behind ####, is the output's",
    "similar": "cosine of the answer's and the output's embeddings",
    "regex:PATTERN": "the pattern is found in the answer",
    "python:FILE:FUNCTION": "what function(answer, output, row) returns: True, False, or 0 to 1",
}
"""Name -> what a score of 1 means."""


@dataclass(frozen=True)
class Wanted:
    """What would have been right."""

    output: Any
    """The row's, as it stands; None where it has none."""
    label: str | None
    labels: Sequence[str] = ()
    """All that could be."""
    row: Any = None
    """The whole row, as plain data, for functions of one's own."""

    @property
    def text(self) -> str:
        """The right answer as text."""
        return "" if self.output is None else output_text(self.output)


@dataclass(frozen=True)
class Verdict:
    """How good an answer is."""

    score: float
    """1 right, 0 wrong, or between."""
    kind: Kind
    said: str
    """What was found in the answer: its label, its number."""


Similarity = Callable[[str, str], float]
"""Two texts -> their cosine."""

Metric = Callable[[str, Wanted], Verdict]


def find_metric(
    name: str, similarity: Similarity | None = None, folder: Path | None = None
) -> Metric:
    """Find a metric by name; raises ConfigError.

    `similarity` is what `similar` compares by; files that are named start at `folder`.
    """
    kind, colon, told = name.partition(":")
    if kind == "regex" and colon:
        try:
            pattern = re.compile(told, re.MULTILINE)
        except re.error as error:
            raise ConfigError(f"metric {name!r}: {error}") from None
        return lambda text, wanted: _whether(pattern.search(text) is not None, text)
    if kind == "python" and colon:
        function = load_function(told, folder)
        return lambda text, wanted: _own(name, function(text, wanted.output, wanted.row), text)
    if name == "similar" and similarity is not None:
        return lambda text, wanted: _between(similarity(text, wanted.text), text)
    if name not in _PLAIN:
        known = [*_PLAIN, "similar", "regex:PATTERN", "python:FILE:FUNCTION"]
        raise ConfigError(f"no metric {name!r}; {did_you_mean(name, known)}")
    return _PLAIN[name]


def check_metric(name: str, folder: Path | None = None) -> None:
    """Raise ConfigError for what is no metric."""
    find_metric(name, lambda one, other: 0.0, folder)


def judge(answer: Answer, wanted: Wanted, metric: Metric) -> Verdict:
    """Judge an answer; a refusal and an empty one are wrong whatever the metric says."""
    if answer.finish == "refusal":
        return Verdict(0.0, "refused", answer.text.strip())
    if not answer.text.strip():
        return Verdict(0.0, "empty", "")
    verdict = metric(answer.text, wanted)
    if verdict.score == 0 and answer.finish == "length":
        return Verdict(0.0, "cut", verdict.said)
    return verdict


def by_label(text: str, wanted: Wanted) -> Verdict:
    """Compare labels, normalised alike."""
    said = normal_label(text)
    right = normal_label(wanted.label if wanted.label is not None else wanted.text)
    if said == right:
        return Verdict(1.0, "right", said)
    known = {normal_label(label) for label in wanted.labels}
    return Verdict(0.0, "wrong" if said in known or not known else "format", said)


def by_text(text: str, wanted: Wanted) -> Verdict:
    """Compare texts, but for white space around them."""
    return _whether(text.strip() == wanted.text.strip(), text)


def by_part(text: str, wanted: Wanted) -> Verdict:
    """Look for the output in the answer."""
    return _whether(bool(wanted.text) and wanted.text.strip() in text, text)


def by_number(text: str, wanted: Wanted) -> Verdict:
    """Compare numbers by value."""
    said, right = read_number(text), read_number(wanted.text)
    if said is None:
        return Verdict(0.0, "format", "")
    return Verdict(float(said == right), "right" if said == right else "wrong", str(said))


def by_fields(text: str, wanted: Wanted) -> Verdict:
    """Compare the fields of JSON objects, nested ones by their path, lists without order."""
    try:
        said = read_json(text)
        right = read_json(wanted.text) if isinstance(wanted.output, str) else wanted.output
    except ValueError:
        return Verdict(0.0, "format", "")
    try:
        mine, theirs = Counter(_leaves(said)), Counter(_leaves(right))
    except RecursionError:
        return Verdict(0.0, "format", "")
    shared = (mine & theirs).total()
    score = 2 * shared / (mine.total() + theirs.total()) if mine or theirs else 1.0
    return _between(score, output_text(said))


_PLAIN: Mapping[str, Metric] = {
    "label": by_label, "exact": by_text, "contains": by_part, "number": by_number,
    "json": by_fields,
}  # fmt: skip


def usual_metric(rows: Sequence[Wanted]) -> str:
    """Say how answers like these are judged, unless somebody says: by what the rows have."""
    outputs = [row.output for row in rows if row.output is not None]
    if outputs and all(isinstance(output, Mapping | list) for output in outputs):
        return "json"
    if rows and all(row.label is not None for row in rows):
        return "label"
    texts = [row.text for row in rows]
    if texts and all(_ends_in_number(text) for text in texts):
        return "number"
    return "similar"


def _ends_in_number(text: str) -> bool:
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    return re.search(r"(?:####|^)\s*[-+]?[\d,.]*\d\s*$", last) is not None


def _leaves(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [leaf for key, part in value.items() for leaf in _leaves(part, f"{path}.{key}")]
    if isinstance(value, list):
        return [leaf for part in value for leaf in _leaves(part, f"{path}[]")]
    if isinstance(value, str):
        return [(path, f"text {' '.join(value.split()).casefold()}")]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [(path, f"number {Decimal(str(value)).normalize()}")]
    return [(path, str(value))]


def _whether(right: bool, text: str) -> Verdict:
    return Verdict(float(right), "right" if right else "wrong", text.strip())


def _between(score: float, text: str) -> Verdict:
    score = min(1.0, max(0.0, score))
    kind: Kind = "right" if score >= 1 - 1e-6 else "partly" if score > 0 else "wrong"
    return Verdict(score, kind, text.strip())


def _own(name: str, found: Any, text: str) -> Verdict:
    if isinstance(found, bool):
        return _whether(found, text)
    if isinstance(found, int | float) and 0 <= found <= 1:
        return _between(float(found), text)
    raise ConfigError(f"metric {name!r} must return True, False or a number 0 to 1, not {found!r}")

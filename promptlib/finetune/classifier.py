"""A small classifier: a logistic head on the embeddings that the store has already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.curation.sample import read_sample
from promptlib.embedding.embedder import Embedder
from promptlib.errors import ConfigError, TooFewExamplesError
from promptlib.files.folders import whole_folder
from promptlib.intervals import Estimate, wilson
from promptlib.learning.probe import Probe, choose_strength, cross_validated, fit_probe
from promptlib.project import Project
from promptlib.text import canonical_json, file_sha256
from promptlib.version import __version__

FACTS, HEAD = "classifier.json", "head.npz"
FORMAT = 1
MOST_ROWS = 20_000
"""Rows that are trained on, drawn at random from more."""
BINS = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reliability:
    """Of answers given with a confidence: how many there were, and how many were right."""

    confidence: float
    accuracy: float
    answers: int


@dataclass(frozen=True)
class ClassifierReport:
    """How well a classifier did on rows that it hadn't seen: five-fold, near copies held apart.

    Only the temperature of its confidence was fitted on these very answers.
    """

    rows: int
    accuracy: Estimate
    by_class: Mapping[str, float]
    """Label -> share of its rows that were found."""
    calibration_error: float
    """Mean distance of confidence and accuracy, by answers (Guo et al. 2017, ten bins)."""
    reliability: Sequence[Reliability]

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            **vars(self), "accuracy": vars(self.accuracy), "by_class": dict(self.by_class),
            "reliability": [vars(each) for each in self.reliability],
        }  # fmt: skip


@dataclass(frozen=True)
class Prediction:
    """A label, and how sure the classifier is of it."""

    label: str
    confidence: float


class Classifier:
    """Names the label of texts. `temperature` makes its confidence mean what it says."""

    def __init__(
        self, labels: Sequence[str], probe: Probe, temperature: float, fingerprint: str,
        report: ClassifierReport, store: str,
    ) -> None:  # fmt: skip
        self.labels = tuple(labels)
        self.probe = probe
        self.temperature = temperature
        self.fingerprint = fingerprint
        self.report = report
        self.store = store

    def predict(self, texts: Sequence[str], embedder: Embedder) -> list[Prediction]:
        """Name each text's label; raises ConfigError for another embedder than it was made with."""
        if embedder.fingerprint != self.fingerprint:
            raise ConfigError(
                "this classifier was made with another embedder: train it again with "
                f"promptlib finetune classifier {self.store}"
            )
        if not texts:
            return []
        shares = _cooled(self.probe.predict_proba(embedder.embed(list(texts))), self.temperature)
        best = shares.argmax(axis=1)
        return [
            Prediction(self.labels[at], float(share[at]))
            for at, share in zip(best.tolist(), shares, strict=True)
        ]

    def save(self, folder: Path | str) -> None:
        """Write it to a new folder, whole or not at all; raises ConfigError if it is there."""
        folder = Path(folder).resolve()
        if folder.exists():
            raise ConfigError(f"{folder} is there already; name a new folder")
        try:
            with whole_folder(folder) as work:
                self._write(work)
        except OSError as error:
            raise ConfigError(f"can't write {folder}: {error.strerror or error}") from None

    def _write(self, work: Path) -> None:
        np.savez(work / HEAD, weights=self.probe.weights, bias=self.probe.bias)
        facts = {
            "format": FORMAT, "promptlib": __version__, "store": self.store,
            "labels": self.labels, "temperature": self.temperature,
            "embedder": self.fingerprint, "report": self.report.to_dict(),
        }  # fmt: skip
        facts = {**facts, "sha256": _digest(facts, work / HEAD)}
        text = json.dumps(facts, ensure_ascii=False, indent=2) + "\n"
        (work / FACTS).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | str) -> Classifier:
        """Read what `save` wrote; raises ConfigError for what is no classifier or was changed."""
        folder = Path(folder)
        try:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            if facts["format"] > FORMAT:
                raise ConfigError(f"{folder} was made by a newer promptlib: upgrade promptlib")
            said = facts.pop("sha256")
            if said != _digest(facts, folder / HEAD):
                raise ConfigError(f"{folder} isn't as it was made: train it again")
            with np.load(folder / HEAD, allow_pickle=False) as arrays:
                probe = Probe(arrays["weights"], arrays["bias"])
            return cls(
                facts["labels"], probe, facts["temperature"], facts["embedder"],
                _report(facts["report"]), facts["store"],
            )  # fmt: skip
        except OSError as error:
            raise ConfigError(f"{folder} is no classifier: {error.strerror or error}") from None
        except (ValueError, KeyError, TypeError):
            raise ConfigError(f"{folder / FACTS} can't be read: train it again") from None


def _digest(facts: Mapping[str, Any], head: Path) -> str:
    """Hash both files of a classifier."""
    text = canonical_json(json.loads(json.dumps(facts)))
    return hashlib.sha256(f"{text}\n{file_sha256(head)}".encode()).hexdigest()


def train_classifier(project: Project, store: str) -> Classifier:
    """Train a head on the store's labelled rows, and judge it by cross-validation.

    Raises TooFewExamplesError for fewer than two labels or twenty rows.
    """
    index = project.index(store)
    with index.store.database.read() as connection:
        state = index.refresh(connection)
        sample = read_sample(index, state, connection, min(len(state), MOST_ROWS))
    rows = np.flatnonzero(sample.codes >= 0)
    classes = len(np.unique(sample.codes[rows]))
    if classes < 2 or len(np.unique(sample.twins[rows])) < 20:
        raise TooFewExamplesError(
            f"store {store!r} has {len(rows):,} labelled rows of {classes} "
            f"label{'' if classes == 1 else 's'}; a classifier needs 20 different rows of 2 labels "
            "at least"
        )
    vectors, codes, groups = sample.vectors[rows], sample.codes[rows], sample.twins[rows]
    classes = len(sample.labels)
    strength = choose_strength(vectors, codes, groups, classes=classes)
    shares = cross_validated(vectors, codes, groups, classes=classes, strength=strength)
    temperature = fit_temperature(shares, codes)
    probe = fit_probe(vectors, codes, classes=classes, strength=strength)
    report = _judged(_cooled(shares, temperature), codes, sample.labels)
    fingerprint = project.embedder.fingerprint
    return Classifier(sample.labels, probe, temperature, fingerprint, report, store)


def fit_temperature(shares: Floats, codes: NDArray[np.int64]) -> float:
    """Find the temperature at which held-out answers are likeliest (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(codes))

    def loss(log_temperature: float) -> float:
        cooled = _cooled(shares, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(cooled[rows, codes], 1e-12)).mean())

    found = minimize_scalar(loss, bounds=(-3, 3), method="bounded")
    return float(np.exp(found.x))


def _cooled(shares: Floats, temperature: float) -> Floats:
    """Divide log-probabilities by a temperature, and let rows sum to one again."""
    logs = np.log(np.maximum(shares, 1e-30)) / temperature
    found = np.exp(logs - logs.max(axis=1, keepdims=True))
    cooled: Floats = found / found.sum(axis=1, keepdims=True)
    return cooled


def _judged(shares: Floats, codes: NDArray[np.int64], labels: Sequence[str]) -> ClassifierReport:
    right = shares.argmax(axis=1) == codes
    sure = shares.max(axis=1)
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    reliability = [
        Reliability(float(sure[mine].mean()), float(right[mine].mean()), int(mine.sum()))
        for number in range(BINS)
        if (mine := bins == number).any()
    ]
    error = sum(each.answers * abs(each.confidence - each.accuracy) for each in reliability)
    return ClassifierReport(
        rows=len(codes),
        accuracy=wilson(int(right.sum()), len(codes)),
        by_class={
            label: float(right[codes == code].mean())
            for code, label in enumerate(labels)
            if (codes == code).any()
        },
        calibration_error=error / len(codes),
        reliability=reliability,
    )


def _report(facts: Mapping[str, Any]) -> ClassifierReport:
    return ClassifierReport(
        rows=facts["rows"],
        accuracy=Estimate(**facts["accuracy"]),
        by_class=facts["by_class"],
        calibration_error=facts["calibration_error"],
        reliability=[Reliability(**each) for each in facts["reliability"]],
    )


def calibration_picture(report: ClassifierReport, form: str = "png") -> bytes:
    """Draw accuracy by confidence; raises MissingDependencyError without matplotlib."""
    from promptlib.reporting.pictures import Line, draw_lines

    shown = report.reliability
    lines = [
        Line("perfect", [0, 1], [0, 1]),
        Line("held-out answers", [e.confidence for e in shown], [e.accuracy for e in shown]),
    ]
    return draw_lines(
        lines, title=f"Calibration, error {report.calibration_error:.3f}", x="confidence",
        y="share that was right", form=form,
    )  # fmt: skip

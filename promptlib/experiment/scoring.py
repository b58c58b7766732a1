"""Answer by the odds of labels, calibrated if asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from promptlib.errors import ModelError
from promptlib.experiment.arms import Trial
from promptlib.models.answer import Answer
from promptlib.models.scoring import LabelScorer, calibrated

Calibration = Literal["contextual", "batch"]

CONTENT_FREE = ("N/A", "", "[MASK]")
"""What stands in for a question without content (Zhao et al. 2021)."""


def likeliest(
    scorer: LabelScorer, trials: Sequence[Trial], calibrate: Calibration | None
) -> Iterator[tuple[Trial, Answer | ModelError]]:
    """Give each question the likeliest label as its answer; `batch` needs all of them first."""
    found: list[tuple[Trial, Answer, np.ndarray]] = []
    for trial in trials:
        assert trial.ask is not None
        try:
            scores, answer = scorer.score(trial.ask)
            if calibrate == "contextual":
                baseline = np.array([scorer.score(blank)[0] for blank in trial.blanks])
                scores = calibrated(scores[None], baseline)[0]
        except ModelError as error:
            yield trial, error
            continue
        if calibrate == "batch":
            found.append((trial, answer, scores))
        else:
            yield trial, _answer(scorer, scores, answer)
    if found:
        every = np.array([scores for _, _, scores in found])
        for (trial, answer, _), scores in zip(found, calibrated(every, every), strict=True):
            yield trial, _answer(scorer, scores, answer)


def _answer(scorer: LabelScorer, scores: np.ndarray, took: Answer) -> Answer:
    return replace(took, text=scorer.labels[int(np.argmax(scores))])

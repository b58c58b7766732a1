"""Choose among labels by their odds, instead of reading what a model writes. Local models alone."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from promptlib.errors import ConfigError
from promptlib.models.answer import Answer, Ask, LanguageModel
from promptlib.models.cache import AnswerCache

Floats = NDArray[np.float64]


@runtime_checkable
class ScoresLabels(Protocol):
    """A model that can say how likely an answer is."""

    def score(self, ask: Ask, labels: Sequence[str]) -> Floats:
        """Give the log-probability of each label as the whole answer, (labels,)."""


class LabelScorer:
    """Scores the same labels for many questions; scores are kept as answers are."""

    def __init__(
        self, model: LanguageModel, labels: Sequence[str], cache: AnswerCache | None = None, *,
        fresh: bool = False,
    ) -> None:  # fmt: skip
        if not isinstance(model, ScoresLabels):
            raise ConfigError(
                f"{model.name} doesn't say how likely a label is: only local models do"
            )
        if len(labels) < 2:
            raise ConfigError("scoring needs a store with two labels or more")
        self.labels = list(labels)
        self._model, self._scores = model, model.score
        self._cache = cache
        self._fresh = fresh

    def score(self, ask: Ask) -> tuple[Floats, Answer]:
        """Score one question, (labels,); and say what that took."""
        told = {"labels": self.labels}
        if self._cache is not None and not self._fresh:
            known = self._cache.get(self._model, ask, **told)
            if known is not None:
                return np.array(json.loads(known.text)), known
        start = time.perf_counter()
        scores = self._scores(ask, self.labels)
        text = json.dumps([round(score, 6) for score in scores.tolist()])
        passed = time.perf_counter() - start
        answer = Answer(text, "stop", ask.tokens, 0, passed, 0.0)
        if self._cache is not None and self._cache.is_usable:
            self._cache.put(self._model, ask, answer, **told)
        return scores, answer


def calibrated(scores: Floats, baseline: Floats) -> Floats:
    """Take from log-probabilities, (n, labels), what the model prefers whatever is asked.

    The baseline, (m, labels), are scores of questions without content (contextual calibration,
    Zhao et al. 2021, arXiv:2102.09690) or of a batch of real ones (batch calibration, Zhou et al.
    2023, arXiv:2309.17249): each label's mean probability there is divided out.
    """
    odds = np.exp(baseline - baseline.max(axis=1, keepdims=True))
    mean = (odds / odds.sum(axis=1, keepdims=True)).mean(axis=0)
    corrected: Floats = scores - np.log(np.maximum(mean, 1e-12))
    return corrected

"""What a model's answers say of the proxies: how far label hit predicts accuracy, and which proxy
ranks ways of choosing as the model does. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from promptlib.experiment.outcomes import Logged, by_arm, setting_of
from promptlib.experiment.preparing import PROXIES
from promptlib.experiment.results import accuracy_of
from promptlib.intervals import Bootstrap, Difference, Estimate, wilson
from promptlib.selection.strategies import AUTO

LEAST_ARM = 20
"""Answers from which on a way of choosing is compared with others."""

LEAST_PAIRS = 50
"""Questions that two strategies share before one is preferred to the other."""


@dataclass(frozen=True)
class Predictor:
    """Accuracy = share of prompts with the right label x `present` + the others x `absent`."""

    present: Estimate
    """Accuracy where the question's label was among the examples."""
    absent: Estimate | None
    """Where it wasn't; None where it always was."""
    answers: int

    def predict(self, label_hit: float) -> Estimate:
        """Say what accuracy to expect at a label hit."""
        other = self.absent or Estimate(0.0, 0.0, 1.0)
        parts = (
            label_hit * getattr(self.present, name) + (1 - label_hit) * getattr(other, name)
            for name in ("value", "low", "high")
        )
        return Estimate(*parts)


@dataclass(frozen=True)
class Ranking:
    """How well a proxy ranked ways of choosing."""

    proxy: str
    correlation: float
    """Spearman's, of its mean with the model's accuracy over ways, mean over stores."""
    best_regret: float
    """How much accuracy is lost by taking the way that it puts first, mean over stores."""
    ways: int
    stores: int


@dataclass(frozen=True)
class ArmAccuracy:
    """How often a model was right in one way of prompting."""

    model: str
    template: str
    version: int | None
    store: str
    strategy: str
    k: int
    order: str
    budget: int | None
    metric: str
    accuracy: Estimate
    answers: int

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        facts = {**vars(self), "accuracy": self.accuracy.value}
        return facts | {"interval": [self.accuracy.low, self.accuracy.high]}


@dataclass(frozen=True)
class Preference:
    """A strategy that is clearly better or worse than the built-in default in a store."""

    strategy: str
    store: str
    k: int
    queries: int
    gain: Difference

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {**vars(self), "gain": vars(self.gain)}


@dataclass(frozen=True)
class Calibration:
    """What was learnt of one model."""

    model: str
    arms: Sequence[ArmAccuracy]
    predictor: Predictor | None
    rankings: Sequence[Ranking]
    """The best first."""
    preferred: Mapping[str, Preference]
    """Store -> the strategy that is clearly better than the built-in default there."""
    harmful: Mapping[str, Preference]
    """Strategy -> where it is clearly worse than the default."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        predictor = self.predictor
        return {
            "model": self.model,
            "arms": [arm.to_dict() for arm in self.arms],
            "predictor": predictor
            and {
                "present": vars(predictor.present),
                "absent": predictor.absent and vars(predictor.absent),
                "answers": predictor.answers,
            },
            "rankings": [{**vars(ranking)} for ranking in self.rankings],
            "preferred": {store: each.to_dict() for store, each in self.preferred.items()},
            "harmful": {name: each.to_dict() for name, each in self.harmful.items()},
        }


def calibrate(model: str, rows: Sequence[Logged]) -> Calibration:
    """Learn from the logged outcomes of one model."""
    mine = [row for row in rows if row.model == model]
    preferred, harmful = _compared(mine)
    return Calibration(
        model, arm_accuracies(mine), predictor_of(mine), rankings_of(mine), preferred, harmful
    )


def arm_accuracies(rows: Sequence[Logged]) -> list[ArmAccuracy]:
    """Estimate accuracy by model, template version, strategy, k and order."""
    found = []
    for _, group in sorted(by_arm(rows).items(), key=lambda item: str(item[0])):
        estimate, one = accuracy_of(np.array([row.score for row in group])), group[0]
        if estimate is not None:
            found.append(
                ArmAccuracy(
                    one.model, one.template, one.version, one.store, one.strategy, one.k,
                    one.ordering, one.budget, one.metric, estimate, len(group),
                )
            )  # fmt: skip
    return found


def predictor_of(rows: Sequence[Logged]) -> Predictor | None:
    """Fit accuracy where the label was shown, and where it wasn't; None without such rows.

    Two shares with Wilson's intervals: the present/absent predictor, whose priors for 7B models are
    .80 (.73 to .86) and .30 (.10 to .46) by the published answers of Bertsch et al. 2024.
    """
    known = _of_one_metric([row for row in rows if row.k and "label_hit" in row.proxies])
    groups = [[r.score for r in known if r.proxies["label_hit"] == hit] for hit in (1.0, 0.0)]
    if not groups[0]:
        return None
    present, absent = (
        wilson(sum(score >= 1 for score in group), len(group)) if group else None
        for group in groups
    )
    assert present is not None
    return Predictor(present, absent, len(known))


def rankings_of(rows: Sequence[Logged]) -> list[Ranking]:
    """Compare how each proxy ranks ways of choosing with how the model does."""
    from scipy.stats import spearmanr

    by_store: dict[Any, list[list[Logged]]] = {}
    for group in by_arm(_of_one_metric([row for row in rows if row.k])).values():
        if len(group) >= LEAST_ARM:
            by_store.setdefault((group[0].store, group[0].template), []).append(group)
    found = []
    for proxy in PROXIES:
        correlations, regrets, ways = [], [], 0
        for groups in by_store.values():
            arms = [
                (np.mean([r.proxies[proxy] for r in group]), np.mean([r.score for r in group]))
                for group in groups
                if all(proxy in r.proxies for r in group)
            ]
            if len(arms) < 3 or len({round(float(value), 9) for value, _ in arms}) < 2:
                continue
            values, scores = np.array(arms).T
            correlation = spearmanr(values, scores).statistic
            if not np.isnan(correlation):
                correlations.append(float(correlation))
                regrets.append(float(scores.max() - scores[int(np.argmax(values))]))
                ways += len(arms)
        if correlations:
            found.append(
                Ranking(
                    proxy, float(np.mean(correlations)), float(np.mean(regrets)), ways,
                    len(correlations),
                )
            )  # fmt: skip
    return sorted(found, key=lambda ranking: (ranking.best_regret, -ranking.correlation))


def _of_one_metric(rows: Sequence[Logged]) -> list[Logged]:
    """Keep the rows of the metric that most were judged by: others mean something else."""
    names = [row.metric for row in rows]
    usual = max(dict.fromkeys(names), key=names.count, default=None)
    return [row for row in rows if row.metric == usual]


def _compared(rows: Sequence[Logged]) -> tuple[dict[str, Preference], dict[str, Preference]]:
    """Compare each strategy with the built-in default, on the questions that both were asked.

    Among so many comparisons some look clear by chance: p is multiplied by their number.
    """
    alike: dict[tuple[Any, ...], dict[str, dict[str, float]]] = {}
    for row in rows:
        if row.k and not row.weights:
            strategies = alike.setdefault(setting_of(row), {})
            strategies.setdefault(row.strategy, {})[row.question] = row.score
    found = []
    for setting, strategies in alike.items():
        default = strategies.get(AUTO, {})
        for name, scores in strategies.items():
            shared = sorted(scores.keys() & default.keys())
            if name in (AUTO, "random") or len(shared) < LEAST_PAIRS:
                continue
            pairs = np.array([(scores[question], default[question]) for question in shared])
            gain = Bootstrap(len(pairs)).difference(*pairs.T)
            if gain is not None:
                found.append(Preference(name, setting[4], setting[5], len(pairs), gain))
    preferred: dict[str, Preference] = {}
    harmful: dict[str, Preference] = {}
    for each in sorted(found, key=lambda preference: -abs(preference.gain.value)):
        if min(1.0, each.gain.p * len(found)) >= 0.05:
            continue
        if each.gain.low > 0:
            preferred.setdefault(each.store, each)
        elif each.gain.high < 0:
            harmful.setdefault(each.strategy, each)
    return preferred, harmful

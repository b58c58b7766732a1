"""What came of an experiment: accuracies with intervals, differences, errors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from promptlib.experiment.arms import Arm, Judged, Kinds
from promptlib.experiment.asking import Answers
from promptlib.experiment.preparing import Prepared
from promptlib.experiment.sequential import e_value, wins_and_losses
from promptlib.intervals import Bootstrap, Difference, Estimate, Floats, wilson


@dataclass(frozen=True)
class ArmResult:
    """What came of one arm."""

    arm: Arm
    order: str
    """In which examples were shown."""
    accuracy: Estimate | None
    """Share of right answers with Wilson's interval, or the mean score with a bootstrap one; None
    where nothing was answered."""
    against_first: Difference | None
    """How much better than the first arm, on the questions that both answered."""
    answered: int
    failed: int
    """Questions that no answer came to."""
    kinds: Kinds
    tokens: float
    """Of the prompt, mean."""
    seconds: float
    """Of an answer, median."""
    cost: float | None
    """USD for a thousand questions; None where no price is known."""
    judged: Sequence[Judged] = field(repr=False)

    def against(self, other: ArmResult) -> Difference | None:
        """Say how much better this is, on the questions that both answered."""
        pairs = self._pairs(other)
        return Bootstrap(len(pairs)).difference(*pairs.T) if len(pairs) else None

    def needed(self, other: ArmResult) -> int | None:
        """Say how many questions make a difference like this one twice its standard error.

        None where so many were asked already, or where nothing tells.
        """
        pairs = self._pairs(other)
        gaps = pairs[:, 0] - pairs[:, 1]
        if len(gaps) < 2 or not gaps.mean() or not gaps.std():
            return None
        count = math.ceil(4 * float(gaps.var(ddof=1)) / float(gaps.mean()) ** 2 / 10) * 10
        return count if count > len(gaps) else None

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        accuracy, against = self.accuracy, self.against_first
        return {
            **self.arm.to_dict(),
            "order": self.order,
            "accuracy": accuracy and accuracy.value,
            "interval": accuracy and [accuracy.low, accuracy.high],
            "against_first": against
            and {"difference": against.value, "low": against.low, "high": against.high,
                 "p": against.p},
            "answered": self.answered,
            "failed": self.failed,
            "kinds": dict(self.kinds),
            "tokens": self.tokens,
            "seconds": self.seconds,
            "cost_per_1000": self.cost,
        }  # fmt: skip

    def _pairs(self, other: ArmResult) -> Floats:
        """Give both scores of each question that both answered, (questions, 2)."""
        theirs = {judged.trial.question: judged.score for judged in other.judged}
        pairs = [
            (judged.score, theirs[judged.trial.question])
            for judged in self.judged
            if judged.trial.question in theirs
        ]
        return np.array(pairs, dtype=np.float64).reshape(-1, 2)


@dataclass(frozen=True)
class Experiment:
    """Arms, compared on the same questions."""

    prepared: Prepared = field(repr=False)
    metric: str
    results: Sequence[ArmResult]
    stopped: str | None
    """Why not everything was asked: None where it was."""
    early: bool
    """Whether that is because the answer was clear."""
    sequential: bool
    """Whether ways left early: then p-values hold whenever one looks, intervals don't."""
    scored: bool
    """Whether the likeliest label was the answer."""
    calls: int
    cached: int
    spent: float
    """USD, in this run."""
    unpriced: int
    """Answers without a known price."""
    problems: Mapping[str, int]
    """Why questions weren't answered -> how many."""

    @property
    def is_partial(self) -> bool:
        """Whether something is missing that was asked for."""
        return bool(self.problems) or (self.stopped is not None and not self.early)

    @cached_property
    def confusions(self) -> Mapping[tuple[str, str], Sequence[int]]:
        """(right label, what was said) -> how often in each arm; most frequent first."""
        counts: dict[tuple[str, str], list[int]] = {}
        for at, result in enumerate(self.results):
            for judged in result.judged:
                if judged.score < 1 and judged.verdict.kind != "right":
                    right = self.prepared.wanted[judged.trial.question].label
                    if right is not None:
                        said = (
                            judged.verdict.said
                            if judged.verdict.kind == "wrong"
                            else f"({judged.verdict.kind})"
                        )
                        pair = right, said
                        counts.setdefault(pair, [0] * len(self.results))[at] += 1
        return dict(sorted(counts.items(), key=lambda item: (-sum(item[1]), item[0])))

    def to_dict(self) -> dict[str, Any]:
        """Give everything but prompts and answers as plain data."""
        return {
            "store": self.prepared.store,
            "questions": len(self.prepared.trials),
            "source": self.prepared.source,
            "metric": self.metric,
            "rows": [result.to_dict() for result in self.results],
            "partial": self.is_partial,
            "stopped": self.stopped,
            "stopped_early": self.early,
            "sequential": self.sequential,
            "calls": self.calls,
            "cached": self.cached,
            "spent": self.spent,
            "unpriced": self.unpriced,
            "problems": dict(self.problems),
            "confusions": [
                {"label": right, "said": said, "counts": list(counts)}
                for (right, said), counts in self.confusions.items()
            ],
        }


def results_of(
    prepared: Prepared, answers: Answers, seed: int = 0, arms: Sequence[int] | None = None,
    questions: Sequence[int] | None = None, *, anytime: bool = False,
) -> list[ArmResult]:  # fmt: skip
    """Estimate what each arm is worth, and how it compares with the first of them."""
    asked = range(len(prepared.trials)) if questions is None else questions
    shown = range(len(prepared.arms)) if arms is None else arms
    bootstrap = Bootstrap(len(asked), seed)
    scores = {arm: _scores(answers.rows[arm], asked) for arm in shown}
    failed = Counter(trial.arm for trial, _ in answers.failed if trial.question in {*asked})
    results = []
    for at in shown:
        arm, rows = prepared.arms[at], answers.rows[at]
        judged = [rows[question] for question in sorted({*rows} & {*asked})]
        against = bootstrap.difference(scores[at], scores[shown[0]]) if at != shown[0] else None
        if against is not None and anytime:
            evidence = e_value(*wins_and_losses(*answers.scores(at, shown[0])))
            against = replace(against, p=min(1.0, 1 / evidence))
        sent = [j.answer for j in judged if j.answer is not None]
        costs = [answer.cost for answer in sent]
        known = [cost for cost in costs if cost is not None]
        results.append(
            ArmResult(
                arm=arm,
                order=prepared.orders[at],
                accuracy=accuracy_of(scores[at], bootstrap),
                against_first=against,
                answered=len(judged),
                failed=failed[at],
                kinds=Counter(j.verdict.kind for j in judged),
                tokens=float(np.mean([j.trial.tokens for j in judged])) if judged else 0.0,
                seconds=float(np.median([a.seconds for a in sent])) if sent else 0.0,
                cost=1000 * sum(known) / len(known) if len(known) == len(costs) and known else None,
                judged=judged,
            )
        )
    return results


def _scores(rows: Mapping[int, Judged], asked: Sequence[int]) -> Floats:
    known = (rows.get(question) for question in asked)
    return np.array([np.nan if judged is None else judged.score for judged in known])


def accuracy_of(scores: Floats, bootstrap: Bootstrap | None = None) -> Estimate | None:
    """Estimate the share of right answers by Wilson's interval, or a mean score; NaN is no answer.

    None where nothing was answered.
    """
    known = scores[~np.isnan(scores)]
    if not len(known):
        return None
    if np.isin(known, (0, 1)).all():
        return wilson(int(known.sum()), len(known))
    return (bootstrap or Bootstrap(len(scores))).estimate(scores)

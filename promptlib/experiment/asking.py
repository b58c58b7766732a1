"""Ask what was prepared: block by block, until the answer is clear, the money is spent, or all is
asked. Whatever was answered is judged, logged and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from promptlib.embedding.embedder import Progress, similarity_by
from promptlib.errors import ModelError
from promptlib.experiment.arms import Judged, Trial
from promptlib.experiment.outcomes import OutcomeLog
from promptlib.experiment.preparing import Prepared
from promptlib.experiment.scoring import Calibration, likeliest
from promptlib.judging.metrics import Metric, Verdict, find_metric, judge, usual_metric
from promptlib.models.answer import Answer
from promptlib.models.asking import Asker
from promptlib.models.cache import AnswerCache
from promptlib.models.prices import Spending
from promptlib.models.scoring import LabelScorer
from promptlib.store.database import Database

BLOCK = 20
"""Questions that are asked in all arms before anyone looks."""


@dataclass
class Limits:
    """How much may be asked and spent, and how."""

    max_cost: float | None = None
    """USD."""
    max_calls: int | None = None
    """Questions to models, those from the cache among them: a run again ends where it ended."""
    fresh: bool = False
    """Whether answers that are kept are asked for again."""
    scoring: bool = False
    """Whether the likeliest label is the answer, instead of what the model writes."""
    calibrate: Calibration | None = None


@dataclass
class Answers:
    """What has been answered so far: `rows[arm][question]`."""

    rows: list[dict[int, Judged]]
    metric: str
    failed: list[tuple[Trial, ModelError]] = field(default_factory=list)
    """Questions that weren't answered, and why."""
    stopped: str | None = None
    """Why not everything was asked; None where it was."""
    calls: int = 0

    def scores(self, arm: int, over: int) -> tuple[list[float], list[float]]:
        """Give the scores of two arms on the questions that both have answered."""
        mine, theirs = self.rows[arm], self.rows[over]
        both = sorted(mine.keys() & theirs.keys())
        return [mine[q].score for q in both], [theirs[q].score for q in both]


class Examiner:
    """Asks the questions of an experiment, and judges the answers."""

    def __init__(
        self, prepared: Prepared, database: Database, *, metric: str | None = None,
        limits: Limits | None = None, report: Progress | None = None,
    ) -> None:  # fmt: skip
        limits = limits or Limits()
        named = metric or _named(prepared)
        self.prepared = prepared
        self.answers = Answers([{} for _ in prepared.arms], named)
        self._metric: Metric = find_metric(named, similarity_by(prepared.embedder), prepared.root)
        self._most = limits.max_calls
        cache = AnswerCache(database)
        spending = Spending(limits.max_cost)
        self.spending = spending
        self._askers = {
            name: Asker(opened, cache, spending=spending, fresh=limits.fresh)
            for name, opened in prepared.models.items()
        }
        self._scorers: dict[str, LabelScorer] = {}
        self._calibrate = limits.calibrate
        if limits.scoring:
            labels = prepared.wanted[0].labels
            self._scorers = {
                name: LabelScorer(opened.model, labels, cache, fresh=limits.fresh)
                for name, opened in prepared.models.items()
            }
        how = f" scored {limits.calibrate or ''}".rstrip() if limits.scoring else ""
        self._log = OutcomeLog(database, prepared, named + how)
        self._report = report

    def ask(self, questions: Sequence[int], arms: Sequence[int]) -> None:
        """Ask these questions in these arms, unless they were; ends early when it must.

        On Ctrl-C, a final error or a limit `answers.stopped` says so, and nothing more is asked.
        """
        waiting = [
            trial
            for question in questions
            for trial in self.prepared.trials[question]
            if trial.arm in arms and question not in self.answers.rows[trial.arm]
        ]
        try:
            for name in self._askers:
                mine = [t for t in waiting if self.prepared.arms[t.arm].model == name]
                self._of_model(name, mine)
        except KeyboardInterrupt:
            self.answers.stopped = "interrupted"
        finally:
            self._log.flush()

    @property
    def scores(self) -> bool:
        """Whether the likeliest label is the answer."""
        return bool(self._scorers)

    @property
    def is_over(self) -> bool:
        """Whether nothing more may be asked."""
        return self.answers.stopped is not None

    def blocks(self, size: int | None = None) -> Iterator[Sequence[int]]:
        """Go through the questions in blocks, or all at once, until nothing more may be asked."""
        count = len(self.prepared.trials)
        for start in range(0, count, size or count):
            if self.is_over:
                return
            yield range(start, min(start + (size or count), count))

    # -- parts -----------------------------------------------------------------------------------

    def _of_model(self, name: str, trials: list[Trial]) -> None:
        sent: list[Trial] = []
        for trial in trials:
            if trial.ask is None:
                self._keep(Judged(trial, None, Verdict(0.0, "unbuilt", "too long for the budget")))
            else:
                sent.append(trial)
        if self.is_over:
            return
        if self._most is not None:
            left = max(0, self._most - self.answers.calls)
            if left < len(sent):
                sent = sent[:left]
                self.answers.stopped = f"{self._most:,} calls were allowed"
        if name in self._scorers:
            for arm in dict.fromkeys(trial.arm for trial in sent):
                mine = [trial for trial in sent if trial.arm == arm]
                for trial, found in likeliest(self._scorers[name], mine, self._calibrate):
                    self._take(trial, found)
            return
        asks = [trial.ask for trial in sent if trial.ask is not None]
        for reply in self._askers[name].ask_all(asks):
            outcome = reply.answer or reply.error
            assert outcome is not None
            self._take(sent[reply.number], outcome)

    def _take(self, trial: Trial, found: Answer | ModelError) -> None:
        """Judge an answer, or remember why there is none."""
        self.answers.calls += 1
        if self._report is not None:
            self._report(self.answers.calls, len(self.prepared.arms) * len(self.prepared.trials))
        if isinstance(found, ModelError):
            self.answers.failed.append((trial, found))
            if found.final:
                self.answers.stopped = str(found)
            return
        wanted = self.prepared.wanted[trial.question]
        self._keep(Judged(trial, found, judge(found, wanted, self._metric)))

    def _keep(self, judged: Judged) -> None:
        self.answers.rows[judged.trial.arm][judged.trial.question] = judged
        self._log.add(judged)


def _named(prepared: Prepared) -> str:
    """Name the metric: what the templates say, or else what the rows suggest."""
    said = {template.front.answer.metric for template in prepared.templates.values()} - {None}
    return said.pop() if len(said) == 1 else usual_metric(prepared.wanted)  # type: ignore

"""Everything that a store, its templates and files of logs can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.advice.answered import logged_facts
from promptlib.advice.factors import factors
from promptlib.advice.facts import Fact
from promptlib.advice.language import distance_facts, language_facts
from promptlib.advice.outcomes import (
    corpus_facts,
    outcome_facts,
    query_facts,
    read_outcomes,
    read_queries,
    style_facts,
)
from promptlib.advice.outputs import output_facts
from promptlib.advice.prompts import prompt_facts, selection_facts
from promptlib.advice.standins import StandIns, classification, generation
from promptlib.budget.tokens import TokenCounter
from promptlib.curation.criteria import Criterion, five_criteria
from promptlib.curation.general import general_vectors
from promptlib.curation.history import History, read_history
from promptlib.curation.sample import Sample, read_sample
from promptlib.example import output_text, retrieval_text
from promptlib.experiment.outcomes import read_outcomes as read_logged
from promptlib.hint import Volume
from promptlib.intervals import mean_of
from promptlib.learning.curves import Curve
from promptlib.project import Project
from promptlib.store.settings import StoreSettings

MOST_ROWS, QUICK_ROWS = 10_000, 3_000
"""Rows that are looked at, drawn at random from more."""


@dataclass(frozen=True)
class Measured:
    """What was measured."""

    facts: Mapping[str, Fact]
    curves: Sequence[Curve] = ()
    quality: Sequence[Criterion] = ()
    thin_classes: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Asked:
    """What is to be measured, beside the store itself."""

    template: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """For inputs of the template that rows don't fill."""
    queries: Path | str | None = None
    outcomes: Path | str | None = None
    corpus: Sequence[Path | str] = ()
    spoken: Sequence[str] | None = None
    """Languages that the model knows well."""
    quick: bool = False


def _answered(project: Project, store: str, asked: Asked) -> dict[str, Fact]:
    """Read what experiments with this store have logged."""
    model = project.config.model
    if asked.template is not None:
        model = project.template(asked.template).front.model or model
    return logged_facts(read_logged(project.database, store=store), model, asked.template)


def measure(project: Project, store: str, asked: Asked) -> Measured:
    """Measure a store; whatever it hasn't enough rows for isn't there.

    Raises BadExamplesError and ConfigError for files that can't be read, before anything long.
    """
    index = project.index(store)
    counter = TokenCounter.for_encoding("o200k_base")
    recipe = index.store.settings.embed
    judged = read_outcomes(asked.outcomes, index.store.__contains__) if asked.outcomes else []
    queries = read_queries(asked.queries, recipe) if asked.queries else []
    corpus = corpus_facts(asked.corpus, counter.count) if asked.corpus else {}
    with index.store.database.read() as connection:
        state = index.refresh(connection)
        most = QUICK_ROWS if asked.quick else MOST_ROWS
        sample = read_sample(index, state, connection, most)
    facts = {
        **volume_facts(state.volume, sample), **history_facts(read_history(index.store)),
        **_answered(project, store, asked), **outcome_facts(judged), **corpus,
    }  # fmt: skip
    if index.store.settings.tuned is not None or index.store.settings.tuned_for:
        facts["tuned"] = Fact(1.0)
    if not len(sample):
        return Measured(facts, notes=[f"store {store} has no examples to show"])
    facts |= text_facts(index.store.settings, sample, counter.count, queries, asked.spoken)
    general = general_vectors(project.database, project.embedder)
    if not asked.quick:
        facts |= distance_facts(sample.vectors, general)
    outputs = [output_text(example.output) for example in sample.examples]
    facts |= style_facts(judged, outputs, project.embedder)
    seen = _stand_ins(project, sample, facts, asked.quick)
    log = project.embedder.embed(queries, kind="query") if queries else None
    quality = five_criteria(sample, general, log=log, suspected=seen.suspected)
    facts |= seen.facts | quality_facts(quality)
    facts |= _prompt_facts(project, store, asked, facts, state.volume)
    return Measured(
        facts=facts,
        curves=seen.curves,
        quality=quality,
        thin_classes=thin_classes(class_sizes(state.volume, sample))
        if facts["is_classification"].value
        else {},
        notes=_notes(sample, asked.quick, bool(seen.curves)),
    )


def text_facts(
    settings: StoreSettings, sample: Sample, count: Callable[[str], int], queries: Sequence[str],
    spoken: Sequence[str] | None,
) -> dict[str, Fact]:  # fmt: skip
    """Describe inputs and outputs as texts."""
    labels = [None if code < 0 else sample.labels[code] for code in sample.codes.tolist()]
    texts = [retrieval_text(example.input, settings.embed) for example in sample.examples]
    lengths = np.array([count(text) for text in texts], np.float64)
    return {
        **output_facts(sample.examples, labels, count),
        "input_tokens": Fact.of(mean_of(lengths), note=f"at most {lengths.max():,.0f}"),
        **query_facts(queries, texts),
        **language_facts(texts, count, declared=settings.language, spoken=spoken),
    }


def volume_facts(volume: Volume, sample: Sample) -> dict[str, Fact]:
    """Count rows, what is left of them without copies and contradictions, and classes."""
    facts = {"rows": Fact(float(volume.rows)), "classes": Fact(float(len(volume.classes)))}
    share = effective_rows(sample.twins, sample.codes) / len(sample) if len(sample) else 0.0
    note = f"of {volume.rows:,}: near copies count once, contradicting labels not at all"
    # Exact copies are counted in the whole store, near copies in what was looked at.
    rows = min(round(volume.rows * share), volume.distinct)
    facts["effective_rows"] = Fact(float(rows), note=note)
    sizes = sorted(class_sizes(volume, sample).values())
    if len(sizes) > 1:
        middle = float(median(sizes))
        note = f"{len(sizes):,} classes of {sizes[0]:,} to {sizes[-1]:,}, near copies counting once"
        facts["class_median"] = Fact(middle, note=note)
    return facts


def class_sizes(volume: Volume, sample: Sample) -> dict[str, int]:
    """Count the rows of each class, near copies once as far as they were looked at."""
    found = {}
    for label, rows in volume.classes.items():
        mine = sample.codes == sample.labels.index(label)
        share = len(np.unique(sample.twins[mine])) / mine.sum() if mine.any() else 1.0
        found[label] = round(rows * share)
    return found


def history_facts(history: History) -> dict[str, Fact]:
    """Say how many corrections there are, and how fast labels change."""
    pairs = len(history.corrections)
    facts = {"preference_pairs": Fact(float(pairs), note="outputs corrected by hand")}
    if history.is_young:
        return facts
    note = f"over {history.days:,.0f} days of history"
    facts["corrections_per_month"] = Fact(pairs / history.months, note=note)
    if history.churn is not None and history.new_labels is not None:
        facts["label_churn"] = Fact(history.churn, note=note)
        facts["new_labels"] = Fact(history.new_labels, note="first seen within a month")
    return facts


def effective_rows(twins: NDArray[np.int64], codes: NDArray[np.int64]) -> int:
    """Count groups of near copies, leaving out those whose labels contradict each other.

    A copy that is added never makes it more.
    """
    labelled = codes >= 0
    pairs = np.unique(np.stack([twins, codes], axis=1)[labelled], axis=0)
    labels_of_group = np.unique(pairs[:, 0], return_counts=True)[1]
    return len(np.unique(twins)) - int((labels_of_group > 1).sum())


def quality_facts(quality: Sequence[Criterion]) -> dict[str, Fact]:
    """Sum the criteria up."""
    graded = [criterion for criterion in quality if criterion.grade is not None]
    bad = [criterion.name for criterion in graded if criterion.grade == "bad"]
    note = f"{len(graded)} of 5 could be graded" + (f"; bad: {', '.join(bad)}" if bad else "")
    facts = {"bad_criteria": Fact(float(len(bad)), note=note)}
    by_name = {criterion.name: criterion for criterion in quality}
    for name, fact in (("consistent", "conflict_rate"), ("diverse", "near_copies")):
        score = by_name[name].score
        if score is not None:
            facts[fact] = Fact.of(score)
    doubtful = by_name["consistent"].beside.get("suspected_labels")
    if doubtful is not None:
        facts["suspected_labels"] = Fact(doubtful, "stand-in", note="by confident learning")
    return facts


def thin_classes(sizes: Mapping[str, int]) -> dict[str, int]:
    """Say how many examples each class lacks to the next published number, the thinnest first."""
    steps = next(f for f in factors() if f.fact == "class_median").thresholds
    wanted = {
        label: int(next(step.at for step in steps if size < step.at) - size)
        for label, size in sizes.items()
        if size < steps[-1].at
    }
    return dict(sorted(wanted.items(), key=lambda item: (sizes[item[0]], item[0])))


def _prompt_facts(
    project: Project, store: str, asked: Asked, facts: Mapping[str, Fact], volume: Volume
) -> dict[str, Fact]:
    labelled = sum(volume.classes.values())
    if min(volume.rows, labelled or volume.rows) < 2:
        return {}
    found = prompt_facts(project, store, asked.template, asked.inputs)
    if "reachable_share" in found:
        most = f"; one prompt shows at most {found['reachable_share'].value:.2%} of the rows"
        whole = facts["effective_rows"]
        found["effective_rows"] = replace(whole, note=whole.note + most)
    if not asked.quick:
        found |= selection_facts(project, store, asked.template, asked.inputs)
    return found


def _stand_ins(
    project: Project, sample: Sample, facts: Mapping[str, Fact], quick: bool
) -> StandIns:
    report = project.reporting("measuring learning curves")
    if facts["is_classification"].value:
        return classification(sample, quick=quick, report=report)
    return generation(sample, quick=quick, report=report)


def _notes(sample: Sample, quick: bool, has_curves: bool) -> list[str]:
    notes = []
    if len(sample) < sample.rows:
        notes.append(f"{len(sample):,} of {sample.rows:,} rows were looked at, drawn at random")
    if quick:
        notes.append("quick: learning curves and better settings were not looked for")
    elif not has_curves:
        notes.append("no learning curves: they need about 80 rows that aren't near copies")
    return notes

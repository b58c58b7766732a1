"""An experiment as a table, as one HTML page, and as rows of a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from promptlib.example import retrieval_text
from promptlib.experiment.arms import Judged
from promptlib.experiment.results import ArmResult, Experiment
from promptlib.judging.metrics import METRICS
from promptlib.models.prices import dollars
from promptlib.reporting.page import Comparison, Panel, Section, make_page
from promptlib.reporting.pictures import Point, draw_points

MOST_ERRORS = 60
"""Questions that the page shows with all answers and prompts."""

MOST_CONFUSIONS = 30


def result_table(found: Experiment) -> tuple[list[str], list[list[Any]]]:
    """Give the heads and rows of the table; columns in which all rows agree are left out."""
    arms = [result.arm for result in found.results]
    heads, columns = ["strategy", "k"], ["name", "k"]
    named: list[tuple[str, list[Any]]] = [
        ("model", [a.model for a in arms]), ("template", [a.template for a in arms]),
        ("budget", [a.way.budget for a in arms]),
    ]  # fmt: skip
    shown = [(head, values) for head, values in named if len(set(values)) > 1]
    rows = [
        [*(values[at] for _, values in shown), *(getattr(r.arm.way, name) for name in columns),
         *_figures(r)]
        for at, r in enumerate(found.results)
    ]  # fmt: skip
    word = "accuracy" if _is_binary(found) else "score"
    heads = [
        *(head for head, _ in shown), *heads, word, "95 %", "against first", "p", "answered",
        "not in form", "tokens", "seconds", "per 1,000",
    ]  # fmt: skip
    return heads, rows


def result_page(found: Experiment) -> str:
    """Write everything as one HTML page; raises MissingDependencyError without matplotlib."""
    heads, rows = result_table(found)
    lead = [
        f"Model: {', '.join(found.prepared.models)}. {found.prepared.source}; judged by "
        f"{meaning_of(found)}. {verdict_of(found)}.",
        *([f"Not everything was asked: {found.stopped}."] if found.stopped else []),
    ]
    confusions = list(found.confusions.items())[:MOST_CONFUSIONS]
    names = [arm_name(found, result) for result in found.results]
    return make_page(
        f"{', '.join(found.prepared.templates)}: what the model makes of it",
        lead=lead,
        sections=[
            Section(picture=result_picture(found, "svg").decode(), columns=heads, rows=rows),
            Section(
                title="Mistaken for each other" if confusions else "",
                columns=["right", "answered", *names] if confusions else (),
                rows=[[right, said, *counts] for (right, said), counts in confusions],
            ),
            _errors(found, names),
        ],
        meanings=MEANINGS,
    )


def result_picture(found: Experiment, form: str = "png") -> bytes:
    """Draw accuracy against tokens, as "png" or "svg"; raises MissingDependencyError."""
    points = [
        Point(
            arm_name(found, r), r.tokens, r.accuracy.value, r.accuracy.low, r.accuracy.high,
            f"k {r.arm.way.k}",
        )
        for r in found.results
        if r.accuracy is not None
    ]  # fmt: skip
    return draw_points(
        points, title=f"{', '.join(found.prepared.models)}, {found.prepared.source}",
        x="tokens of the prompt, mean", y=f"{found.metric}, with 95 % interval", form=form,
    )  # fmt: skip


def answer_rows(found: Experiment) -> Iterator[dict[str, Any]]:
    """Give every judged answer as plain data, with its prompt."""
    for result in found.results:
        for judged in result.judged:
            trial, answer = judged.trial, judged.answer
            yield {
                "input": found.prepared.inputs[trial.question],
                "answer": answer.text if answer is not None else None,
                "score": judged.score,
                "kind": judged.verdict.kind,
                "seconds": answer.seconds if answer is not None else None,
                "arm": result.arm.to_dict(),
                "wanted": found.prepared.wanted[trial.question].text,
                "prompt": _prompt(judged),
            }


def arm_name(found: Experiment, result: ArmResult) -> str:
    """Name an arm by what tells it from the others."""
    arms = [each.arm for each in found.results]
    parts = [result.arm.way.name]
    if len({arm.way.k for arm in arms if arm.way.k}) > 1:
        parts.append(f"k {result.arm.way.k}")
    if len({arm.way.budget for arm in arms}) > 1:
        parts.append(f"{result.arm.way.budget} tokens")
    if len({arm.template for arm in arms}) > 1:
        parts.insert(0, result.arm.template)
    if len({arm.model for arm in arms}) > 1:
        parts.insert(0, result.arm.model)
    return ", ".join(parts)


def meaning_of(found: Experiment) -> str:
    """Say what was counted as right."""
    if found.scored:
        return f"the likeliest of the store's {len(found.prepared.wanted[0].labels)} labels"
    kind = found.metric.partition(":")[0]
    meanings = (text for name, text in METRICS.items() if name.partition(":")[0] == kind)
    return f"{found.metric}: {next(meanings, found.metric)}"


def verdict_of(found: Experiment) -> str:
    """Say in a sentence whether a row is better than the first, or how many questions it takes."""
    first, *others = found.results
    known = [r for r in others if r.accuracy is not None and r.against_first is not None]
    if first.accuracy is None or not known:
        return "there is nothing to compare"
    best = max(known, key=lambda result: result.against_first.value)  # type: ignore[union-attr]
    gain, name = best.against_first, arm_name(found, best)
    assert gain is not None
    over = f"the first row ({arm_name(found, first)})"
    if gain.is_gain:
        return f"{name} is clearly better than {over}"
    if gain.value <= 0:
        return f"no row is better than {over}"
    if (needed := best.needed(first)) is None:
        return f"{name} isn't clearly better than {over}"
    return (
        f"{name} isn't clearly better than {over}: to be sure of such a difference, ask some "
        f"{needed:,} questions"
    )


MEANINGS = {
    "k": "most examples that may be shown",
    "accuracy": "share of questions that were answered rightly, with Wilson's interval",
    "score": "mean of scores from 0 to 1, with a bootstrap interval",
    "against first": "difference to the first row on the same questions, with its interval",
    "p": "how likely such a difference is if there is none: McNemar's test, or Student's; where "
    "asking stopped early, a bound that holds whenever one looks",
    "answered": "questions that were answered",
    "not in form": "answers that weren't of the form that was asked for, and why; and prompts that "
    "don't fit their budget: those count as wrong",
    "tokens": "of the prompt, mean",
    "seconds": "to an answer, median, as it was first given",
    "per 1,000": "what a thousand questions cost",
}

OFF = {"format": "in another form", "refused": "refused", "empty": "empty", "cut": "cut off",
       "unbuilt": "over the budget"}  # fmt: skip
"""Kinds of wrong answers that say something of the form, in words."""


def _figures(result: ArmResult) -> list[Any]:
    accuracy, against = result.accuracy, result.against_first
    off = ", ".join(f"{result.kinds[kind]} {word}" for kind, word in OFF.items()
                    if result.kinds[kind])  # fmt: skip
    answered = f"{result.answered} ({result.failed} failed)" if result.failed else result.answered
    return [
        accuracy and accuracy.value,
        accuracy and f"{accuracy.low:.3f} to {accuracy.high:.3f}",
        against and str(against),
        against and against.p,
        answered,
        off,
        round(result.tokens),
        f"{result.seconds:.2f}",
        None if result.cost is None else dollars(result.cost),
    ]


def _is_binary(found: Experiment) -> bool:
    return all(judged.score in (0, 1) for result in found.results for judged in result.judged)


def _errors(found: Experiment, names: list[str]) -> Section:
    by_question: dict[int, dict[int, Judged]] = {}
    for at, result in enumerate(found.results):
        for judged in result.judged:
            by_question.setdefault(judged.trial.question, {})[at] = judged
    scores = {q: [j.score for j in rows.values()] for q, rows in sorted(by_question.items())}
    wrong = [question for question, found_scores in scores.items() if min(found_scores) < 1]
    # What tells the arms apart is worth more of a reader's time than what none can do.
    wrong.sort(key=lambda question: max(scores[question]) < 1)
    shown = wrong[:MOST_ERRORS]
    return Section(
        title="Errors, side by side" if shown else "",
        lines=[f"{len(shown)} of {len(wrong)} questions that some row got wrong; those that tell "
               "the rows apart come first."] if shown else (),
        comparisons=[_compared(found, names, by_question[q], q) for q in shown],
    )  # fmt: skip


def _compared(
    found: Experiment, names: list[str], rows: dict[int, Judged], question: int
) -> Comparison:
    wanted = found.prepared.wanted[question]
    panels = [Panel("right", wanted.label if wanted.label is not None else wanted.text)]
    for at, judged in sorted(rows.items()):
        text = judged.answer.text.strip() if judged.answer is not None else judged.verdict.said
        kind = "" if judged.verdict.kind in ("right", "wrong") else f"\n({judged.verdict.kind})"
        panels.append(Panel(names[at], f"{text}{kind}", judged.score >= 1, _prompt(judged)))
    return Comparison(retrieval_text(found.prepared.inputs[question]), panels)


def _prompt(judged: Judged) -> str:
    return judged.trial.ask.text if judged.trial.ask is not None else ""

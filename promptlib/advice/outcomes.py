"""What models have answered, what users have asked, and what there is to read: from files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from promptlib.advice.facts import Fact
from promptlib.curation.criteria import SEPARATION_ROWS, separation
from promptlib.embedding.embedder import Embedder
from promptlib.errors import BadExamplesError, ConfigError
from promptlib.example import Recipe, retrieval_text
from promptlib.files.reading import ExamplesFile
from promptlib.files.source import open_source
from promptlib.intervals import mean_of, wilson
from promptlib.text import text_number
from promptlib.validation import Strict, problem_text

LEAST = 20
"""Answers, or queries, from which on something is said of them."""

TEXTS = (".txt", ".md", ".rst", ".jsonl", ".html")
"""Files of a folder that count as a corpus."""

LEAST_ERRORS = 10
"""Wrong answers of a known kind, from which on their kinds are compared."""

_DATED = re.compile(
    r"\b(?:19|20)\d\d\b|\bv\d+(?:\.\d+)*\b|\b\d+\.\d+\.\d+\b|\b\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b"
    r"|\b(?:today|yesterday|tomorrow|tonight|latest|newest|currently|current|right now"
    r"|(?:this|last|next) (?:week|month|year))\b",
    re.IGNORECASE,
)
"""Years, versions, dates, and words for now."""


class Outcome(Strict):
    """One answer of a model, judged."""

    correct: bool
    k: Annotated[int, Field(ge=0)] | None = None
    """Examples that were shown; 0 for none."""
    trained: bool = False
    """Whether a model answered that was trained on the store."""
    kind: Literal["format", "knowledge", "other"] | None = None
    """Of a wrong answer: didn't parse, wrong fact, anything else."""
    id: str | None = None
    """Of the store's row that was asked."""
    input: Any = None
    answer: str | None = None
    latency_ms: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _is_wrong_where_it_has_a_kind(self) -> Self:
        if self.correct and self.kind is not None:
            raise ValueError("kind is for wrong answers")
        return self


def read_outcomes(path: Path | str, ids: Callable[[str], bool]) -> list[Outcome]:
    """Read judged answers, JSONL; raises BadExamplesError that lists every bad line.

    `ids` says whether the store has a row of this id.
    """
    found, problems = [], []
    for number, line in _lines(path):
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("not an object")
            outcome = Outcome.model_validate(row)
        except ValidationError as error:
            known = Outcome.model_fields
            problems += [(number, problem_text(each, known)) for each in error.errors()]
            continue
        except ValueError as error:
            problems.append((number, f"not a JSON object: {error}"))
            continue
        if outcome.id is not None and not ids(outcome.id):
            problems.append((number, f"the store has no row {outcome.id!r}"))
        found.append(outcome)
    if problems:
        raise BadExamplesError(str(path), problems, "nothing was taken from the file")
    if not found:
        raise ConfigError(f"{path} holds no outcomes")
    return found


def outcome_facts(outcomes: Sequence[Outcome]) -> dict[str, Fact]:
    """Measure accuracies, errors by kind and latency, where they were recorded."""
    groups = {
        "trained_accuracy": [o for o in outcomes if o.trained],
        "zero_shot": [o for o in outcomes if not o.trained and o.k == 0],
        "accuracy": [o for o in outcomes if not o.trained and o.k != 0],
    }
    facts = {
        name: Fact.of(
            wilson(sum(o.correct for o in group), len(group)), "outcomes",
            f"{len(group):,} judged answers",
        )
        for name, group in groups.items()
        if group
    }  # fmt: skip
    shown = groups["accuracy"]
    kinds = [o.kind for o in shown if not o.correct and o.kind is not None]
    if len(kinds) >= LEAST_ERRORS:
        errors = sum(not o.correct for o in shown)
        note = f"of {len(kinds):,} wrong answers of a known kind"
        wrong = wilson(kinds.count("knowledge"), len(kinds))
        facts["wrong_facts"] = Fact.of(wrong, "outcomes", note)
        unparsed = round(errors * kinds.count("format") / len(kinds))
        facts["invalid_outputs"] = Fact.of(
            wilson(unparsed, len(shown)), "outcomes", f"of {len(shown):,} answers"
        )
    times = np.array([o.latency_ms for o in shown if o.latency_ms is not None], np.float64)
    if len(times):
        facts["latency_ms"] = Fact.of(mean_of(times), "outcomes")
    return facts


def style_facts(
    outcomes: Sequence[Outcome], outputs: Sequence[str], embedder: Embedder
) -> dict[str, Fact]:
    """Ask a classifier to tell the model's answers from the store's outputs."""
    answers = [o.answer for o in outcomes if o.answer and not o.trained]
    if not answers:
        return {}
    auc = separation(
        embedder.embed(answers[:SEPARATION_ROWS]), embedder.embed(list(outputs[:SEPARATION_ROWS]))
    )
    return {"style_auc": Fact.of(auc, "outcomes", f"{len(answers):,} answers")} if auc else {}


def read_queries(path: Path | str, recipe: Recipe) -> list[str]:
    """Read what users have asked: rows with an `input`, in any format that stores take."""
    with open_source(path) as source:
        return [retrieval_text(row.input, recipe) for row in ExamplesFile(source, recipe=recipe)]


def query_facts(queries: Sequence[str], known: Sequence[str]) -> dict[str, Fact]:
    """Count the queries that ask about dates, versions or "now" as no example does. English."""
    if len(queries) < LEAST:
        return {}
    said = {match.lower() for text in known for match in _DATED.findall(text)}
    dated = sum(
        any(match.lower() not in said for match in _DATED.findall(text)) for text in queries
    )
    note = f"of {len(queries):,} queries, by words for dates, versions and now"
    return {"dated_queries": Fact.of(wilson(dated, len(queries)), note=note)}


def corpus_facts(paths: Sequence[Path | str], count: Callable[[str], int]) -> dict[str, Fact]:
    """Count the tokens of files and folders, every line once; raises ConfigError."""
    seen: set[int] = set()
    tokens = 0
    for file in _corpus_files(paths):
        for _, line in _lines(file):
            number = text_number(line.strip())
            if number not in seen:
                seen.add(number)
                tokens += count(line)
    note = f"{len(seen):,} different lines"
    return {"corpus_tokens": Fact(float(tokens), note=note)}


def _corpus_files(paths: Sequence[Path | str]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_file():
            yield path
            continue
        if not path.is_dir():
            raise ConfigError(f"can't read {path}: there is no such file or folder")
        files = [file for file in sorted(path.rglob("*")) if file.suffix in TEXTS]
        if not files:
            raise ConfigError(f"{path} has no texts ({', '.join(TEXTS)})")
        yield from files


def _lines(path: Path | str) -> Iterator[tuple[int, str]]:
    """Go through the lines of a UTF-8 file that aren't empty; raises ConfigError."""
    try:
        with open(path, encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise ConfigError(f"can't read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start})") from None

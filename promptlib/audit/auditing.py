"""Look at a store from all sides: every finding with its rows, its reason and what mends it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from promptlib.advice.outcomes import read_queries
from promptlib.advice.prices import price_facts
from promptlib.audit.balance import giants, small_classes
from promptlib.audit.duplicates import (
    conflicts,
    exact_duplicates,
    near_duplicates,
    normalised_duplicates,
)
from promptlib.audit.finding import SEVERITIES, Finding
from promptlib.audit.labels import disputed_labels, label_errors, label_spelling
from promptlib.audit.outputs import leaked_prompts, odd_outputs
from promptlib.audit.retrieval import crowding_rows, gaps, never_retrieved, outliers, split_leakage
from promptlib.audit.rows import AuditRows, read_rows
from promptlib.audit.secret_texts import secrets
from promptlib.audit.texts import (
    control_characters,
    empty_texts,
    foreign_languages,
    mojibake,
    truncated_texts,
)
from promptlib.budget.tokens import TokenCounter
from promptlib.curation.criteria import Criterion, effective_classes, five_criteria
from promptlib.curation.general import general_vectors
from promptlib.curation.likeness import NEAR_DUPLICATE
from promptlib.curation.sample import read_sample
from promptlib.embedding.embedder import Vectors
from promptlib.errors import ConfigError, MissingDependencyError, did_you_mean
from promptlib.project import Project
from promptlib.settings import Settings

CRITERIA_ROWS = 10_000
"""Rows that the five criteria are measured on at most."""


@dataclass(frozen=True)
class Looked:
    """What the checks look at."""

    project: Project
    rows: AuditRows
    queries: Sequence[str] = ()
    queries_file: str = ""

    @cached_property
    def log(self) -> Vectors | None:
        """The vectors of the queries of a log, where one is given."""
        queries = list(self.queries)
        return self.project.embedder.embed(queries, kind="query") if queries else None

    @cached_property
    def settings(self) -> dict[str, Settings]:
        """What prompts of each template are built with that shows this store's rows."""
        registry, found = self.project.registry, {}
        for name in registry.list():
            spec = registry.get(name).front.examples
            if spec is not None and spec.store == self.rows.store:
                found[name] = self.project.settings_of(registry.get(name))
        return found

    @cached_property
    def room(self) -> int | None:
        """The most tokens that any template has for examples; None without a template."""
        rooms = [int((s.budget - s.reserve) * s.share) for s in self.settings.values()]
        return max(rooms, default=None)

    @cached_property
    def tokens(self) -> list[int]:
        """Of each row's input and output, as its first template counts them."""
        counters = (settings.counter for settings in self.settings.values())
        count = next(counters, TokenCounter.for_encoding("o200k_base")).count
        pairs = zip(self.rows.inputs, self.rows.outputs, strict=True)
        return [count(one) + count(other) for one, other in pairs]

    @cached_property
    def asked(self) -> Counter[str]:
        """How many queries of the log are of each class, by their nearest row."""
        if self.log is None:
            return Counter()
        near = (self.log @ self.rows.vectors.T).argmax(axis=1).tolist()
        labels = (self.rows.labels[self.rows.rows_of_text[text][0]] for text in near)
        return Counter(label for label in labels if label is not None)

    @cached_property
    def bodies(self) -> list[str]:
        """The texts of all templates."""
        registry = self.project.registry
        return [text for name in registry.list() for text in registry.get(name).files.values()]


Check = Callable[[Looked], Finding]

CHECKS: Mapping[str, Check] = {
    "secrets": lambda look: secrets(look.rows),
    "label-errors": lambda look: label_errors(look.rows),
    "conflicts": lambda look: conflicts(look.rows),
    "label-spelling": lambda look: label_spelling(look.rows),
    "disputed-labels": lambda look: disputed_labels(look.rows),
    "odd-outputs": lambda look: odd_outputs(look.rows),
    "leaked-prompts": lambda look: leaked_prompts(look.rows, look.bodies),
    "mojibake": lambda look: mojibake(look.rows),
    "empty-texts": lambda look: empty_texts(look.rows),
    "truncated-texts": lambda look: truncated_texts(look.rows),
    "control-characters": lambda look: control_characters(look.rows),
    "exact-duplicates": lambda look: exact_duplicates(look.rows),
    "normalised-duplicates": lambda look: normalised_duplicates(look.rows),
    "near-duplicates": lambda look: near_duplicates(look.rows),
    "split-leakage": lambda look: split_leakage(look.rows),
    "foreign-languages": lambda look: foreign_languages(look.rows),
    "outliers": lambda look: outliers(look.rows),
    "small-classes": lambda look: small_classes(look.rows, look.asked),
    "giants": lambda look: giants(look.rows, look.tokens, look.room),
    "gaps": lambda look: gaps(look.rows, look.log, look.queries, look.queries_file),
    "never-retrieved": lambda look: never_retrieved(look.rows, look.log),
    "crowding-rows": lambda look: crowding_rows(look.rows, look.log),
}
"""Finding -> how it is found; what matters most comes first."""


@dataclass(frozen=True)
class Audit:
    """What an audit has found."""

    store: str
    revision: int
    rows: int
    findings: Sequence[Finding]
    """Those with rows, the gravest first."""
    clean: Sequence[str]
    """Checks that found nothing."""
    criteria: Sequence[Criterion]
    economy: Mapping[str, Any]
    """What rows and prompts cost, in tokens."""
    seconds: float
    looked: Looked = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "store": self.store, "revision": self.revision, "rows": self.rows,
            "findings": [finding.to_dict() for finding in self.findings],
            "clean": list(self.clean),
            "criteria": [criterion.to_dict() for criterion in self.criteria],
            "economy": dict(self.economy), "seconds": self.seconds,
        }  # fmt: skip


def audit_store(
    project: Project, store: str, *, only: Sequence[str] = (), near: float = NEAR_DUPLICATE,
    queries: Path | str | None = None,
) -> Audit:  # fmt: skip
    """Audit the rows of a store that nobody has rejected; nothing is changed.

    `only` names checks; `queries` is a log of what users ask, rows with an input. Raises
    ConfigError for an unknown check, StoreError for a store without rows, and
    MissingDependencyError without the extra `audit`.
    """
    begun = time.perf_counter()
    if not only and find_spec("cleanlab") is None:  # told before rows are embedded, not after
        raise MissingDependencyError("audits", "audit")
    looked = look_at(project, store, near=near, queries=queries, checks=only)
    found = []
    names, report = list(only or CHECKS), project.reporting(f"auditing {store}")
    for number, name in enumerate(names, start=1):
        found.append(_checked(looked, name))
        if report is not None:
            report(number, len(names))
    there = [finding for finding in found if finding.items]
    return Audit(
        store=store,
        revision=project.store(store).revision,
        rows=len(looked.rows),
        findings=sorted(there, key=lambda finding: SEVERITIES.index(finding.severity)),
        clean=[finding.id for finding in found if not finding.items],
        criteria=() if only else _criteria(looked),
        economy={} if only else _economy(looked),
        seconds=time.perf_counter() - begun,
        looked=looked,
    )


def look_at(
    project: Project, store: str, *, near: float = NEAR_DUPLICATE,
    queries: Path | str | None = None, checks: Sequence[str] = (),
) -> Looked:  # fmt: skip
    """Read what the checks look at; raises ConfigError for unknown checks or a bad `near`."""
    for name in checks:
        if name not in CHECKS:
            raise ConfigError(f"there is no finding {name!r}; {did_you_mean(name, CHECKS)}")
    if not 0.5 <= near <= 1:
        raise ConfigError(f"near must lie between 0.5 and 1, not {near:g}")
    opened = project.store(store)
    asked = read_queries(queries, opened.settings.embed) if queries is not None else ()
    rows = read_rows(opened, near=near, progress=project.reporting(f"comparing {store}"))
    return Looked(project, rows, asked, str(queries or ""))


def find(project: Project, store: str, finding: str, *, near: float = NEAR_DUPLICATE) -> Finding:
    """Make one check alone; raises what `audit_store` does."""
    return _checked(look_at(project, store, near=near, checks=[finding]), finding)


def _checked(looked: Looked, name: str) -> Finding:
    return CHECKS[name](looked).unless(looked.rows.reviewed)


def _criteria(looked: Looked) -> tuple[Criterion, ...]:
    project = looked.project
    index = project.index(looked.rows.store)
    with index.store.database.read() as connection:
        state = index.refresh(connection)
        sample = read_sample(index, state, connection, CRITERIA_ROWS)
    if not len(sample):
        return ()
    general = general_vectors(project.database, project.embedder)
    return five_criteria(sample, general, log=looked.log)


def _economy(looked: Looked) -> dict[str, Any]:
    """Say what rows cost, by class and in a typical prompt of each template."""
    tokens = np.array(looked.tokens)
    by_label: dict[str, list[int]] = {}
    for label, count in zip(looked.rows.labels, looked.tokens, strict=True):
        by_label.setdefault(label or "", []).append(count)
    classes = {label: float(np.mean(counts)) for label, counts in by_label.items() if label}
    sizes = [len(counts) for label, counts in by_label.items() if label]
    return {
        "tokens": {"mean": float(tokens.mean()), "median": float(np.median(tokens)),
                   "p95": float(np.quantile(tokens, 0.95)), "most": int(tokens.max()),
                   "all": int(tokens.sum())},
        "classes": len(classes),
        "effective_classes": effective_classes(np.array(sizes)) if sizes else None,
        "tokens_by_class": dict(sorted(classes.items(), key=lambda item: -item[1])),
        "prompts": {
            name: _typical_prompt(settings, float(np.median(tokens)))
            for name, settings in looked.settings.items()
        },
    }  # fmt: skip


def _typical_prompt(settings: Settings, tokens: float) -> dict[str, Any]:
    """Say what the examples of a prompt cost, where a row has so many tokens; USD if known."""
    shown = round(min(settings.k * tokens, (settings.budget - settings.reserve) * settings.share))
    price = price_facts(settings.model).get("input_price") if settings.model else None
    dear = price and price.value * shown / 1e6
    return {
        "k": settings.k, "examples": shown, "budget": settings.budget,
        "model": settings.model, "usd": dear,
    }  # fmt: skip

"""How answers were judged, logged in the project's database: figures, never text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, inspect, select

from promptlib.experiment.arms import Judged
from promptlib.experiment.preparing import Prepared
from promptlib.store.database import Database
from promptlib.store.rows import now
from promptlib.store.tables import outcomes
from promptlib.text import canonical_json

CROWD = 50
"""Outcomes that are written together."""


class OutcomeLog:
    """Writes the outcomes of an experiment; the same trial again takes the place of the first."""

    def __init__(self, database: Database, prepared: Prepared, metric: str) -> None:
        self._database = database
        self._prepared = prepared
        self._metric = metric
        self._waiting: list[Judged] = []

    def add(self, judged: Judged) -> None:
        """Put an outcome on the list; full ones are written."""
        self._waiting.append(judged)
        if len(self._waiting) >= CROWD:
            self.flush()

    def flush(self) -> None:
        """Write what waits; nothing in a project that can't be written to."""
        waiting, self._waiting = self._waiting, []
        if not waiting or self._database.read_only:
            return
        # The same question may stand twice in a file, the same prompt come from two templates.
        rows = {row["key"]: row for row in map(self._row, waiting)}
        with self._database.write() as connection:
            connection.execute(delete(outcomes).where(outcomes.c.key.in_([*rows])))
            connection.execute(insert(outcomes), [*rows.values()])

    def _row(self, judged: Judged) -> dict[str, Any]:
        prepared, trial = self._prepared, judged.trial
        arm = prepared.arms[trial.arm]
        template, way, answer = prepared.templates[arm.template], arm.way, judged.answer
        model = prepared.models[arm.model].called
        question = prepared.hashes[trial.question]
        identity = [model, template.hash, prepared.store, way.to_dict(), self._metric, question]
        return {
            "key": hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:32],
            "model": model,
            "template": template.name.partition("@")[0],
            "version": template.version,
            "template_hash": template.hash,
            "store": prepared.store,
            "strategy": way.to_dict()["strategy"],
            "weights": way.weights.changed(),
            "k": way.k,
            "ordering": prepared.orders[trial.arm],
            "budget": way.budget,
            "metric": self._metric,
            "question": question,
            "score": judged.score,
            "kind": judged.verdict.kind,
            "proxies": dict(trial.proxies),
            "tokens": trial.tokens,
            "seconds": answer.seconds if answer is not None else 0.0,
            "cost": answer.cost if answer is not None else 0.0,
            "at": now(),
        }


@dataclass(frozen=True)
class Logged:
    """One outcome as it was logged."""

    model: str
    template: str
    version: int | None
    template_hash: str
    store: str
    strategy: str
    weights: dict[str, float]
    k: int
    ordering: str
    budget: int | None
    metric: str
    question: str
    score: float
    kind: str
    proxies: dict[str, float]
    tokens: int
    seconds: float


def read_outcomes(database: Database, *, store: str | None = None) -> list[Logged]:
    """List what was logged, of a store or of all, the oldest first.

    Of a template that was edited, only what its newest text was asked with.
    """
    if not database.exists:
        return []
    columns = [outcomes.c[name] for name in Logged.__dataclass_fields__]
    query = select(*columns).order_by(outcomes.c.at, outcomes.c.key)
    if store is not None:
        query = query.where(outcomes.c.store == store)
    with database.read() as connection:
        if not inspect(connection).has_table(outcomes.name):
            return []  # read-only, and older than this
        rows = [Logged(*row) for row in connection.execute(query)]
    newest = {(row.model, row.template, row.version): row.template_hash for row in rows}
    return [r for r in rows if newest[r.model, r.template, r.version] == r.template_hash]


def by_arm(rows: Iterable[Logged]) -> dict[tuple[Any, ...], list[Logged]]:
    """Group outcomes that differ in nothing but the question."""
    found: dict[tuple[Any, ...], list[Logged]] = {}
    for row in rows:
        key = (*setting_of(row), row.strategy, canonical_json(row.weights))
        found.setdefault(key, []).append(row)
    return found


def setting_of(row: Logged) -> tuple[Any, ...]:
    """Say what strategies can be compared in: all but the strategy itself."""
    return (
        row.model, row.template, row.version, row.template_hash, row.store, row.k, row.ordering,
        row.budget, row.metric,
    )  # fmt: skip

"""How answers were judged, logged in the project's database: figures, never text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, inspect, select

from promptlib.experiment.arms import Judged
from promptlib.experiment.preparing import Prepared
from promptlib.selection.strategies import strategy_name
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
        rows = [self._row(judged) for judged in waiting]
        with self._database.write() as connection:
            keys = [row["key"] for row in rows]
            connection.execute(delete(outcomes).where(outcomes.c.key.in_(keys)))
            connection.execute(insert(outcomes), rows)

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
            "strategy": strategy_name(way.strategy),
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
    store: str
    strategy: str
    k: int
    ordering: str
    metric: str
    question: str
    score: float
    kind: str
    proxies: dict[str, float]
    tokens: int
    seconds: float


def read_outcomes(
    database: Database, *, store: str | None = None, model: str | None = None,
    template: str | None = None,
) -> list[Logged]:  # fmt: skip
    """List what was logged: of a store, a model, a template, or all."""
    if not database.exists:
        return []
    columns = [outcomes.c[name] for name in Logged.__dataclass_fields__]
    query = select(*columns).order_by(outcomes.c.at, outcomes.c.key)
    for name, value in (("store", store), ("model", model), ("template", template)):
        if value is not None:
            query = query.where(outcomes.c[name] == value)
    with database.read() as connection:
        if not inspect(connection).has_table(outcomes.name):
            return []  # read-only, and older than this
        return [Logged(*row) for row in connection.execute(query)]


def by_arm(rows: Iterable[Logged]) -> dict[tuple[Any, ...], list[Logged]]:
    """Group outcomes by model, template, version, store, strategy, k and order."""
    found: dict[tuple[Any, ...], list[Logged]] = {}
    for row in rows:
        key = (row.model, row.template, row.version, row.store, row.strategy, row.k, row.ordering)
        found.setdefault(key, []).append(row)
    return found

"""Answers that were paid for, kept in the project's database; prompts aren't, only their hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, insert, inspect, select

from promptlib.models.answer import Answer, Ask, LanguageModel
from promptlib.store.database import Database
from promptlib.store.tables import answers


class AnswerCache:
    """Answers by model, its settings, and the hash of what was asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def is_usable(self) -> bool:
        """Whether answers can be kept."""
        return not self._database.read_only

    def get(self, model: LanguageModel, ask: Ask, **also: Any) -> Answer | None:
        """Find an answer to the same question by the same model; `also` is part of it."""
        if not self._database.exists:
            return None
        columns = answers.c
        query = select(
            columns.text, columns.finish, columns.input_tokens, columns.output_tokens,
            columns.seconds, columns.cost,
        ).where(columns.key == _key(model, ask, also))  # fmt: skip
        with self._database.read() as connection:
            if not inspect(connection).has_table(answers.name):
                return None  # read-only, and older than this
            row = connection.execute(query).one_or_none()
        return None if row is None else Answer(*row, cached=True)

    def put(self, model: LanguageModel, ask: Ask, answer: Answer, **also: Any) -> None:
        """Keep an answer, in place of an older one."""
        key = _key(model, ask, also)
        row = {
            "key": key, "model": model.name, "settings": dict(model.identity), "store": ask.store,
            "text": answer.text, "finish": answer.finish, "input_tokens": answer.input_tokens,
            "output_tokens": answer.output_tokens, "seconds": answer.seconds, "cost": answer.cost,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }  # fmt: skip
        with self._database.write() as connection:
            connection.execute(delete(answers).where(answers.c.key == key))
            connection.execute(insert(answers).values(**row))

    def clear(self, models: Sequence[str] = ()) -> int:
        """Forget the answers of these models, or all; returns how many."""
        chosen = delete(answers)
        if models:
            chosen = chosen.where(answers.c.model.in_(models))
        with self._database.write() as connection:
            return connection.execute(chosen).rowcount


def _key(model: LanguageModel, ask: Ask, also: Mapping[str, Any]) -> str:
    return ask.digest(**model.identity, **also)

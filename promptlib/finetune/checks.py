"""What trainers ask of their rows and files. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from promptlib.finetune.formats import FORMATS, messages_of
from promptlib.finetune.providers import Provider
from promptlib.finetune.rows import Messages, TrainingRow, Unfit

ROLES = ("system", "developer", "user", "assistant", "tool")

KEYS = ("role", "content", "name", "tool_calls", "tool_call_id", "weight")
"""What a message may have, by OpenAI's cookbook on preparing data."""


def row_problems(
    form: str, row: TrainingRow, made: Mapping[str, Any], provider: Provider | None
) -> Iterator[str]:
    """Say what a trainer would refuse of a row."""
    if form == "setfit":
        if row.label is None:
            yield "has no label"
        if not row.text.strip():
            yield "has no text"
        return
    if form == "dpo" and (not row.rejected or [*row.rejected] == [*row.answer]):
        yield "has no other answer to prefer this one over"
    if form == "alpaca":
        yield from (f"{key} is empty" for key in ("instruction", "output") if not made[key].strip())
        if any(message["role"] not in ("user", "system", "developer") for message in row.prompt):
            yield "has turns of an assistant, which this format can't tell apart"
    if form in ("alpaca", "vertex") and any("tool_calls" in m for m in _all(row)):
        yield "calls tools, which this format can't hold"
    for messages in messages_of(form, made):
        yield from message_problems(messages, bool(provider and provider.roles_alternate))
    if provider is not None and provider.max_row_tokens and row.tokens > provider.max_row_tokens:
        yield f"has {row.tokens:,} tokens; {provider.name} takes {provider.max_row_tokens:,}"


def message_problems(messages: Messages, alternate: bool = False) -> Iterator[str]:
    """Say what is wrong with a conversation to train on."""
    for number, message in enumerate(messages, start=1):
        if message.get("role") not in ROLES:
            yield f"message {number} has the role {message.get('role')!r}"
        for key in message:
            if key not in KEYS:
                yield f"message {number} has the unknown key {key!r}"
        content = message.get("content")
        if not (content or message.get("tool_calls")):
            yield f"message {number} is empty"
        elif content and not isinstance(content, str):
            yield f"message {number} has parts that aren't text"
    if not messages or messages[-1].get("role") != "assistant":
        yield "doesn't end with the assistant"
    if not any(message.get("role") == "user" for message in messages):
        yield "has no message of a user"
    if alternate:
        turns = [m["role"] for m in messages if m.get("role") in ("user", "assistant")]
        if any(one == other for one, other in pairwise(turns)):
            yield "has two messages of one role in a row"


def file_problems(
    parts: Mapping[str, Sequence[TrainingRow]], files: Mapping[str, Path], provider: Provider | None
) -> Iterator[str]:
    """Say what a provider would refuse of the files."""
    train = len(parts["train"])
    if not train:
        yield "no row is left to train on"
    if provider is None:
        return
    name = provider.name
    if train < provider.min_rows:
        yield f"{train:,} rows to train on; {name} takes {provider.min_rows:,} at least"
    if provider.max_rows is not None and train > provider.max_rows:
        yield f"{train:,} rows to train on; {name} takes {provider.max_rows:,} at most"
    validation = len(parts.get("validation", ()))
    if provider.max_validation_rows is not None and validation > provider.max_validation_rows:
        yield f"{validation:,} rows to validate; {name} takes {provider.max_validation_rows:,}"
    for file in files.values():
        size = file.stat().st_size
        if provider.max_file_bytes is not None and size > provider.max_file_bytes:
            most = provider.max_file_bytes / 1e6
            yield f"{file.name} has {size / 1e6:,.1f} MB; {name} takes {most:,.1f}"


def divided(
    form: str, rows: Sequence[TrainingRow], provider: Provider | None
) -> tuple[list[TrainingRow], list[Unfit]]:
    """Divide rows into those that can be exported and those that can't."""
    good, bad = [], []
    for row in rows:
        problems = list(row_problems(form, row, FORMATS[form](row), provider))
        if problems:
            bad.append(Unfit(row.id, "; ".join(problems)))
        else:
            good.append(row)
    return good, bad


def _all(row: TrainingRow) -> list[Mapping[str, Any]]:
    return [*row.prompt, *row.answer]

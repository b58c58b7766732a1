"""Rows as chats and instructions: OpenAI's, ShareGPT's and Alpaca's, read and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promptlib.errors import ExampleError
from promptlib.example import Example, output_text
from promptlib.text import kind_of

Row = dict[str, Any]

ROLES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}
TURNS = {"user": "human", "assistant": "gpt"}


def read_chat(fields: Mapping[str, Any]) -> Row:
    """Read a row of messages; the last one is the answer."""
    messages = _list(fields, "messages")
    if not messages or messages[-1].get("role") != "assistant":
        raise ExampleError("messages must end with the assistant's answer")
    *before, answer = messages
    system = [m["content"] for m in before if m.get("role") in ("system", "developer")]
    asked = [m for m in before if m.get("role") not in ("system", "developer")]
    if not asked:
        raise ExampleError("messages have nothing that is answered")
    plain = len(asked) == 1 and asked[0].get("role") == "user"
    said = answer.get("content")
    row = {
        "input": asked[0].get("content") if plain else asked,
        "output": said
        if isinstance(said, str) and set(answer) <= {"role", "content"}
        else [answer],
    }
    return _others(fields, "messages", row, {"system": "\n\n".join(map(str, system))})


def write_chat(example: Example) -> Row:
    """Write an example as messages."""
    system = example.metadata.get("system")
    return {
        "messages": [
            *([{"role": "system", "content": system}] if isinstance(system, str) else []),
            *_said("user", example.input),
            *_said("assistant", example.output),
        ]
    }


def _said(role: str, content: Any) -> list[Any]:
    if isinstance(content, Sequence) and not isinstance(content, str):
        return list(content)
    return [{"role": role, "content": output_text(content)}]


def read_sharegpt(fields: Mapping[str, Any]) -> Row:
    """Read a row of turns."""
    messages = [
        {"role": ROLES.get(turn.get("from"), turn.get("from")), "content": turn.get("value")}
        for turn in _list(fields, "conversations")
    ]
    rest = {key: value for key, value in fields.items() if key != "conversations"}
    if isinstance(rest.get("system"), str):
        messages.insert(0, {"role": "system", "content": rest.pop("system")})
    return read_chat({**rest, "messages": messages})


def write_sharegpt(example: Example) -> Row:
    """Write an example as turns."""
    messages = write_chat(example)["messages"]
    return {
        "conversations": [
            {"from": TURNS.get(m["role"], m["role"]), "value": m["content"]} for m in messages
        ]
    }


def read_alpaca(fields: Mapping[str, Any]) -> Row:
    """Read an instruction and its input."""
    parts = [fields.get(name) or "" for name in ("instruction", "input")]
    for name, part in zip(("instruction", "input"), parts, strict=True):
        if not isinstance(part, str):
            raise ExampleError(f"{name} must be text, not {kind_of(part)}")
    text = "\n\n".join(part for part in parts if part.strip())
    before = [
        {"role": role, "content": said}
        for pair in fields.get("history") or ()
        for role, said in zip(("user", "assistant"), pair, strict=True)
    ]
    asked = [*before, {"role": "user", "content": text}] if before else text
    row = {"input": asked, "output": fields.get("output")}
    taken = ("instruction", "input", "output", "history")
    return _others({key: fields[key] for key in fields if key not in taken}, "", row)


def write_alpaca(example: Example) -> Row:
    """Write an example as an instruction."""
    asked = example.input
    if isinstance(asked, Sequence) and not isinstance(asked, str):
        raise ExampleError(f"{example.id} is a conversation, which an instruction can't be")
    if isinstance(asked, Mapping) and asked.keys() <= {"instruction", "input"}:
        return {"instruction": "", "input": "", **asked, "output": output_text(example.output)}
    return {"instruction": output_text(asked), "input": "", "output": output_text(example.output)}


def _list(fields: Mapping[str, Any], name: str) -> list[Any]:
    value = fields.get(name)
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise ExampleError(f"{name} must be a list of objects, not {kind_of(value)}")
    return value


def _others(
    fields: Mapping[str, Any], taken: str, row: Row, more: Mapping[str, Any] | None = None
) -> Row:
    """Add what else a row has: id, label and status stay, all other goes into metadata."""
    rest = {key: value for key, value in fields.items() if key != taken and value is not None}
    metadata = rest.pop("metadata", None)
    extra = {key: value for key, value in (more or {}).items() if value}
    return {**rest, **row, "metadata": {**(metadata or {}), **extra}}

"""Training rows in the formats that trainers read. Pure: a row in, an object out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from promptlib.finetune.rows import Messages, TrainingRow
from promptlib.message import message_text


def openai(row: TrainingRow) -> dict[str, Any]:
    """Chat messages, the answer last: OpenAI, Together, Fireworks, Mistral, Axolotl read it."""
    return {"messages": [*_plain(row.prompt), *_plain(row.answer)]}


def trl(row: TrainingRow) -> dict[str, Any]:
    """TRL's conversational prompt and completion: the loss is on the completion alone."""
    return {"prompt": _plain(_for_open(row.prompt)), "completion": _plain(row.answer)}


def dpo(row: TrainingRow) -> dict[str, Any]:
    """TRL's conversational preference: the corrected answer over the one before."""
    return {
        "prompt": _plain(_for_open(row.prompt)),
        "chosen": _plain(row.answer),
        "rejected": _plain(row.rejected),
    }


def vertex(row: TrainingRow) -> dict[str, Any]:
    """Gemini's contents, with the system text apart."""
    system, turns = _system_apart(row.prompt)
    made: dict[str, Any] = {}
    if system:
        made["systemInstruction"] = {"role": "system", "parts": [{"text": system}]}
    roles = {"user": "user", "assistant": "model"}
    made["contents"] = [
        {"role": roles.get(message["role"], "user"), "parts": [{"text": message_text(message)}]}
        for message in [*turns, *row.answer]
    ]
    return made


def alpaca(row: TrainingRow) -> dict[str, Any]:
    """Instruction, input and output as plain text."""
    system, turns = _system_apart(row.prompt)
    asked = "\n\n".join(message_text(message) for message in turns)
    answer = "\n\n".join(message_text(message) for message in row.answer)
    if not system:
        return {"instruction": asked, "input": "", "output": answer}
    return {"instruction": system, "input": asked, "output": answer}


def setfit(row: TrainingRow) -> dict[str, Any]:
    """The input's text and its label, for a small classifier."""
    return {"text": row.text, "label": row.label}


FORMATS: Mapping[str, Callable[[TrainingRow], dict[str, Any]]] = {
    "openai": openai, "trl": trl, "vertex": vertex, "alpaca": alpaca, "setfit": setfit, "dpo": dpo,
}  # fmt: skip


def messages_of(form: str, made: Mapping[str, Any]) -> list[Messages]:
    """Find the conversations in a made row, to be checked; setfit and alpaca have none."""
    if form == "openai":
        return [made["messages"]]
    if form == "trl":
        return [[*made["prompt"], *made["completion"]]]
    if form == "dpo":
        return [[*made["prompt"], *made["chosen"]], [*made["prompt"], *made["rejected"]]]
    if form == "vertex":
        turns = ({"role": each["role"], "content": _joined(each)} for each in made["contents"])
        return [[{**turn, "role": _ROLES.get(turn["role"], turn["role"])} for turn in turns]]
    return []


_ROLES = {"model": "assistant"}


def _joined(content: Mapping[str, Any]) -> str:
    return "".join(part["text"] for part in content["parts"])


def _plain(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [dict(message) for message in messages]


def _for_open(messages: Messages) -> Messages:
    """Call developers system: chat templates of open models know no other name."""
    return [
        {**message, "role": "system"} if message["role"] == "developer" else message
        for message in messages
    ]


def _system_apart(messages: Messages) -> tuple[str, Messages]:
    named = ("system", "developer")
    system = "\n\n".join(message_text(m) for m in messages if m["role"] in named)
    return system, [message for message in messages if message["role"] not in named]

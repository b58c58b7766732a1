"""Rows as other tools write them, and how they become rows of ours, and back.

Field names are those of the tools' own exports: OpenAI's chat format for fine-tuning, ShareGPT's
conversations, Alpaca's instructions, Argilla's records, and Label Studio's tasks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptlib.errors import ConfigError, ExampleError, did_you_mean
from promptlib.example import Example, output_text
from promptlib.text import kind_of

Row = dict[str, Any]
ANNOTATIONS = "annotations"
"""The metadata field with what each annotator says; see `promptlib.curation.annotators`."""

ROLES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}
TURNS = {"user": "human", "assistant": "gpt"}


@dataclass(frozen=True)
class Shape:
    """One way of writing rows."""

    fits: Callable[[Mapping[str, Any]], bool]
    """Whether a row is written so."""
    read: Callable[[Mapping[str, Any]], Row]
    """Make it a row of ours; raises ExampleError."""
    write: Callable[[Example], Row]
    """Write an example so; raises ExampleError for what can't be said in it."""


def shape_named(name: str) -> Shape:
    """Find a shape; raises ConfigError."""
    if name not in SHAPES:
        raise ConfigError(f"no shape {name!r}; {did_you_mean(name, SHAPES)}")
    return SHAPES[name]


def shape_of(fields: Mapping[str, Any]) -> Shape | None:
    """Tell by a row how it is written; None where it is a row of ours, or unknown."""
    if "input" in fields and "instruction" not in fields:
        return None
    return next((shape for shape in SHAPES.values() if shape.fits(fields)), None)


# -- chats ---------------------------------------------------------------------------------------


def _read_chat(fields: Mapping[str, Any]) -> Row:
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


def _write_chat(example: Example) -> Row:
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


def _read_sharegpt(fields: Mapping[str, Any]) -> Row:
    messages = [
        {"role": ROLES.get(turn.get("from"), turn.get("from")), "content": turn.get("value")}
        for turn in _list(fields, "conversations")
    ]
    rest = {key: value for key, value in fields.items() if key != "conversations"}
    if isinstance(rest.get("system"), str):
        messages.insert(0, {"role": "system", "content": rest.pop("system")})
    return _read_chat({**rest, "messages": messages})


def _write_sharegpt(example: Example) -> Row:
    messages = _write_chat(example)["messages"]
    return {
        "conversations": [
            {"from": TURNS.get(m["role"], m["role"]), "value": m["content"]} for m in messages
        ]
    }


# -- instructions --------------------------------------------------------------------------------


def _read_alpaca(fields: Mapping[str, Any]) -> Row:
    parts = [fields.get("instruction"), fields.get("input")]
    text = "\n\n".join(part for part in parts if isinstance(part, str) and part.strip())
    before = [
        {"role": role, "content": said}
        for pair in fields.get("history") or ()
        for role, said in zip(("user", "assistant"), pair, strict=True)
    ]
    asked = [*before, {"role": "user", "content": text}] if before else text
    row = {"input": asked, "output": fields.get("output")}
    taken = ("instruction", "input", "output", "history")
    return _others({key: fields[key] for key in fields if key not in taken}, "", row)


def _write_alpaca(example: Example) -> Row:
    asked = example.input
    if isinstance(asked, Sequence) and not isinstance(asked, str):
        raise ExampleError(f"{example.id} is a conversation, which an instruction can't be")
    if isinstance(asked, Mapping) and asked.keys() <= {"instruction", "input"}:
        return {"instruction": "", "input": "", **asked, "output": output_text(example.output)}
    return {"instruction": output_text(asked), "input": "", "output": output_text(example.output)}


# -- annotation tools ----------------------------------------------------------------------------


def _read_argilla(fields: Mapping[str, Any]) -> Row:
    texts = fields["fields"]
    asked = next(iter(texts.values())) if len(texts) == 1 else dict(texts)
    answers = {
        question: {str(each.get("user_id", at)): each.get("value") for at, each in enumerate(said)}
        for question, said in (fields.get("responses") or {}).items()
        if isinstance(said, list)
    }
    guesses = {
        question: each.get("value")
        for question, each in (fields.get("suggestions") or {}).items()
        if isinstance(each, Mapping)
    }
    rest = {"id": fields.get("id"), **(fields.get("metadata") or {})}
    return _annotated(asked, answers, guesses, rest)


def _write_argilla(example: Example) -> Row:
    texts = example.input if isinstance(example.input, Mapping) else {"text": example.input}
    said = example.metadata.get(ANNOTATIONS)
    people = said if isinstance(said, Mapping) else {}
    best = _best(example)
    metadata = {key: value for key, value in example.metadata.items() if key != ANNOTATIONS}
    return {
        "id": example.id,
        "fields": {name: output_text(text) for name, text in texts.items()},
        "metadata": metadata,
        "suggestions": {"label": {"value": best, "agent": "promptlib"}} if best else {},
        "responses": {"label": [{"value": v, "user_id": who} for who, v in people.items()]}
        if people
        else {},
    }


def _read_label_studio(fields: Mapping[str, Any]) -> Row:
    data = dict(fields["data"])
    rest = {"id": data.pop("promptlib_id", None) or fields.get("id")}
    rest |= data.pop("metadata", None) or {}
    spans = [
        result["value"]
        for annotation in fields.get("annotations") or ()
        for result in annotation.get("result") or ()
        if "labels" in (result.get("value") or {})
    ]
    rest |= {"spans": spans} if spans else {}
    asked = next(iter(data.values())) if len(data) == 1 else data
    answers: dict[str, dict[str, Any]] = {}
    for number, annotation in enumerate(fields.get("annotations") or ()):
        if annotation.get("was_cancelled"):
            continue
        who = annotation.get("completed_by", number)
        name = str(who.get("email") or who.get("id")) if isinstance(who, Mapping) else str(who)
        for question, value in _results(annotation):
            answers.setdefault(question, {})[name] = value
    guesses = {
        question: value
        for prediction in fields.get("predictions") or ()
        for question, value in _results(prediction)
    }
    return _annotated(asked, answers, guesses, rest)


def _write_label_studio(example: Example) -> Row:
    texts = example.input if isinstance(example.input, Mapping) else {"text": example.input}
    metadata = {key: value for key, value in example.metadata.items() if key != ANNOTATIONS}
    data = {name: output_text(text) for name, text in texts.items()}
    said, best = example.metadata.get(ANNOTATIONS), _best(example)
    people = said if isinstance(said, Mapping) else {}
    to_name = next(iter(texts))
    return {
        "data": {
            **data,
            "promptlib_id": example.id,
            **({"metadata": metadata} if metadata else {}),
        },
        "annotations": [
            {"completed_by": {"email": who}, "result": [_choice(to_name, label)]}
            for who, label in people.items()
        ],
        "predictions": [{"result": [_choice(to_name, best)]}] if best else [],
    }


def _choice(to_name: str, label: str) -> Row:
    return {
        "from_name": "label", "to_name": to_name, "type": "choices", "value": {"choices": [label]},
    }  # fmt: skip


def _results(annotation: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Go through what was said: (question, text), of choices and of written answers."""
    for result in annotation.get("result") or ():
        value = result.get("value") or {}
        if "labels" in value:
            continue  # a part of the text that has a name, and no answer
        said = value.get("choices") or value.get("text")
        if isinstance(said, list) and said:
            yield result.get("from_name", "label"), said[0]
        elif isinstance(said, str):
            yield result.get("from_name", "label"), said


def _annotated(
    asked: Any, answers: Mapping[str, Mapping[str, Any]], guesses: Mapping[str, Any],
    rest: Mapping[str, Any],
) -> Row:  # fmt: skip
    """Make a row of what people and machines said: the majority's word, or else the machine's."""
    question = next(iter([*answers, *guesses]), None)
    people = {
        who: value
        for who, value in answers.get(question or "", {}).items()
        if isinstance(value, str)
    }
    counts = Counter(people.values()).most_common(2)
    sure = counts and (len(counts) == 1 or counts[0][1] > counts[1][1])
    output = counts[0][0] if sure else None if people else guesses.get(question or "")
    row: Row = {"input": asked, "output": output}
    if people:
        row["metadata"] = {ANNOTATIONS: people}
    if not people and output is not None:
        row["status"] = "draft"  # nobody has looked at what a machine said
    id = rest.get("id")
    if id is not None:
        row["id"] = str(id)
    others = {key: value for key, value in rest.items() if key != "id" and value is not None}
    row["metadata"] = {**others, **row.get("metadata", {})}
    return row


def _best(example: Example) -> str | None:
    if example.label is not None:
        return example.label
    return output_text(example.output) if example.output is not None else None


# -- parts ---------------------------------------------------------------------------------------


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


SHAPES: Mapping[str, Shape] = {
    "openai": Shape(lambda f: isinstance(f.get("messages"), list), _read_chat, _write_chat),
    "sharegpt": Shape(
        lambda f: isinstance(f.get("conversations"), list), _read_sharegpt, _write_sharegpt
    ),
    "alpaca": Shape(lambda f: "instruction" in f and "output" in f, _read_alpaca, _write_alpaca),
    "argilla": Shape(
        lambda f: isinstance(f.get("fields"), Mapping) and ("responses" in f or "suggestions" in f),
        _read_argilla,
        _write_argilla,
    ),
    "label-studio": Shape(
        lambda f: isinstance(f.get("data"), Mapping) and ("annotations" in f or "predictions" in f),
        _read_label_studio,
        _write_label_studio,
    ),
}
"""Name -> shape."""

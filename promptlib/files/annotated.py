"""Rows as annotation tools write them: Argilla's records and Label Studio's tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from promptlib.example import Example, output_text

Row = dict[str, Any]
ANNOTATIONS = "annotations"
"""The metadata field with what each annotator says; see `promptlib.curation.annotators`."""


def read_argilla(fields: Mapping[str, Any]) -> Row:
    """Read a record, with what people and machines said of it."""
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


def write_argilla(example: Example) -> Row:
    """Write an example as a record."""
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


def read_label_studio(fields: Mapping[str, Any]) -> Row:
    """Read a task, with what people and machines said of it."""
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


def write_label_studio(example: Example) -> Row:
    """Write an example as a task."""
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

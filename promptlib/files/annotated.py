"""Rows as annotation tools write them: Argilla's records and Label Studio's tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from promptlib.errors import ExampleError
from promptlib.example import Example, output_text
from promptlib.text import kind_of

Row = dict[str, Any]
ANNOTATIONS = "annotations"
"""The metadata field with what each annotator says; see `promptlib.curation.annotators`."""
CURATOR = "promptlib"
"""Who says what a store has decided."""
OUTPUT = "promptlib_output"
"""The metadata field that keeps the output of a row whose label is another thing."""


def read_argilla(fields: Mapping[str, Any]) -> Row:
    """Read a record, with what people and machines said of it."""
    texts = _object(fields, "fields")
    said_of = {"responses": {}, "suggestions": {}} | {k: v for k, v in fields.items() if v}
    asked = next(iter(texts.values())) if len(texts) == 1 else dict(texts)
    answers = {
        question: {str(each.get("user_id", at)): each.get("value") for at, each in enumerate(said)}
        for question, said in _object(said_of, "responses").items()
        if isinstance(said, list)
    }
    guesses = {
        question: each.get("value")
        for question, each in _object(said_of, "suggestions").items()
        if isinstance(each, Mapping)
    }
    return _annotated(asked, answers, guesses, fields.get("id"), fields.get("metadata") or {})


def write_argilla(example: Example) -> Row:
    """Write an example as a record."""
    people, guess = _people(example), _guess(example)
    said = [{"value": value, "user_id": who} for who, value in people.items()]
    return {
        "id": example.id,
        "fields": _texts(example),
        "metadata": _kept(example),
        "suggestions": {"label": {"value": guess, "agent": CURATOR}} if guess else {},
        "responses": {"label": said} if said else {},
    }


def read_label_studio(fields: Mapping[str, Any]) -> Row:
    """Read a task, with what people and machines said of it."""
    data = dict(_object(fields, "data"))
    id = data.pop("promptlib_id", None) or fields.get("id")
    rest = dict(data.pop("metadata", None) or {})
    annotations = fields.get("annotations") or []
    if not isinstance(annotations, list):
        raise ExampleError(f"annotations must be a list, not {kind_of(annotations)}")
    spans = [
        result["value"]
        for annotation in annotations
        for result in annotation.get("result") or ()
        if "labels" in (result.get("value") or {})
    ]
    rest |= {"spans": spans} if spans else {}
    asked = next(iter(data.values())) if len(data) == 1 else data
    answers: dict[str, dict[str, Any]] = {}
    for number, annotation in enumerate(annotations):
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
    return _annotated(asked, answers, guesses, id, rest)


def write_label_studio(example: Example) -> Row:
    """Write an example as a task."""
    texts, metadata, guess = _texts(example), _kept(example), _guess(example)
    to_name = next(iter(texts))
    return {
        "data": {
            **texts,
            "promptlib_id": example.id,
            **({"metadata": metadata} if metadata else {}),
        },
        "annotations": [
            {"completed_by": {"email": who}, "result": [_choice(to_name, label)]}
            for who, label in _people(example).items()
        ],
        "predictions": [{"result": [_choice(to_name, guess)]}] if guess else [],
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
    id: Any, rest: Mapping[str, Any],
) -> Row:  # fmt: skip
    """Make a row of what people and machines said: the majority's word, or else the machine's.

    What the store had decided when it wrote the row stands until a majority of people differs.
    """
    question = next(iter([*answers, *guesses]), None)
    people = {
        who: value
        for who, value in answers.get(question or "", {}).items()
        if isinstance(value, str)
    }
    decided = people.pop(CURATOR, None)
    counts = Counter(people.values()).most_common(2)
    sure = counts and (len(counts) == 1 or counts[0][1] > counts[1][1])
    best = counts[0][0] if sure else decided
    if best is None and not people:
        best = guesses.get(question or "")
    row: Row = {"input": asked, "output": best}
    if OUTPUT in rest:  # what it is called and what is answered are two things
        row |= {"output": rest[OUTPUT], "label": best}
    if decided is None and not people and best is not None:
        row["status"] = "draft"  # nobody has looked at what a machine said
    if id is not None:
        row["id"] = str(id)
    row["metadata"] = {k: v for k, v in rest.items() if k != OUTPUT and v is not None}
    if people:
        row["metadata"][ANNOTATIONS] = people
    return row


def _object(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    if not isinstance(value, Mapping):
        raise ExampleError(f"{name} must be an object, not {kind_of(value)}")
    return value


def _texts(example: Example) -> dict[str, str]:
    texts = example.input if isinstance(example.input, Mapping) else {"text": example.input}
    return {name: output_text(text) for name, text in texts.items()}


def _people(example: Example) -> dict[str, str]:
    """Say what each annotator says, and what the store has decided."""
    said = example.metadata.get(ANNOTATIONS)
    people = dict(said) if isinstance(said, Mapping) else {}
    best = _best(example)
    return people | ({CURATOR: best} if example.status == "approved" and best else {})


def _guess(example: Example) -> str | None:
    return None if example.status == "approved" else _best(example)


def _kept(example: Example) -> dict[str, Any]:
    """Give the metadata that goes along, with the output of a row that is called otherwise."""
    kept = {key: value for key, value in example.metadata.items() if key != ANNOTATIONS}
    apart = example.label is not None and example.output is not None
    return kept | ({OUTPUT: example.output} if apart else {})


def _best(example: Example) -> str | None:
    if example.label is not None:
        return example.label
    return output_text(example.output) if example.output is not None else None

"""What can be said of a prompt or an answer: each assertion is a word and what it is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptlib.errors import ConfigError, MissingDependencyError, TemplateError, did_you_mean
from promptlib.judging.functions import load_function
from promptlib.judging.metrics import Similarity
from promptlib.judging.reading import normal_label, read_json
from promptlib.text import first_line, is_number, is_whole

ASSERTIONS: Mapping[str, str] = {
    "equals": "is this text, but for white space around it",
    "contains": "has this text in it",
    "not-contains": "doesn't have this text in it",
    "matches": "has something in it that this regular expression finds",
    "is-json": "is JSON, all of it or in a ``` fence",
    "schema": "is JSON that this JSON Schema allows",
    "max-tokens": "has at most so many tokens",
    "label-in": "its first line is one of these labels",
    "similar": "means what this text means: cosine 0.8 at least, or {to: TEXT, at-least: 0.9}",
    "python": "FILE.py:FUNCTION returns True for it, or None; False or a text tell why not",
    "snapshot": "is what it was when the snapshot was taken; of prompts alone",
}
"""Word -> what it says of the text."""

BARE = ("is-json", "snapshot")
"""Words that are told nothing."""

CLOSE = 0.8
"""The cosine that `similar` asks for unless told otherwise."""


@dataclass(frozen=True)
class Subject:
    """A text that is checked, and what checking it may take."""

    text: str
    tokens: int
    folder: Path
    """Where files are looked for that assertions name."""
    similarity: Similarity


@dataclass(frozen=True)
class Assertion:
    """One thing that is asserted."""

    word: str
    told: Any

    def problem(self, subject: Subject) -> str | None:
        """Say in a line what is wrong; None when nothing is. Raises ConfigError."""
        return _CHECKS[self.word](subject, self.told)


def read_assertion(given: Any, where: str, what: str) -> Assertion:
    """Read one assertion of a `what` (prompt or answer); raises TemplateError that says where."""
    if isinstance(given, str):
        given = {given: True}
    if not isinstance(given, Mapping) or len(given) != 1:
        raise TemplateError(f"{where}: {given!r} must be one word and what it is told")
    [(word, told)] = given.items()
    if word not in ASSERTIONS:
        raise TemplateError(
            f"{where}: no assertion {word!r}; {did_you_mean(str(word), ASSERTIONS)}"
        )
    if word == "snapshot" and what != "prompt":
        raise TemplateError(f"{where}: a snapshot is of the prompt: answers change")
    if (reason := _refused(word, told)) is not None:
        raise TemplateError(f"{where}: {word} {reason}")
    return Assertion(word, told)


def _refused(word: str, told: Any) -> str | None:
    """Say why an assertion can't be told this; None where it can."""
    if word in BARE:
        return None if told is True else f"is told nothing, not {told!r}"
    if word == "max-tokens":
        return None if is_whole(told, 1) else f"needs a whole number, not {told!r}"
    if word == "label-in":
        good = isinstance(told, list) and told and all(isinstance(each, str) for each in told)
        return None if good else "needs a list of labels"
    if word == "schema":
        return None if isinstance(told, Mapping) else "needs a JSON Schema"
    if word == "similar" and isinstance(told, Mapping):
        good = {*told} <= {"to", "at-least"} and isinstance(told.get("to"), str)
        least = told.get("at-least", CLOSE)
        good = good and is_number(least) and -1 <= least <= 1
        return None if good else "needs a text, or {to: TEXT, at-least: COSINE}"
    if not isinstance(told, str) or (not told and word != "equals"):
        return f"needs a text, not {told!r}"
    if word == "matches":
        try:
            re.compile(told)
        except re.error as error:
            return f"needs a regular expression: {error}"
    return None


def _equals(subject: Subject, told: str) -> str | None:
    return _unless(subject.text.strip() == told.strip(), f"isn't {told!r}", subject)


def _contains(subject: Subject, told: str) -> str | None:
    return _unless(told in subject.text, f"doesn't contain {told!r}", subject)


def _lacks(subject: Subject, told: str) -> str | None:
    return _unless(told not in subject.text, f"contains {told!r}", subject)


def _matches(subject: Subject, told: str) -> str | None:
    found = re.search(told, subject.text, re.MULTILINE)
    return _unless(found is not None, f"has nothing that matches {told!r}", subject)


def _is_json(subject: Subject, _: Any) -> str | None:
    try:
        read_json(subject.text, in_talk=False)
    except ValueError:
        return _unless(False, "isn't JSON", subject)
    return None


def _schema(subject: Subject, told: Mapping[str, Any]) -> str | None:
    try:
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError
        from referencing import Registry
        from referencing.exceptions import Unresolvable
    except ImportError:
        raise MissingDependencyError("schema assertions", "schema") from None
    try:
        Draft202012Validator.check_schema(told)
    except SchemaError as error:
        raise ConfigError(f"the schema can't be one: {error.message}") from None
    try:
        value = read_json(subject.text, in_talk=False)
    except ValueError:
        return _unless(False, "isn't JSON", subject)
    try:
        # Nothing is fetched: a reference must lead to a place within the schema.
        found = Draft202012Validator(told, registry=Registry()).iter_errors(value)
        problems = sorted(found, key=lambda error: error.json_path)
    except (Unresolvable, RecursionError) as error:
        reason = first_line(str(error)) or "it refers to itself without end"
        raise ConfigError(f"the schema can't be followed: {reason}") from None
    if not problems:
        return None
    return f"doesn't meet the schema: {problems[0].json_path}: {problems[0].message}"


def _max_tokens(subject: Subject, told: int) -> str | None:
    return (
        None if subject.tokens <= told else f"has {subject.tokens:,} tokens, not {told:,} at most"
    )


def _label_in(subject: Subject, told: list[str]) -> str | None:
    said = normal_label(subject.text)
    known = {normal_label(label) for label in told}
    return None if said in known else f"says {said!r}, not one of {', '.join(told)}"


def _similar(subject: Subject, told: str | Mapping[str, Any]) -> str | None:
    to, least = (
        (told, CLOSE) if isinstance(told, str) else (told["to"], told.get("at-least", CLOSE))
    )
    cosine = subject.similarity(subject.text, to)
    return _unless(
        cosine >= least, f"has a cosine of {cosine:.2f} with {to!r}, not {least:g}", subject
    )


def _python(subject: Subject, told: str) -> str | None:
    found = load_function(told, subject.folder)(subject.text)
    if found is None or found is True:
        return None
    if found is False or isinstance(found, str):
        return _unless(False, found or f"fails {told}", subject)
    raise ConfigError(f"{told} must return True, False, None or a text, not {found!r}")


_CHECKS: Mapping[str, Callable[[Subject, Any], str | None]] = {
    "equals": _equals, "contains": _contains, "not-contains": _lacks, "matches": _matches,
    "is-json": _is_json, "schema": _schema, "max-tokens": _max_tokens, "label-in": _label_in,
    "similar": _similar, "python": _python, "snapshot": lambda subject, told: None,
}  # fmt: skip


def _unless(good: bool, problem: str, subject: Subject) -> str | None:
    if good:
        return None
    text = subject.text if len(subject.text) <= 200 else subject.text[:200] + "…"
    return f"{problem}: {json.dumps(text, ensure_ascii=False)}"

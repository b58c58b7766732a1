"""A template: front matter, a Jinja2 body and all that it includes, ready to render."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from jinja2 import TemplateSyntaxError as JinjaSyntaxError
from jinja2 import UndefinedError
from jinja2.exceptions import SecurityError

from promptlib.errors import InputsError, TemplateError, did_you_mean
from promptlib.example import Example
from promptlib.templating.frontmatter import FrontMatter, place_of
from promptlib.templating.inputs import InputSpec
from promptlib.templating.messages import TextOutsideError, collecting, transcript
from promptlib.templating.sections import Section, without_sections
from promptlib.templating.sizes import counting_size
from promptlib.templating.specials import (
    Neutralise,
    neutralised,
    neutraliser,
    special_tokens,
    special_tokens_in,
)
from promptlib.templating.values import JsonList, JsonObject, jsonable
from promptlib.text import lone_surrogate

SCOPE = (
    "examples", "static_examples", "labels", "candidate_labels", "label_definitions", "history",
)  # fmt: skip
"""Names that a body may use beside its inputs."""


@dataclass(frozen=True)
class Rendered:
    """What a template rendered to: text, or messages if it is a chat template."""

    written: str
    messages: list[dict[str, Any]] | None

    @cached_property
    def text(self) -> str:
        """The text; of messages, a transcript to read."""
        return self.written if self.messages is None else transcript(self.messages)

    def as_message(self) -> Rendered:
        """Give a text as one message of the user."""
        return Rendered("", [{"role": "user", "content": self.text}])


@dataclass(frozen=True)
class Template:
    """A template by name. `hash` covers its file and everything it includes."""

    name: str
    front: FrontMatter = field(repr=False)
    inputs: Mapping[str, InputSpec] = field(repr=False)
    uses: frozenset[str]
    """The names of SCOPE that the body or something it includes reads."""
    reads: Mapping[str, str] = field(repr=False)
    """Every name that these read and don't set -> file and line where they first do."""
    is_chat: bool
    sections: tuple[Section, ...]
    """The parts that may leave for room, in the order in which they claim it."""
    files: Mapping[str, str] = field(repr=False)
    """Name -> source, of the template and of everything it includes."""
    where: str
    compiled: Any = field(repr=False)
    offsets: Mapping[str, int] = field(repr=False)
    """File -> lines of front matter before its body."""
    version: int | None = None
    """Which published version this is; None for a working file."""
    static: tuple[Example, ...] = field(default=(), repr=False)
    """Its static examples: those that were published with it, or were chosen since."""
    static_store: Mapping[str, Any] | None = field(default=None, repr=False)
    """Name, uid and revision of the store that these were chosen from just now."""

    @cached_property
    def hash(self) -> str:
        """Hash the closure of files; 32 hex digits."""
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()[:32]

    def place_of(self, *keys: str) -> str:
        """Say in which line of the front matter a key stands: file:line."""
        return place_of(self.files[self.name], self.where, *keys)

    @property
    def query_inputs(self) -> tuple[str, ...]:
        """The inputs that form the retrieval query: `examples.query`, `query`, or the only one."""
        chosen = self.front.examples.query if self.front.examples else None
        if chosen is not None:
            return (chosen,) if isinstance(chosen, str) else tuple(chosen)
        if "query" in self.inputs:
            return ("query",)
        return tuple(self.inputs) if len(self.inputs) == 1 else ()

    def checked_inputs(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises InputsError that names everything missing, unknown or wrong."""
        problems = [
            f"input {name!r} is missing"
            for name, spec in self.inputs.items()
            if spec.is_required and name not in given
        ]
        for name, value in given.items():
            if name not in self.inputs:
                problems.append(f"unknown input {name!r} ({did_you_mean(name, self.inputs)})")
            elif problem := self.inputs[name].problem(value):
                problems.append(f"input {name!r} {problem}")
        if problems:
            raise InputsError(f"template {self.name!r}: {'; '.join(problems)}")
        defaults = {n: s.default for n, s in self.inputs.items() if not s.is_required}
        return defaults | dict(given)

    def render(
        self,
        inputs: Mapping[str, Any],
        examples: Sequence[Example] = (),
        *,
        labels: Sequence[str] = (),
        candidate_labels: Sequence[str] = (),
        label_definitions: Mapping[str, str] = MappingProxyType({}),
        history: Sequence[Mapping[str, Any]] = (),
        static_examples: Sequence[Example] | None = None,
        without: Collection[str] = (),
    ) -> Rendered:
        """Render with checked inputs. Inputs and examples are data: never parsed as template.

        `static_examples` are by default those that were published with it; `without` names
        sections that leave. Raises TemplateError when the body fails, with file and line.
        """
        scope = {name: self.data(value) for name, value in inputs.items()}
        rendered = self.render_scope(
            scope
            | {
                "examples": [self.example(example) for example in examples],
                "static_examples": self.static_data
                if static_examples is None
                else [self.example(example) for example in static_examples],
                "labels": self.data(labels),
                "candidate_labels": self.data(candidate_labels),
                "label_definitions": self.data(label_definitions),
                "history": self.data(history),
            },
            frozenset(without),
        )
        self.refuse_tokens(rendered)
        return rendered

    @cached_property
    def neutralise(self) -> Neutralise:
        """What happens to special tokens in data."""
        return self.front.special_tokens or ("keep" if self.is_chat else "escape")

    @cached_property
    def _clean(self) -> Callable[[str], str] | None:
        return neutraliser(self.neutralise)

    def data(self, value: Any) -> Any:
        """Make what a body sees of plain data."""
        return jsonable(value, self._clean)

    def example(self, example: Example) -> Any:
        """Make what a body sees of an example: input, output, label, metadata and id."""
        data = self.data
        return JsonObject(
            id=data(example.id),
            input=data(example.input),
            output=data(example.output),
            label=data(example.label),
            metadata=data(example.metadata),
        )

    @cached_property
    def static_data(self) -> JsonList:
        """What a body sees of the static examples: the same in every prompt."""
        return JsonList(self.example(example) for example in self.static)

    def render_scope(
        self, scope: Mapping[str, Any], without: frozenset[str] = frozenset()
    ) -> Rendered:
        """Render with a scope that was made before, by `data` and `example`."""
        with collecting() as collected, without_sections(without), counting_size():
            try:
                text = self.compiled.render(scope)
            except Exception as error:  # whatever a body does wrong, it is the body's
                raise TemplateError(f"{self._place(error)}: {_reason(error)}") from error
        own = self._own_tokens
        if self._clean is not None:
            made = special_tokens_in([text, [m["content"] for m in collected.messages]])
            if not own.issuperset(made):  # the template may have put them together, or data has
                own |= self._composed_tokens(scope, without)
        if not self.is_chat:
            return Rendered(self._readable(self._neutral(text, own)), None)
        try:
            collected.check(text)
            if not collected.messages:
                raise TemplateError("no message was rendered")
        except TextOutsideError as error:
            raise TemplateError(f"{self._place_of(error.text)}: {error}") from None
        except TemplateError as error:
            raise TemplateError(f"{self.where}: {error}") from None
        for message in collected.messages:
            if isinstance(message["content"], str):
                message["content"] = self._readable(self._neutral(message["content"], own))
        return Rendered("", collected.messages)

    def _readable(self, text: str) -> str:
        """Refuse what UTF-8 can't write; raises TemplateError."""
        if not text.isascii() and (problem := lone_surrogate(text)):
            raise TemplateError(f"{self.where}: the prompt {problem}")
        return text

    def _neutral(self, text: str, own: frozenset[str]) -> str:
        """Look once more at what was made: data may have been joined to a special token."""
        return neutralised(text, self.neutralise, own) if self._clean is not None else text

    def _composed_tokens(self, scope: Mapping[str, Any], without: frozenset[str]) -> frozenset[str]:
        """Find the special tokens that the body makes with harmless data."""
        with collecting() as collected, without_sections(without), counting_size():
            try:
                text = self.compiled.render({name: _harmless(v) for name, v in scope.items()})
            except Exception:
                return frozenset()
        contents = [message["content"] for message in collected.messages]
        return frozenset(special_tokens_in([text, contents]))

    def refuse_tokens(self, rendered: Rendered) -> None:
        """Raise TemplateError for special tokens in a finished prompt, if the template says so."""
        if self.neutralise != "refuse":
            return
        contents = [message["content"] for message in rendered.messages or ()]
        for token in special_tokens_in([rendered.written, contents]):
            if token not in self._own_tokens:
                raise TemplateError(
                    f"{self.where}: the prompt would hold the special token {token!r}, which "
                    "came with the data (special_tokens: refuse)"
                )

    @cached_property
    def _own_tokens(self) -> frozenset[str]:
        """The special tokens that the template itself writes."""
        return frozenset(token for file in self.files.values() for token in special_tokens(file))

    def _place_of(self, text: str) -> str:
        """Find the line that a stray text comes from, if it stands in a file as it is."""
        first = text.strip().split("\n")[0]
        for number, line in enumerate(self.files[self.name].split("\n"), start=1):
            if first in line and number > self.offsets[self.where]:
                return f"{self.where}:{number}"
        return self.where

    def _place(self, error: BaseException) -> str:
        """Find file and line in Jinja's traceback: the innermost frame of a template."""
        if isinstance(error, JinjaSyntaxError):
            where = error.filename or self.where
            return f"{where}:{error.lineno + self.offsets.get(where, 0)}"
        place, frame = self.where, error.__traceback__
        while frame is not None:
            file = frame.tb_frame.f_code.co_filename
            if file in self.offsets:
                place = f"{file}:{frame.tb_lineno + self.offsets[file]}"
            frame = frame.tb_next
        return place


def _json_kind(match: re.Match[str]) -> str:
    return match[1].lower()


def _reason(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    if isinstance(error, RecursionError):
        return "macros or includes call each other without end"
    if isinstance(error, SecurityError):
        return f"not allowed in a template: {error}"
    if isinstance(error, JinjaSyntaxError | UndefinedError | TemplateError):
        reason = str(getattr(error, "message", None) or error)
        return re.sub(r"promptlib\.templating\.values\.Json(\w+) object", _json_kind, reason)
    return f"{type(error).__name__}: {error}"


def _harmless(value: Any) -> Any:
    """Empty all texts of data but the roles of messages."""
    if isinstance(value, str):
        return ""
    if isinstance(value, Mapping):
        return JsonObject({k: v if k == "role" else _harmless(v) for k, v in value.items()})
    return JsonList(map(_harmless, value)) if isinstance(value, list) else value


def with_cuts(
    inputs: Mapping[str, Any], template: Template, cuts: Mapping[str, int]
) -> dict[str, Any]:
    """Cut inputs to so many characters each, as the body would see them, and mark where."""
    return {
        name: template.data(value)[: cuts[name]] + template.inputs[name].marker
        if name in cuts
        else value
        for name, value in inputs.items()
    }

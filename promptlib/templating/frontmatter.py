"""The YAML block at the head of a template: what it needs and how its examples are chosen."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt, ValidationError

from promptlib.errors import TemplateSyntaxError, did_you_mean
from promptlib.templating.inputs import InputSpec
from promptlib.templating.specials import Neutralise
from promptlib.text import lone_surrogate
from promptlib.validation import Strict, problem_text


class StaticSpec(Strict):
    """Examples that stand in every prompt: chosen once, for the store as a whole."""

    k: Annotated[int, Field(ge=1, le=1000)] = 4
    strategy: Literal["diverse", "random"] = "diverse"
    seed: NonNegativeInt = 0


class ExamplesSpec(Strict):
    """Which examples a template shows, and how they are chosen."""

    store: str | None = None
    k: NonNegativeInt | None = None
    min_k: NonNegativeInt | None = None
    max_example_tokens: PositiveInt | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """The most of the budget that all examples together may take."""
    strategy: str | None = None
    lambda_mult: Annotated[float, Field(ge=0, le=1)] | None = None
    lexical_weight: Annotated[float, Field(ge=0, le=1)] | None = None
    min_labels: NonNegativeInt | None = None
    max_per_label: PositiveInt | None = None
    border: Annotated[float, Field(ge=0, le=1)] | None = None
    order: str | None = None
    seed: int | None = None
    query: str | list[str] | None = None
    min_score: Annotated[float, Field(ge=-1, le=1)] | None = None
    exclude_self: bool | None = None
    where: dict[str, Any] | list[str] | None = None
    static: StaticSpec | None = None

    @cached_property
    def given(self) -> dict[str, Any]:
        """What is set, by name."""
        return {name: value for name, value in self if value is not None and name != "static"}


class PrioritySpec(Strict):
    """What claims its room before what: the higher first. Sections have numbers of their own."""

    history: float = 1
    examples: float = 0


class BudgetSpec(Strict):
    """How long the prompt may be."""

    tokens: PositiveInt | None = None
    reserve: NonNegativeInt | None = None
    priority: Literal["history", "examples"] | PrioritySpec = "history"
    """What claims its room first; or the priority of each, beside those of sections."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """How much of the room for both its first claim may take."""

    @property
    def priorities(self) -> PrioritySpec:
        """The priorities as numbers."""
        if isinstance(self.priority, PrioritySpec):
            return self.priority
        return PrioritySpec(history=1, examples=0 if self.priority == "history" else 2)


METRIC_KINDS = (
    "label", "exact", "contains", "json", "number", "similar", "regex:PATTERN",
    "python:FILE.py:FUNCTION",
)  # fmt: skip
"""How an answer can be judged."""


def _known_metric(name: str) -> str:
    kind, colon, _ = name.partition(":")
    for known in METRIC_KINDS:
        if known.partition(":")[:2] == (kind, colon):
            return name
    raise ValueError(f"no metric {name!r}; {did_you_mean(name, METRIC_KINDS)}")


class AnswerSpec(Strict):
    """What a model's answer is like."""

    stop: Annotated[list[str], Field(max_length=4)] = Field(default_factory=list)
    """Where it ends: a text template that goes "Answer:" line by line stops at "\\n"."""
    metric: Annotated[str, AfterValidator(_known_metric)] | None = None
    """How it is judged, as `promptlib eval --metric` takes it."""


class FrontMatter(Strict):
    """All that a template's head can say."""

    description: str = ""
    model: str | None = None
    encoding: str | None = None
    inputs: dict[str, InputSpec] | None = None
    examples: ExamplesSpec | None = None
    budget: BudgetSpec = Field(default_factory=BudgetSpec)
    answer: AnswerSpec = Field(default_factory=AnswerSpec)
    special_tokens: Neutralise | None = None
    """What to do with a model's special tokens in data; by default keep in messages, escape in
    text."""


@dataclass(frozen=True)
class Parts:
    """A template file taken apart. `offset` is how many lines stand before the body."""

    front: FrontMatter
    body: str
    offset: int


LONGEST_FRONT_MATTER = 100_000
"""In characters."""


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, without keys that stand twice: one of the two would be lost.

    Nor are there references: a few lines of them can stand for more data than fits any memory.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(
                problem="references (*name) aren't allowed here", problem_mark=mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    problem="a key must be a word", problem_mark=key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key.value!r} stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_yaml(text: str, where: str, first: int = 1) -> Any:
    """Read YAML as plain data; raises TemplateSyntaxError with file and line.

    `first` is the line of the file in which the text begins.
    """
    try:
        return yaml.load(text, _Loader)  # a safe one
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark.line if error.problem_mark else 0) + first
        reason = error.problem or "it can't be parsed"
    except RecursionError:
        line, reason = first, "it is nested too deeply"
    except (yaml.YAMLError, ValueError) as error:
        line, reason = first, str(error).splitlines()[0]
    raise TemplateSyntaxError(f"{where}:{line}: not YAML: {reason}")


_FENCE = re.compile(r"---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)


def split_template(source: str, where: str) -> Parts:
    """Take front matter and body apart; raises TemplateSyntaxError with file and line."""
    if not source.startswith("---"):
        return Parts(FrontMatter(), source, 0)
    match = _FENCE.match(source)
    if match is None:
        raise TemplateSyntaxError(f"{where}:1: the front matter has no closing ---")
    if len(match[1]) > LONGEST_FRONT_MATTER:
        raise TemplateSyntaxError(
            f"{where}:1: the front matter has {len(match[1]):,} characters; "
            f"{LONGEST_FRONT_MATTER:,} are the most"
        )
    values = load_yaml(match[1], where, first=2)
    if problem := lone_surrogate(json.dumps(values, ensure_ascii=False, default=str)):
        raise TemplateSyntaxError(f"{where}:2: the front matter {problem}")
    if values is not None and not isinstance(values, Mapping):
        raise TemplateSyntaxError(f"{where}:2: the front matter must be `key: value` lines")
    try:
        front = FrontMatter.model_validate(values or {})
    except ValidationError as error:
        raise TemplateSyntaxError(
            "\n".join(
                f"{where}:{_line(match[1], p)}: {problem_text(p, _known_keys(p))}"
                for p in error.errors()
            )
        ) from None
    if unusable := [name for name in front.inputs or () if not name.isidentifier()]:
        raise TemplateSyntaxError(
            f"{where}:{_line(match[1], {'loc': ('inputs', unusable[0])})}: input {unusable[0]!r} "
            "can't be used in a template: names are letters, digits and _"
        )
    return Parts(front, source[match.end() :], source[: match.end()].count("\n"))


def place_of(source: str, where: str, *keys: str) -> str:
    """Say in which line of a template's front matter a key stands: file:line."""
    match = _FENCE.match(source)
    return f"{where}:{_line(match[1], {'loc': keys})}" if match else f"{where}:1"


def _known_keys(problem: Any) -> list[str]:
    parents = problem["loc"][:-1]
    models: dict[tuple[str, ...], type[Strict]] = {
        (): FrontMatter, ("examples",): ExamplesSpec, ("examples", "static"): StaticSpec,
        ("budget",): BudgetSpec, ("budget", "priority"): PrioritySpec, ("answer",): AnswerSpec,
    }  # fmt: skip
    model = models.get(tuple(map(str, parents)), InputSpec)
    return list(model.model_fields)


def _line(head: str, problem: Any) -> int:
    """Find the line of a key: the first one, from its parents' on, that starts with it."""
    lines = head.split("\n")
    at = 0
    for part in problem["loc"]:
        key = re.compile(
            rf"[\s{{,]*{re.escape(str(part))}\s*:|.*[{{,]\s*{re.escape(str(part))}\s*:"
        )
        at = next((n for n in range(at, len(lines)) if key.match(lines[n])), at)
    return at + 2

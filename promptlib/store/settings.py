"""What a store knows of itself: `store.toml`, and what was decided at the first import."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, NonNegativeInt, ValidationError

from promptlib.errors import ConfigError, ExampleError, StoreError
from promptlib.example import Example, Recipe
from promptlib.validation import Strict, problem_text


class EmbedSpec(Strict):
    """Which part of an input it is found by; see `Recipe`."""

    fields: list[str] = Field(default_factory=list)
    turns: NonNegativeInt = 0


class Tuned(Strict):
    """A measurement of ways to choose a store's examples, which `auto` follows."""

    strategy: str
    weights: dict[str, int | float] = Field(default_factory=dict)
    """What the strategy is told, by name."""
    over: str
    """The strategy that it was compared with."""
    measure: str
    difference: float
    """In the measure, on queries that took no part in choosing; positive is better."""
    low: float
    high: float
    """The 95 % interval of the difference."""
    queries: int
    k: int
    embedder: str
    """The fingerprint of the embedder: with another one the measurement says nothing."""
    at: str

    def __str__(self) -> str:
        told = "".join(f" {name}={value:g}" for name, value in self.weights.items())
        measure = self.measure.replace("_", " ")
        return (
            f"{self.strategy}{told}; {measure} {self.difference:+.3f} ({self.low:+.3f} to "
            f"{self.high:+.3f}) over {self.over} at k {self.k}, on {self.queries} queries, "
            f"{self.at[:10]}"
        )


class StoreSettings(Strict):
    """Describes a store: all that `store.toml` can say.

    `label` says where the label of a row is that has none of its own: "output", a path into it
    such as "output.intent", or the name of a metadata field; "" means nowhere, None that it isn't
    decided yet. `label_definitions` says in a line what a label means.
    """

    description: str = ""
    label: str | None = None
    language: str = ""
    license: str = ""
    source: str = ""
    embed_spec: EmbedSpec = Field(default_factory=EmbedSpec, alias="embed")
    label_definitions: dict[str, str] = Field(default_factory=dict)
    tuned: Tuned | None = None
    """By what can be said without a language model."""
    tuned_for: dict[str, Tuned] = Field(default_factory=dict)
    """By a language model's own answers: which model -> what it does best with."""

    def tuned_of(self, model: str | None) -> Tuned | None:
        """Say what `auto` follows in prompts for a model: its own answers before anything else."""
        return self.tuned_for.get(model or "") or self.tuned

    @classmethod
    def from_toml(cls, path: Path) -> StoreSettings:
        """Read a `store.toml`; a file that isn't there says nothing. Raises ConfigError."""
        if not path.is_file():
            return cls()
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not TOML: {error}") from None
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = (f"{path}: {problem_text(p, _known_keys(p))}" for p in error.errors())
            raise ConfigError("\n".join(problems)) from None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StoreSettings:
        """Read what `to_dict` gave."""
        return cls.model_validate(values)

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as they are kept in the database."""
        return self.model_dump(by_alias=True, exclude_defaults=True)

    @cached_property
    def embed(self) -> Recipe:
        """Which part of an input it is found by."""
        return Recipe(tuple(self.embed_spec.fields), self.embed_spec.turns)

    def label_of(self, example: Example) -> str | None:
        """Find the label in effect: the example's own, or what `label` points at."""
        if example.label is not None or not self.label:
            return example.label
        first, *path = self.label.split(".")
        value: Any = example.output if first == "output" else example.metadata.get(self.label)
        for part in path if first == "output" else ():
            value = value.get(part) if isinstance(value, Mapping) else None
        return value if isinstance(value, str) else None

    def with_label(self, example: Example, label: str) -> Example:
        """Give an example another label, where `label_of` finds it; an output that is its text too.

        Raises ExampleError for a row that can't have one there.
        """
        old = self.label_of(example)
        if example.label is not None or not self.label:
            same = old is not None and example.output == old
            return replace(example, label=label, output=label if same else example.output)
        first, *path = self.label.split(".")
        if first == "output":
            return replace(example, output=_with(example.output, path, label))
        return replace(example, metadata={**example.metadata, self.label: label})


def _with(value: Any, path: Sequence[str], label: str) -> Any:
    """Put a label at the end of a path into an output."""
    if not path:
        return label
    if not isinstance(value, Mapping):
        raise ExampleError(f"its output has no {path[0]!r} to hold a label")
    return {**value, path[0]: _with(value.get(path[0], {}), path[1:], label)}


def check_name(name: str) -> None:
    """Refuse names that can't be a folder's; raises StoreError."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise StoreError(f"{name!r} can't be a store's name: use letters, digits, '.', '_' and '-'")


def _known_keys(problem: Any) -> list[str]:
    if len(problem["loc"]) > 1:
        part = Tuned if problem["loc"][0] == "tuned" else EmbedSpec
        return list(part.model_fields)
    return [field.alias or name for name, field in StoreSettings.model_fields.items()]

"""The inputs that a template declares: their types, their defaults, and where long ones are cut."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

from pydantic import PositiveInt, model_validator

from promptlib.errors import ExampleError, TemplateError
from promptlib.message import read_history
from promptlib.templating.values import to_json
from promptlib.text import kind_of, lone_surrogate
from promptlib.validation import Strict

InputType = Literal["string", "integer", "number", "boolean", "list", "object", "messages"]

MARKER = " [cut]"
"""What stands at the end of an input that was cut, unless the template says something else."""

_SCALARS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
}


class InputSpec(Strict):
    """One input that a template declares. One with a default, or not required, may be left out."""

    type: InputType | None = "string"
    description: str = ""
    default: Any = None
    required: bool | None = None
    """False: None stands for one that isn't given. By default, one without a default is needed."""
    enum: list[Any] | None = None
    """The values that it may have."""
    max_tokens: PositiveInt | None = None
    """A longer text is cut to this, marker included."""
    marker: str = MARKER

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        given = self.model_fields_set
        if self.required and "default" in given:
            raise ValueError("an input with a default isn't required: leave one of the two out")
        if self.max_tokens is not None and self.type != "string":
            raise ValueError("only a string can be cut: max_tokens needs type string")
        if "marker" in given and self.max_tokens is None:
            raise ValueError("marker says where an input was cut: it needs max_tokens")
        if self.enum is not None and not self.enum:
            raise ValueError("enum is empty: no value would do")
        for value in self.enum or ():
            if problem := self._type_problem(value):
                raise ValueError(f"enum: {value!r} {problem}")
        if self.default is not None and (problem := self.problem(self.default)):
            raise ValueError(f"default {problem}")
        return self

    @property
    def is_required(self) -> bool:
        """Whether a value must be given."""
        return self.required is not False and "default" not in self.model_fields_set

    def problem(self, value: Any) -> str | None:
        """Say what is wrong with a value, if anything is."""
        if value is None and not self.is_required:
            return None
        if problem := self._type_problem(value):
            return problem
        if self.enum is not None and not any(_same(value, known) for known in self.enum):
            return f"must be one of {', '.join(map(to_json, self.enum))}, not {to_json(value)}"
        if isinstance(value, str):
            return lone_surrogate(value)
        if self.type == "messages":
            try:
                read_history(value)
            except ExampleError as error:
                return f"must be messages: {error}"
        try:
            return lone_surrogate(to_json(value))
        except TemplateError as error:  # a date of YAML's, an object of the caller's
            return f"isn't plain data: {error}"

    def _type_problem(self, value: Any) -> str | None:
        if self.type is None:
            return None
        if self.type in ("list", "messages"):
            fits = isinstance(value, Sequence) and not isinstance(value, str)
        else:
            fits = isinstance(value, _SCALARS[self.type])
            if self.type in ("integer", "number"):
                fits = fits and not isinstance(value, bool)
        return None if fits else f"must be {self.type}, not {kind_of(value)}"


def _same(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def cut_length(
    text: str, spec: InputSpec, count: Callable[[str], int],
    borders: Callable[[str], Sequence[int]],
) -> int | None:  # fmt: skip
    """Say how many characters of a text stay, so that it fits with the marker; None: all.

    `borders` gives the places, in characters, where a token of the text ends.
    """
    most = spec.max_tokens
    if most is None or count(text) <= most:
        return None
    ends = [0, *borders(text)]
    kept = bisect_right(ends, most, key=lambda end: count(text[:end] + spec.marker)) - 1
    while kept > 0 and count(text[: ends[kept]] + spec.marker) > most:  # counts may dip
        kept -= 1
    return ends[max(kept, 0)]

"""The sandbox that templates run in. Its settings decide the bytes of prompts: they stay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jinja2 import BaseLoader, StrictUndefined, nodes, pass_environment
from jinja2.compiler import CodeGenerator, Frame
from jinja2.filters import make_attrgetter
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from promptlib.templating.guards import (
    OPERATORS,
    bounded_format,
    check_call,
    check_operation,
    format_filter,
    guarded_filters,
)
from promptlib.templating.messages import KEEP, MessageExtension, keep_message
from promptlib.templating.sections import SectionExtension
from promptlib.templating.sizes import bounded_join, check_size
from promptlib.templating.values import printed


class _Code(CodeGenerator):
    """Code in which `~` prints values as `{{ }}` does."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.concatenated((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class PromptEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox, printing data as JSON and giving the same bytes every time."""

    code_generator_class = _Code
    intercepted_binops = OPERATORS
    concat = staticmethod(bounded_join)

    def __init__(self, loader: BaseLoader | None = None) -> None:
        super().__init__(
            loader=loader,
            undefined=StrictUndefined,
            extensions=[MessageExtension, SectionExtension],
            trim_blocks=True,
            lstrip_blocks=True,
            newline_sequence="\n",
            keep_trailing_newline=False,
            autoescape=False,
            finalize=printed,
            optimized=False,  # the optimiser would print constants in its own way
        )
        # The same inputs must give the same bytes, and no Python repr reaches a model.
        del self.globals["lipsum"], self.filters["random"], self.filters["pprint"]
        self.filters |= guarded_filters(self.filters)
        self.filters[KEEP] = keep_message
        self.filters["string"] = _string
        self.filters["join"] = _join
        self.filters["sum"] = _sum
        self.filters["format"] = format_filter

    def concatenated(self, parts: Iterable[Any]) -> str:
        """Join the values of a `~` expression."""
        texts = [_string(part) for part in parts]
        sizes = list(map(len, texts))
        check_size(sum(sizes), sum(sizes) - max(sizes))
        return "".join(texts)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Apply an operator, unless the result would be too large."""
        right = check_operation(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function, unless the result would be too large."""
        args = check_call(__obj, args, kwargs)
        return super().call(__context, __obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Any:
        """Stand in for `text.format`."""
        if super().wrap_str_format(value) is None:
            return None
        return bounded_format(self, value)


def _string(value: Any) -> str:
    return str(printed(value))


@pass_environment
def _join(
    environment: PromptEnvironment, values: Iterable[Any], d: str = "",
    attribute: str | int | None = None,
) -> str:  # fmt: skip
    """Join values by a text; like Jinja's filter, but printing them as data."""
    if attribute is not None:
        values = map(make_attrgetter(environment, attribute), values)
    return bounded_join((_string(value) for value in values), _string(d))


@pass_environment
def _sum(
    environment: PromptEnvironment, values: Iterable[Any], attribute: str | int | None = None,
    start: Any = 0,
) -> Any:  # fmt: skip
    """Add values up; like Jinja's filter, but a list of lists stays within bounds."""
    if attribute is not None:
        values = map(make_attrgetter(environment, attribute), values)
    for value in values:
        check_operation("+", start, value)
        start = start + value
    return start

"""The sandbox that templates run in. Its settings decide the bytes of prompts: they stay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jinja2 import BaseLoader, StrictUndefined, nodes, pass_environment
from jinja2.compiler import CodeGenerator, Frame
from jinja2.filters import make_attrgetter
from jinja2.sandbox import ImmutableSandboxedEnvironment

from promptlib.templating.messages import KEEP, MessageExtension, keep_message
from promptlib.templating.sections import SectionExtension
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
        # The same inputs must give the same bytes.
        del self.globals["lipsum"], self.filters["random"]
        self.filters[KEEP] = keep_message
        self.filters["string"] = _string
        self.filters["join"] = _join

    def concatenated(self, parts: Iterable[Any]) -> str:
        """Join the values of a `~` expression."""
        return "".join(_string(part) for part in parts)


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
    return _string(d).join(_string(value) for value in values)

"""`{% section NAME, priority=... %}` ... `{% endsection %}`: parts that leave, whole, for room.

The body of a section that has left isn't rendered at all: whatever stands in it, messages too, is
simply not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import isfinite

from jinja2 import TemplateSyntaxError as JinjaSyntaxError
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from promptlib.errors import TemplateSyntaxError


@dataclass(frozen=True)
class Section:
    """A part of a template that may leave."""

    name: str
    priority: float
    """What has a lower one leaves earlier."""


_hidden: ContextVar[frozenset[str]] = ContextVar("promptlib_sections", default=frozenset())


@contextmanager
def without_sections(names: frozenset[str]) -> Iterator[None]:
    """Leave these sections out of what is rendered inside, in this thread or task alone."""
    token = _hidden.set(names)
    try:
        yield
    finally:
        _hidden.reset(token)


class SectionExtension(Extension):
    """Adds the tag `section` to Jinja."""

    tags = {"section"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        """Compile the tag into a condition on what has left."""
        tag = next(parser.stream)
        name = next(parser.stream)
        if name.type not in ("name", "string"):
            parser.fail("a section needs a name: {% section NAME, priority=1 %}", tag.lineno)
        priority = self._priority(parser, tag.lineno)
        body = parser.parse_statements(("name:endsection",), drop_needle=True)
        # The priority takes no part in the call: `sections_in` reads it from there.
        facts: list[nodes.Expr] = [nodes.Const(name.value), nodes.Const(priority)]
        shown = self.call_method("_is_shown", facts, lineno=tag.lineno)
        return nodes.If(shown, body, [], [], lineno=tag.lineno)

    def _priority(self, parser: Parser, line: int) -> float:
        if not parser.stream.skip_if("comma"):
            return 0
        key = parser.stream.expect("name")
        if key.value != "priority":
            parser.fail(f"a section takes priority, not {key.value!r}", line)
        parser.stream.expect("assign")
        sign = -1 if parser.stream.skip_if("sub") else 1
        number = next(parser.stream)
        if number.type not in ("integer", "float"):
            parser.fail("a section's priority must be a number", line)
        if not isfinite(float(number.value)):
            parser.fail("a section's priority must be a number that there is", line)
        return sign * float(number.value)

    def _is_shown(self, name: str, priority: float) -> bool:
        return name not in _hidden.get()


def sections_in(tree: nodes.Template) -> Iterator[tuple[int, Section]]:
    """List the sections of a body, with the line of each."""
    for condition in tree.find_all(nodes.If):
        section = _section(condition.test)
        if section is None:
            continue
        yield condition.lineno, section
        for part in condition.body:
            for call in part.find_all(nodes.Call):
                inner = _section(call)
                if inner is not None and inner.priority > section.priority:
                    raise JinjaSyntaxError(
                        f"section {inner.name!r} stands in {section.name!r}, which leaves before "
                        "it: give it no higher priority",
                        call.lineno,
                    )


def _section(node: nodes.Node) -> Section | None:
    """Read the section that a condition is about."""
    called = node.node if isinstance(node, nodes.Call) else None
    if not isinstance(called, nodes.ExtensionAttribute):
        return None
    if called.identifier != SectionExtension.identifier:
        return None
    name, priority = (arg.as_const() for arg in node.args)  # type: ignore[attr-defined]
    return Section(name, priority)


def in_order(found: Iterable[tuple[str, Section]]) -> tuple[Section, ...]:
    """Put sections in the order in which they claim room, each once.

    Each comes with the place where it stands. Raises TemplateSyntaxError.
    """
    priorities: dict[str, float] = {}
    for where, section in found:
        if priorities.setdefault(section.name, section.priority) != section.priority:
            raise TemplateSyntaxError(f"{where}: section {section.name!r} has two priorities")
    once = [Section(name, priority) for name, priority in priorities.items()]
    return tuple(sorted(once, key=lambda section: -section.priority))

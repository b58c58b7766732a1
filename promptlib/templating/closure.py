"""From the sources of a template and of all that it includes to a template that renders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from jinja2 import BaseLoader, Environment, meta, nodes
from jinja2 import Template as JinjaTemplate
from jinja2 import TemplateNotFound as JinjaNotFound
from jinja2 import TemplateSyntaxError as JinjaSyntaxError

from promptlib.errors import TemplateError, TemplateSyntaxError, did_you_mean
from promptlib.templating.environment import PromptEnvironment
from promptlib.templating.frontmatter import FrontMatter, Parts, split_template
from promptlib.templating.inputs import InputSpec
from promptlib.templating.messages import KEEP, MessageExtension
from promptlib.templating.sections import Section, in_order, sections_in
from promptlib.templating.template import SCOPE, Template

Read = Callable[[str], tuple[str, str]]
"""Name -> (source, where it stands); raises TemplateError for what isn't there."""


@dataclass(frozen=True)
class _File:
    """One file of a template, taken apart."""

    source: str
    where: str
    parts: Parts
    tree: nodes.Template
    names: frozenset[str]
    """Variables that it reads and doesn't set."""
    sections: list[tuple[str, Section]]
    """Its sections, each with the place where it stands."""


def compile_template(name: str, read: Read) -> Template:
    """Read a template with all that it includes, and compile it; raises TemplateError."""
    files: dict[str, _File] = {}
    environment = PromptEnvironment(_Bodies(files))
    _collect(name, (), environment, files, read)
    main = files[name]
    reads: dict[str, str] = {}
    for file in files.values():
        reads = {**_places(file), **reads}
    front = main.parts.front
    inputs = front.inputs
    if inputs is None:  # a body without declared inputs takes what it names
        free = set(reads) - set(SCOPE) - set(environment.globals)
        inputs = {input: InputSpec(type=None) for input in sorted(free)}
    _check_inputs(main.where, front, inputs)
    try:
        compiled = environment.get_template(name)
    except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
        reason = getattr(error, "msg", None) or str(error) or "it is nested too deeply"
        raise TemplateSyntaxError(f"{main.where}: it can't be compiled: {reason}") from None
    return Template(
        name=name,
        front=front,
        inputs=inputs,
        uses=frozenset(set(reads) & set(SCOPE)),
        reads=reads,
        is_chat=any(_has_messages(file.tree) for file in files.values()),
        sections=in_order([found for file in files.values() for found in file.sections]),
        files={included: file.source for included, file in files.items()},
        where=main.where,
        compiled=compiled,
        offsets={file.where: file.parts.offset for file in files.values()},
    )


def _check_inputs(where: str, front: FrontMatter, inputs: Mapping[str, InputSpec]) -> None:
    asked = front.examples.query if front.examples is not None else None
    for named in [asked] if isinstance(asked, str) else asked or ():
        if named not in (*inputs, "history"):
            raise TemplateSyntaxError(
                f"{where}: examples.query names {named!r}, which isn't an input; "
                f"{did_you_mean(named, inputs)}"
            )
    if taken := sorted(set(inputs) & set(SCOPE)):
        raise TemplateSyntaxError(
            f"{where}: inputs can't be named {', '.join(taken)}: templates use those"
        )


def _collect(
    name: str, above: tuple[str, ...], environment: PromptEnvironment, files: dict[str, _File],
    read: Read,
) -> None:  # fmt: skip
    """Read a template and all that it includes into `files`; raises TemplateError."""
    if name in above:
        circle = " -> ".join([*above[above.index(name) :], name])
        raise TemplateError(f"includes go in a circle: {circle}")
    if name in files:
        return
    source, where = read(name)
    parts = split_template(source, where)
    try:
        tree = environment.parse(parts.body, name, where)
        names = meta.find_undeclared_variables(tree)  # meets unknown filters and tests too
        sections = [
            (f"{where}:{line + parts.offset}", section) for line, section in sections_in(tree)
        ]
    except JinjaSyntaxError as error:
        line = error.lineno + parts.offset
        raise TemplateSyntaxError(f"{where}:{line}: {error.message}") from None
    except RecursionError:
        raise TemplateSyntaxError(f"{where}: an expression is nested too deeply") from None
    except (ValueError, OverflowError) as error:  # a number of thousands of digits, say
        raise TemplateSyntaxError(f"{where}: {error}") from None
    files[name] = _File(source, where, parts, tree, frozenset(names), sections)
    for line, included in _references(tree):
        place = f"{where}:{line + parts.offset}"
        if included is None:
            raise TemplateSyntaxError(
                f"{place}: include, import and extends need a name in quotes, "
                "so that all that belongs to a template is known"
            )
        try:
            _collect(included, (*above, name), environment, files, read)
        except TemplateSyntaxError:
            raise  # it says where already
        except TemplateError as error:
            if any(str(error).startswith(f"{file.where}:") for file in files.values()):
                raise
            raise type(error)(f"{place}: {error}") from None


class _Bodies(BaseLoader):
    """Gives Jinja the bodies of the files that were read as part of one template."""

    def __init__(self, files: Mapping[str, _File]) -> None:
        self.files = files

    def load(
        self, environment: Environment, name: str, globals: MutableMapping[str, Any] | None = None
    ) -> JinjaTemplate:
        if name not in self.files:
            raise JinjaNotFound(name)
        file = self.files[name]  # parsed already
        code = environment.compile(file.tree, name, file.where)
        return JinjaTemplate.from_code(environment, code, globals or {})


def _references(tree: nodes.Template) -> Iterator[tuple[int, str | None]]:
    """List (line, name) of what a body includes, imports or extends; None for a computed name."""
    kinds = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
    for node in tree.find_all(kinds):
        target = node.template  # type: ignore[attr-defined]
        constant = isinstance(target, nodes.Const) and isinstance(target.value, str)
        yield node.lineno, target.value if constant else None


def _places(file: _File) -> dict[str, str]:
    """Say where a file first reads each name."""
    lines: dict[str, int] = {}
    for node in file.tree.find_all(nodes.Name):
        if node.name in file.names and node.ctx == "load":
            lines[node.name] = min(node.lineno, lines.get(node.name, node.lineno))
    return {name: f"{file.where}:{line + file.parts.offset}" for name, line in lines.items()}


def _has_messages(tree: nodes.Template) -> bool:
    kept = any(node.name == KEEP for node in tree.find_all(nodes.Filter))
    return kept or any(
        node.identifier == MessageExtension.identifier
        for node in tree.find_all(nodes.ExtensionAttribute)
    )


def read_from(files: Mapping[str, str], title: str) -> Read:
    """Read from sources that were kept, the template's own first; `title` says whose they are."""
    own = next(iter(files))

    def read(name: str) -> tuple[str, str]:
        if name not in files:
            raise TemplateError(f"{title} holds no template {name!r}")
        return files[name], title if name == own else f"{name} in {title}"

    return read

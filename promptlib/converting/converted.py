"""What comes out of a conversion, and how it is written as a template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jinja2 import TemplateSyntaxError as JinjaSyntaxError
from jinja2 import meta

from promptlib.budget.models import encoding_of
from promptlib.errors import EncodingError, TemplateError
from promptlib.example import Example
from promptlib.templating.environment import PromptEnvironment
from promptlib.templating.template import SCOPE


@dataclass(frozen=True)
class Converted:
    """A template made from another tool's prompt."""

    name: str
    path: Path
    front: Mapping[str, Any]
    body: str
    examples: Sequence[Example] = ()
    left_out: tuple[str, ...] = ()
    """What couldn't be carried over, a sentence each."""
    notes: tuple[str, ...] = ()
    """What is different now."""

    def source(self, store: str | None = None) -> str:
        """Write the template's file; its examples are in this store."""
        front = dict(self.front)
        if store is not None:
            front["examples"] = {"store": store, **front.get("examples", {})}
        head = yaml.dump(
            front, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100,
            default_flow_style=None,
        )  # fmt: skip
        return f"---\n{head}---\n{self.body}" if front else self.body


@dataclass
class Leftovers:
    """Collects what can't be carried over."""

    said: list[str] = field(default_factory=list)

    def add(self, what: str, why: str = "") -> None:
        """Name something that is left out."""
        self.said.append(f"{what}: {why}" if why else what)

    def add_keys(self, values: Mapping[str, Any], known: Iterable[str], where: str = "") -> None:
        """Name all keys but those that are known."""
        for key in values:
            if key not in known:
                self.add(f"{where}{key}")


WHITE_SPACE = "a line with a tag alone leaves no line here, and messages are stripped"
"""What differs in all templates of ours."""


class _Plain(yaml.SafeDumper):
    """Writes YAML without references."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def undeclared(body: str) -> set[str]:
    """Name the variables that a body reads and doesn't set; raises TemplateError."""
    try:
        environment = PromptEnvironment()
        names = meta.find_undeclared_variables(environment.parse(body))
    except JinjaSyntaxError as error:
        raise TemplateError(f"its template can't be read: {error.message}") from None
    return names - {*SCOPE} - {*environment.globals}


def known_model(name: Any, left: Leftovers) -> dict[str, str]:
    """Give the front matter for a model, if its tokens can be counted."""
    if not isinstance(name, str) or not name:
        return {}
    try:
        encoding_of(name)
    except EncodingError:
        left.add(f"model {name}", "no tokenizer is known for it")
        return {}
    return {"model": name}


def template_name(name: str) -> str:
    """Make a template's name of another name."""
    made = re.sub(r"[^a-z0-9_/-]+", "-", name.strip().lower()).strip("-/")
    return made or "imported"

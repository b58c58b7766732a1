"""Rendering a template without a query: with empty inputs, with stand-ins, with a store's rows."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from promptlib.checking.sample import StoreSample
from promptlib.example import Example
from promptlib.rendering import count_rendered
from promptlib.settings import Settings
from promptlib.stability import StablePrefix, find_stable_prefix
from promptlib.templating.inputs import InputSpec
from promptlib.templating.template import Rendered, Template
from promptlib.templating.values import Anything

STAND_INS: dict[str | None, tuple[Any, Any]] = {
    "string": ("", "text"), "integer": (0, 1), "number": (0.0, 1.0), "boolean": (False, True),
    "list": ([], [Anything(text="text")]), "object": ({}, Anything(text="text")),
    "messages": ([], [{"role": "user", "content": "text"}]), None: ("", "text"),
}  # fmt: skip
"""Type of an input -> the shortest value, and one that looks like something."""

TALK = [{"role": role, "content": "text"} for role in ("user", "assistant", "user")]
"""A conversation that stands for any."""


@dataclass(frozen=True)
class Trial:
    """A template, its settings and a sample of its store."""

    template: Template
    settings: Settings
    sample: StoreSample | None

    def inputs(self, *, empty: bool) -> dict[str, Any]:
        """Make up inputs."""
        return {name: _stand_in(spec, empty) for name, spec in self.template.inputs.items()}

    def render(
        self, examples: Sequence[Example] = (), *, empty: bool = False, bare: bool = False,
        history: Sequence[Mapping[str, Any]] = (),
    ) -> Rendered:  # fmt: skip
        """Render with made-up inputs; `bare` leaves out all sections. Raises TemplateError."""
        sample = self.sample
        labels = sample.labels if sample is not None else ()
        sections = [section.name for section in self.template.sections] if bare else []
        return self.template.render(
            self.inputs(empty=empty), examples, labels=labels,
            candidate_labels=() if empty else labels[: self.settings.k],
            label_definitions=sample.label_definitions if sample is not None else {},
            static_examples=self.static, without=sections, history=history,
        )  # fmt: skip

    @cached_property
    def bare(self) -> Rendered:
        """What it renders to without examples and history; raises TemplateError."""
        return self.render()

    @cached_property
    def prefix(self) -> StablePrefix | None:
        """The stable prefix of that."""
        return self.stable_prefix()

    def count(self, rendered: Rendered) -> int:
        """Count tokens as a build would."""
        return count_rendered(rendered, self.settings)

    @property
    def static(self) -> Sequence[Example]:
        """The static examples; where they aren't chosen yet, any of the store's."""
        spec = self.template.front.examples
        if self.template.static or spec is None or spec.static is None or self.sample is None:
            return self.template.static
        return self.sample.drawn[: spec.static.k]

    def stable_prefix(self, only: Container[str] | None = None) -> StablePrefix | None:
        """Find the stable prefix of `bare`, where only these names change, if given."""
        template, sample, bare = self.template, self.sample, self.bare
        labels = sample.labels if sample is not None else ()
        scope = {name: template.data(value) for name, value in self.inputs(empty=False).items()}
        scope |= {
            "labels": template.data(labels),
            "candidate_labels": template.data(labels[: self.settings.k]),
            "label_definitions": template.data(sample.label_definitions if sample else {}),
            "static_examples": [template.example(example) for example in self.static],
            "examples": [], "history": [],
        }  # fmt: skip
        return find_stable_prefix(
            template, scope, frozenset(), bare, self.settings.counter, self.count(bare), only=only
        )  # fmt: skip


def _stand_in(spec: InputSpec, empty: bool) -> Any:
    if not spec.is_required:
        return spec.default
    if spec.enum:
        return spec.enum[0]
    return STAND_INS[spec.type][0 if empty else 1]

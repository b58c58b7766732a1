"""A file of cases beside a template: `intent.tests.yaml` for `intent.j2`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from promptlib.errors import TemplateError, did_you_mean
from promptlib.settings import Options
from promptlib.templating.folder import TemplateFolder, read_source
from promptlib.templating.frontmatter import load_yaml
from promptlib.templating.naming import SUFFIX, parse_reference
from promptlib.testing.assertions import Assertion, read_assertion
from promptlib.validation import Strict, problem_text

TESTS = ".tests.yaml"


class CaseSpec(Strict):
    """One case as it is written."""

    name: str
    inputs: dict[str, Any] = Field(default_factory=dict)
    history: list[Any] = Field(default_factory=list)
    options: dict[str, Any] = Field(default_factory=dict)
    """What `build` takes beside the inputs: store, k, budget, strategy ..."""
    prompt: list[Any] = Field(default_factory=list)
    """Assertions on the prompt: they need no model."""
    answer: list[Any] = Field(default_factory=list)
    """Assertions on the answer of a model."""

    @model_validator(mode="after")
    def _asserts_something(self) -> Self:
        if not self.prompt and not self.answer:
            raise ValueError("it asserts nothing: give it a list of prompt or answer assertions")
        return self


class SuiteSpec(Strict):
    """All that a file of cases can say."""

    model: str | None = None
    """Asked unless the caller names another."""
    cases: list[CaseSpec]


@dataclass(frozen=True)
class Case:
    """One case, its assertions read."""

    spec: CaseSpec
    line: int
    prompt: tuple[Assertion, ...]
    answer: tuple[Assertion, ...]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.spec.name


@dataclass(frozen=True)
class Suite:
    """The cases of a template."""

    template: str
    path: Path
    model: str | None
    cases: tuple[Case, ...]


def find_suites(folder: TemplateFolder) -> list[str]:
    """List the templates that have cases."""
    files = (file.relative_to(folder.path) for file in folder.path.rglob(f"*{TESTS}"))
    return sorted(file.as_posix().removesuffix(TESTS) for file in files)


def suite_path(folder: TemplateFolder, template: str) -> Path:
    """Say where the cases of a template are, whichever version is named."""
    file = folder.file(parse_reference(template).name)
    return file.with_name(file.name.removesuffix(SUFFIX) + TESTS)


def read_suite(folder: TemplateFolder, template: str) -> Suite:
    """Read the cases of a template; raises TemplateError that names file and line."""
    path = suite_path(folder, template)
    folder.read(parse_reference(template).name)  # says so where there is no such template
    if not path.is_file():
        raise TemplateError(
            f"template {template!r} has no cases: {path} isn't there; "
            f"{did_you_mean(template, find_suites(folder))}"
        )
    source = read_source(path)
    values = load_yaml(source, str(path))
    if not isinstance(values, Mapping):
        raise TemplateError(f"{path}:1: it must be `key: value` lines, with a list of cases")
    lines = _lines(source)
    try:
        spec = SuiteSpec.model_validate(values)
    except ValidationError as error:
        raise TemplateError(
            "\n".join(
                f"{path}:{_line(lines, p['loc'])}: {problem_text(p, _known(p['loc']))}"
                for p in error.errors()
            )
        ) from None
    seen: set[str] = set()
    cases = []
    for number, case in enumerate(spec.cases):
        line = _line(lines, ("cases", number))
        if case.name in seen:
            raise TemplateError(f"{path}:{line}: two cases are called {case.name!r}")
        seen.add(case.name)
        where = f"{path}:{line}: case {case.name!r}"
        for option in sorted({*case.options} - {*Options.__annotations__}):
            known = did_you_mean(option, Options.__annotations__)
            raise TemplateError(f"{where}: no option {option!r}; {known}")
        prompt = tuple(read_assertion(each, where, "prompt") for each in case.prompt)
        answer = tuple(read_assertion(each, where, "answer") for each in case.answer)
        cases.append(Case(case, line, prompt, answer))
    return Suite(template, path, spec.model, tuple(cases))


def _lines(source: str) -> list[int]:
    """Find the lines in which cases begin, by the YAML's own marks."""
    root = yaml.compose(source, yaml.SafeLoader)
    for key, value in getattr(root, "value", ()):
        if key.value == "cases" and isinstance(value, yaml.SequenceNode):
            return [node.start_mark.line + 1 for node in value.value]
    return []


def _line(lines: list[int], place: tuple[Any, ...]) -> int:
    if len(place) > 1 and place[0] == "cases" and isinstance(place[1], int):
        return lines[place[1]] if place[1] < len(lines) else 1
    return 1


def _known(place: tuple[Any, ...]) -> list[str]:
    return list((CaseSpec if len(place) > 1 else SuiteSpec).model_fields)

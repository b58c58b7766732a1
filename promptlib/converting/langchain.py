"""LangChain's prompt files: `_type: prompt` and `_type: few_shot`, in JSON or YAML.

The keys are those that `langchain_core.prompts.load_prompt` reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any

from promptlib.converting.converted import (
    Converted,
    Leftovers,
    template_name,
    undeclared,
)
from promptlib.errors import ExampleError, TemplateError
from promptlib.example import Example
from promptlib.templating.folder import read_source
from promptlib.templating.frontmatter import load_yaml
from promptlib.text import canonical_json, kind_of

SEPARATOR = "\n\n"
"""Between prefix, examples and suffix, where the file says nothing else."""

MOST_SHOWN = 16
"""A prompt shows all of its examples if there are no more than this."""


def convert_langchain(path: Path) -> Converted:
    """Read a prompt file; raises TemplateError for one that can't become a template."""
    config = _mapping(_load(path), path)
    kind = config.get("_type", "prompt")
    left = Leftovers()
    form = _form(config, path)
    parts = ("template",) if kind == "prompt" else ("prefix", "suffix")
    used = [v for part in parts for v in _variables(_template(config, part, path), form, path)]
    made: dict[str, Any] = {"inputs": _inputs(config, used, form, left)}
    notes: list[str] = []
    examples: list[Example] = []
    if kind == "prompt":
        if not {"template", "template_path"} & {*config}:
            raise TemplateError(f"{path}: there is no template in it; only files that load_prompt "
                                "reads can be imported")  # fmt: skip
        body = _jinja(_template(config, "template", path), form, {}, path)
        known = ["template", "template_path"]
    elif kind == "few_shot":
        body, examples, fields = _few_shot(config, path)
        k = len(examples) if len(examples) <= MOST_SHOWN else 8
        made["examples"] = {"k": k}
        asked = [name for name, spec in made["inputs"].items() if "default" not in spec]
        if len(made["inputs"]) > 1:
            made["examples"]["query"] = asked
        notes = [
            f"of an example, {', '.join(fields[:-1])} is the input and {fields[-1]} the output",
            f"the {k} examples nearest to the query are shown, the nearest last",
        ]
        known = ["prefix", "prefix_path", "suffix", "suffix_path", "example_prompt",
                 "example_prompt_path", "examples", "example_separator"]  # fmt: skip
    else:
        raise TemplateError(f"{path}: only prompts of _type prompt and few_shot can be imported, "
                            f"this is {kind!r}")  # fmt: skip
    always = ("_type", "input_variables", "partial_variables", "template_format", "input_types")
    left.add_keys(
        {key: value for key, value in config.items() if value not in (None, {}, [])},
        (*always, *known, "validate_template"),
    )
    return Converted(
        template_name(path.stem), path, made, body, examples, tuple(left.said), tuple(notes)
    )


def _few_shot(config: Mapping[str, Any], path: Path) -> tuple[str, list[Example], list[str]]:
    """Read body, examples and the names of their fields."""
    form = _form(config, path)
    if "example_prompt_path" in config:
        one = _mapping(_load(_inside(path, config["example_prompt_path"])), path)
    else:
        one = _mapping(config.get("example_prompt"), path)
    shape, one_form = _template(one, "template", path), _form(one, path)
    fields = _fields(shape, one_form, one, path)
    rows = config.get("examples")
    rows = _load(_inside(path, rows)) if isinstance(rows, str) else rows
    if not isinstance(rows, list) or not rows:
        raise TemplateError(f"{path}: examples must be a list, or the path of one")
    examples = [_example(row, fields, number, path) for number, row in enumerate(rows, start=1)]
    names = _names(fields)
    separator = config.get("example_separator", SEPARATOR)
    prefix = _jinja(_template(config, "prefix", path), form, {}, path)
    suffix = _jinja(_template(config, "suffix", path), form, {}, path)
    shown = _jinja(shape, one_form, names, path)
    between = _as_text(separator)
    if not suffix:
        between = f"{{%+ if not loop.last %}}\n{between}{{%+ endif %}}\n"
    body = (f"{prefix}{_as_text(separator)}" if prefix else "") + (
        f"{{%+ for example in examples %}}\n{shown}{between}{{%+ endfor %}}\n{suffix}"
    )
    return body, examples, fields


def _fields(shape: str, form: str, one: Mapping[str, Any], path: Path) -> list[str]:
    """Name an example's fields in the order in which they are shown; the last is the output."""
    named = _variables(shape, form, path)
    declared = one.get("input_variables")
    fields = list(dict.fromkeys([*named, *(declared if isinstance(declared, list) else ())]))
    if len(fields) < 2:
        raise TemplateError(f"{path}: its examples show one field, {', '.join(fields) or 'none'}: "
                            "promptlib's have an input and an output")  # fmt: skip
    return fields


def _variables(text: str, form: str, path: Path) -> list[str]:
    """Name the variables of a text in the order in which they are shown."""
    if form == "f-string":
        return list(dict.fromkeys(name for _, name in _parsed(text, path) if name is not None))
    free = undeclared(text)
    return sorted(free, key=lambda name: text.find(name))


def _names(fields: Sequence[str]) -> dict[str, str]:
    """Say where each field is found in an example of ours."""
    *asked, answer = fields
    if len(asked) == 1:
        return {asked[0]: "example.input", answer: "example.output"}
    return {**{name: f"example.input.{name}" for name in asked}, answer: "example.output"}


def _example(row: Any, fields: Sequence[str], number: int, path: Path) -> Example:
    if not isinstance(row, Mapping) or (missing := [f for f in fields if f not in row]):
        lacks = f"lacks {', '.join(missing)}" if isinstance(row, Mapping) else "isn't an object"
        raise TemplateError(f"{path}: example {number} {lacks}")
    *asked, answer = fields
    said = {name: _plain(row[name]) for name in asked}
    metadata = {name: value for name, value in row.items() if name not in fields}
    try:
        return Example(
            said[asked[0]] if len(asked) == 1 else said, _plain(row[answer]), metadata=metadata
        )
    except ExampleError as error:
        raise TemplateError(f"{path}: example {number}: {error}") from None


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _inputs(
    config: Mapping[str, Any], used: Sequence[str], form: str, left: Leftovers
) -> dict[str, Any]:
    """Read the inputs: those that are declared, and others that the text uses."""
    inputs: dict[str, Any] = {}
    for name in dict.fromkeys([*(config.get("input_variables") or ()), *used]):
        if isinstance(name, str) and name.isidentifier():
            inputs[name] = {"type": "string" if form == "f-string" else None}
        else:
            left.add(f"input {name}", "a name is letters, digits and _")
    partial = config.get("partial_variables")
    for name, value in partial.items() if isinstance(partial, Mapping) else ():
        inputs[name] = {"type": "string", "default": _plain(value)}
    return inputs


def _jinja(text: str, form: str, names: Mapping[str, str], path: Path) -> str:
    """Write a template of theirs as Jinja2; `names` says what its variables are called."""
    if form == "jinja2":
        sets = "".join(f"{{% set {name} = {ours} %}}\n" for name, ours in names.items())
        return sets + text
    made, literal = "", ""
    for said, name in _parsed(text, path):
        literal += said
        if name is not None:
            made += f"{_as_text(literal)}{{{{ {names.get(name, name)} }}}}"
            literal = ""
    return made + _as_text(literal)


def _parsed(text: str, path: Path) -> Iterator[tuple[str, str | None]]:
    """Take an f-string template apart: (literal text, name of the variable behind it)."""
    try:
        for literal, name, spec, conversion in Formatter().parse(text):
            if name is not None and (not name.isidentifier() or spec or conversion):
                raise TemplateError(f"{path}: {{{name}}} has a format or a path, which can't be "
                                    "carried over: give the plain variable")  # fmt: skip
            yield literal, name
    except ValueError as error:
        raise TemplateError(f"{path}: not an f-string template: {error}") from None


def _as_text(literal: str) -> str:
    """Write text so that Jinja sees no tag in it, nor in what is put behind it."""
    return re.sub(r"\{(?=[{%#])|\{\Z", '{{ "{" }}', literal)


def _form(config: Mapping[str, Any], path: Path) -> str:
    form = config.get("template_format", "f-string")
    if form not in ("f-string", "jinja2"):
        raise TemplateError(f"{path}: its format is {form}: only f-string and jinja2 are imported")
    return str(form)


def _template(config: Mapping[str, Any], key: str, path: Path) -> str:
    """Read a text that stands in the file or in one beside it."""
    beside = config.get(f"{key}_path")
    if isinstance(beside, str):
        return read_source(_inside(path, beside))
    text = config.get(key, "")
    if not isinstance(text, str):
        raise TemplateError(f"{path}: {key} must be text, not {kind_of(text)}")
    return text


def _inside(path: Path, beside: Any) -> Path:
    """Find a file that another one names; it may not lie outside its folder."""
    if not isinstance(beside, str):
        raise TemplateError(f"{path}: a path must be text, not {kind_of(beside)}")
    found = (path.parent / beside).resolve()
    if not found.is_relative_to(path.parent.resolve()):
        raise TemplateError(f"{path}: {beside} lies outside its folder")
    return found


def _load(path: Path) -> Any:
    text = read_source(path)
    if path.suffix != ".json":
        return load_yaml(text, str(path))
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TemplateError(f"{path}: not JSON: {error}") from None


def _mapping(value: Any, path: Path) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TemplateError(f"{path}: a prompt must be an object, not {kind_of(value)}")
    return value

"""Prompty files, by the specification of version 2 (github.com/microsoft/prompty, spec/spec.md).

The keys that version 1 called otherwise (`type`, `sample`, `model.configuration`, `parameters`) are
read too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from promptlib.converting.converted import (
    WHITE_SPACE,
    Converted,
    Leftovers,
    known_model,
    template_name,
    undeclared,
)
from promptlib.converting.roles import with_messages
from promptlib.errors import TemplateError
from promptlib.templating.folder import read_source
from promptlib.templating.frontmatter import load_yaml

KINDS = {
    "string": "string", "integer": "integer", "float": "number", "number": "number",
    "boolean": "boolean", "array": "list", "list": "list", "object": "object",
}  # fmt: skip
"""Prompty's kinds of inputs (section 2.7), and version 1's types, as ours."""

_FRONT = re.compile(
    r"\A\s*(?:---|\+\+\+)[ \t]*\n(.*?)^(?:---|\+\+\+)[ \t]*\n?(.*)", re.DOTALL | re.MULTILINE
)
_REFERENCE = re.compile(r"\$\{(?:env|file):", re.IGNORECASE)


def convert_prompty(path: Path) -> Converted:
    """Read a .prompty file; raises TemplateError for one that can't become a template."""
    front, body = _split(path, read_source(path))
    left = Leftovers()
    _check_format(path, front.get("template"))
    inputs, thread = _inputs(front, left)
    made: dict[str, Any] = {}
    if isinstance(front.get("description"), str):
        made["description"] = front["description"]
    made |= _model(front.get("model"), left)
    known = ("name", "description", "model", "inputs", "template")
    left.add_keys(front, known)
    try:
        text, conversations = with_messages(body, thread, left)
    except TemplateError as error:
        raise TemplateError(f"{path}: {error}") from None
    notes = [f"the input {thread} is the history of a build now"] if thread else []
    notes += [WHITE_SPACE] if "{%" in text else []
    try:
        for name in sorted(undeclared(text) - {*inputs}):
            inputs[name] = {"type": None}
            notes.append(f"the body uses {name}, which isn't declared: it is an input of any type")
    except TemplateError as error:
        raise TemplateError(f"{path}: {error}") from None
    for shown in conversations & {*inputs}:
        inputs[shown]["type"] = "messages"
    if inputs:
        made["inputs"] = inputs
    for image in re.findall(r"!\[[^\]\n]*\]\([^)\n]*\)", text):
        left.add(f"the image {image}", "it is text now")
    said = front.get("name")
    name = said if isinstance(said, str) else path.stem
    return Converted(
        template_name(name), path, made, text, left_out=tuple(left.said), notes=tuple(notes)
    )


def _split(path: Path, source: str) -> tuple[dict[str, Any], str]:
    if not source.lstrip().startswith(("---", "+++")):
        return {}, source
    match = _FRONT.match(source)
    if match is None:
        raise TemplateError(f"{path}: the front matter has no end")
    front = load_yaml(match[1], str(path), first=2)
    if not isinstance(front or {}, dict):
        raise TemplateError(f"{path}: the front matter must be `key: value` lines")
    return front or {}, match[2]


def _check_format(path: Path, template: Any) -> None:
    form = template.get("format", "jinja2") if isinstance(template, Mapping) else template
    kind = form.get("kind", "jinja2") if isinstance(form, Mapping) else form or "jinja2"
    if kind != "jinja2":
        raise TemplateError(f"{path}: its template is {kind}: only jinja2 can be imported")


def _model(model: Any, left: Leftovers) -> dict[str, Any]:
    if not isinstance(model, Mapping):
        return known_model(model, left)
    old = model.get("configuration")
    configuration: Mapping[str, Any] = old if isinstance(old, Mapping) else {}
    names = (model.get("id"), configuration.get("model"), configuration.get("azure_deployment"))
    if (kind := model.get("apiType", model.get("api", "chat"))) not in ("chat", "responses"):
        left.add(f"model.apiType {kind}", "templates are for conversations")
    made: dict[str, Any] = known_model(next((n for n in names if n), None), left)
    options = model.get("options") or model.get("parameters") or {}
    if isinstance(options, Mapping):
        most = options.get("maxOutputTokens", options.get("max_tokens"))
        if isinstance(most, int) and most > 0:
            made["budget"] = {"reserve": most}
        left.add_keys(options, ("maxOutputTokens", "max_tokens"), "model.options.")
    left.add_keys(
        model, ("id", "configuration", "options", "parameters", "apiType", "api"), "model."
    )
    left.add_keys(configuration, ("model", "azure_deployment", "type"), "model.configuration.")
    return made


def _inputs(front: Mapping[str, Any], left: Leftovers) -> tuple[dict[str, Any], str | None]:
    """Read the inputs, and which of them holds the conversation."""
    inputs: dict[str, Any] = {}
    thread: str | None = None
    for name, said in _properties(front.get("inputs")):
        kind = said.get("kind", said.get("type", "string"))
        if kind == "thread" and thread is None:
            thread = name
        elif kind not in KINDS or not name.isidentifier():
            left.add(f"input {name}", f"its kind is {kind}")
        else:
            inputs[name] = _input(name, KINDS[kind], said, left)
    sample = front.get("sample")
    for name, value in sample.items() if isinstance(sample, Mapping) else ():
        if name not in inputs and isinstance(name, str) and name.isidentifier():
            inputs[name] = {"type": KINDS[_kind_of(value)]}
    return inputs, thread


def _properties(inputs: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Go through the inputs in any of the forms that they have."""
    if isinstance(inputs, list):
        for each in inputs:
            if isinstance(each, Mapping) and isinstance(each.get("name"), str):
                yield each["name"], dict(each)
    elif isinstance(inputs, Mapping):
        for name, each in inputs.items():
            is_property = isinstance(each, Mapping) and ("kind" in each or "type" in each)
            if is_property or (isinstance(each, Mapping) and "description" in each):
                yield str(name), dict(each)
            elif each is None:
                yield str(name), {"kind": "string"}
            else:
                yield str(name), {"kind": _kind_of(each), "default": each}


def _input(name: str, kind: str, said: Mapping[str, Any], left: Leftovers) -> dict[str, Any]:
    made: dict[str, Any] = {"type": kind}
    if isinstance(said.get("description"), str):
        made["description"] = said["description"]
    default = said.get("default")
    if isinstance(default, str) and _REFERENCE.search(default):
        left.add(f"the default of input {name}", "references are not resolved")
    elif default is not None:
        made["default"] = default
    elif said.get("required") is False:
        made["required"] = False
    if said.get("enumValues"):
        made["enum"] = said["enumValues"]
    known = ("name", "kind", "type", "description", "default", "required", "enumValues")
    left.add_keys(said, known, f"inputs.{name}.")
    return made


def _kind_of(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "float", list: "array", dict: "object"}
    return kinds.get(type(value), "string")

"""Which language models can be asked here, and what the others still need."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec as find_package
from typing import Any

from promptlib.errors import ConfigError, PromptlibError
from promptlib.models.places import find_place
from promptlib.models.spec import DEFAULT_LOCAL, KINDS, ModelSpec, find_spec


@dataclass(frozen=True)
class Listed:
    """A model by the name that it goes by."""

    name: str
    model: str
    where: str
    needs: str
    """What it takes before it can be asked; empty when nothing does."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {**vars(self)}


def list_models(table: Mapping[str, ModelSpec], project_model: str | None = None) -> list[Listed]:
    """List the models of a project's table, its own model, and the local one."""
    specs = dict(table)
    specs.setdefault(DEFAULT_LOCAL, ModelSpec(model=DEFAULT_LOCAL))
    if project_model is not None and project_model not in specs:
        with suppress(ConfigError):  # one that prompts are counted for, and can't be asked
            specs[project_model] = find_spec(project_model, table)
    return [
        Listed(name, spec.model, spec.base_url or KINDS[spec.kind], _needs(spec))
        for name, spec in specs.items()
    ]


def _needs(spec: ModelSpec) -> str:
    if spec.kind == "openai":
        key = spec.api_key_env or (None if spec.base_url else "OPENAI_API_KEY")
        return f"{key} in the environment" if key and not os.environ.get(key) else ""
    needed = {"llm": "llm", "local": "gguf" if spec.name.endswith(".gguf") else "transformers"}
    if find_package(needed[spec.kind]) is None:
        return f"pip install 'promptlib[{spec.kind}]'"
    if spec.kind == "llm" or spec.name.endswith(".gguf"):
        return ""
    try:
        find_place(spec.name)
    except PromptlibError as error:
        return str(error)
    return ""

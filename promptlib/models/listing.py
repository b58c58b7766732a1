"""Which language models can be asked here, and what the others still need."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from promptlib.errors import PromptlibError
from promptlib.models.places import find_place
from promptlib.models.spec import DEFAULT_LOCAL, KINDS, ModelSpec


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
        specs[project_model] = ModelSpec(model=f"openai:{project_model}")
    return [
        Listed(name, spec.model, spec.base_url or KINDS[spec.kind], _needs(spec))
        for name, spec in specs.items()
    ]


def _needs(spec: ModelSpec) -> str:
    if spec.kind == "openai":
        key = spec.api_key_env or (None if spec.base_url else "OPENAI_API_KEY")
        return f"{key} in the environment" if key and not os.environ.get(key) else ""
    if find_spec("llm" if spec.kind == "llm" else "gguf") is None:
        return f"pip install 'promptlib[{spec.kind}]'"
    if spec.kind == "llm":
        return ""
    try:
        find_place(spec.name)
    except PromptlibError as error:
        return str(error)
    return ""

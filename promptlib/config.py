"""promptlib.toml: where a project keeps its things."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from promptlib.embedding.embedder import Precision
from promptlib.embedding.source import DEFAULT_MODEL
from promptlib.errors import ConfigError
from promptlib.index.recall import RECALL
from promptlib.models.spec import ModelSpec
from promptlib.validation import Strict, problem_text

CONFIG_FILE = "promptlib.toml"
BUNDLE_FACTS = "bundle.json"
"""What a folder that was bundled has, beside its promptlib.toml."""

STARTER_CONFIG = f'''\
templates = "templates"
example_stores = "example_stores"
database = "sqlite:///.promptlib/promptlib.db"   # PROMPTLIB_DATABASE overrides
model = "gpt-4o-mini"                            # the language model prompts are for

[embedder]
model = "{DEFAULT_MODEL}"
precision = "fp32"
'''


ProjectProgress = Callable[[str, int, int], None]
"""Called with (what is going on, done, total) during long work."""


class EmbedderConfig(Strict):
    """Which model embeds examples and queries."""

    model: Annotated[str, Field(min_length=1)] = DEFAULT_MODEL
    precision: Precision = "fp32"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    """Numbers that are kept of each vector, for models that put what matters first."""


class IndexConfig(Strict):
    """How the indexes of stores search."""

    recall: Annotated[float, Field(gt=0, le=1)] = RECALL
    """Share of the 10 nearest rows that a search of a large store must find."""


class ProjectConfig(Strict):
    """All that promptlib.toml can say."""

    templates: str = "templates"
    example_stores: str = "example_stores"
    database: str = "sqlite:///.promptlib/promptlib.db"
    model: str | None = None
    encoding: str | None = None
    usage: bool = False
    embedder: EmbedderConfig = Field(default_factory=EmbedderConfig)
    index: IndexConfig = Field(default_factory=IndexConfig)
    models: dict[str, ModelSpec] = Field(default_factory=dict)
    """Language models that can be asked, by a name of your own."""


def config_text(config: ProjectConfig) -> str:
    """Write a configuration as promptlib.toml has it."""
    values = config.model_dump(exclude_none=True, exclude={"models"})
    tables = {name: value for name, value in values.items() if isinstance(value, dict)}
    lines = [f"{name} = {_toml(value)}" for name, value in values.items() if name not in tables]
    for name, spec in config.models.items():
        tables[f"models.{_toml(name)}"] = spec.model_dump(exclude_defaults=True)
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def find_project(start: Path) -> Path:
    """Find the folder with a promptlib.toml: this one or the nearest above; raises ConfigError."""
    start = start.expanduser().resolve()
    for folder in (start, *start.parents):
        if (folder / CONFIG_FILE).is_file():
            return folder
    raise ConfigError(f"no {CONFIG_FILE} in {start} or above it; make one with: promptlib init")


def read_config(root: Path) -> ProjectConfig:
    """Read a project's promptlib.toml; raises ConfigError that names what is wrong."""
    path = root / CONFIG_FILE
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"can't read {path}: {error.strerror}") from None
    try:
        return ProjectConfig.model_validate(values)
    except ValidationError as error:
        problems = (f"{path}: {problem_text(p, _known_keys(p))}" for p in error.errors())
        raise ConfigError("\n".join(problems)) from None


def _toml(value: str | float | bool) -> str:
    return json.dumps(value, ensure_ascii=False)  # a TOML basic string escapes as JSON does


def _known_keys(problem: Any) -> list[str]:
    first, *rest = problem["loc"]
    if not rest:
        return list(ProjectConfig.model_fields)
    tables: dict[str, type[Strict]] = {
        "models": ModelSpec,
        "embedder": EmbedderConfig,
        "index": IndexConfig,
    }
    return list(tables[first].model_fields)

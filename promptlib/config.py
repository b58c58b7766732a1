"""promptlib.toml: where a project keeps its things."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from promptlib.embedding.source import DEFAULT_MODEL
from promptlib.errors import ConfigError, did_you_mean

CONFIG_FILE = "promptlib.toml"

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


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EmbedderConfig(_Strict):
    """Which model embeds examples and queries."""

    model: Annotated[str, Field(min_length=1)] = DEFAULT_MODEL
    precision: Literal["fp32"] = "fp32"


class ProjectConfig(_Strict):
    """All that promptlib.toml can say."""

    templates: str = "templates"
    example_stores: str = "example_stores"
    database: str = "sqlite:///.promptlib/promptlib.db"
    model: str | None = None
    embedder: EmbedderConfig = Field(default_factory=EmbedderConfig)


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
        problems = "\n".join(f"{path}: {_problem(p)}" for p in error.errors())
        raise ConfigError(problems) from None


def _problem(problem: Any) -> str:
    *parents, key = [str(part) for part in problem["loc"]]
    path = ".".join([*parents, key])
    if problem["type"] == "extra_forbidden":
        known = (EmbedderConfig if parents else ProjectConfig).model_fields
        return f"unknown key {path!r}; {did_you_mean(key, known)}"
    message = problem["msg"]
    return f"{path}: {message[0].lower()}{message[1:]}, not {problem['input']!r}"

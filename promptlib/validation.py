"""What people write, checked by pydantic, and its findings in our words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict

from promptlib.errors import did_you_mean


class Strict(BaseModel):
    """A frozen model that takes no unknown keys and converts nothing."""

    # Built when first used: a process that reads no test file, say, needs no model of one.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


def problem_text(problem: Any, known_keys: Iterable[str]) -> str:
    """Put one of `ValidationError.errors()` into words; `known_keys` are those of its place."""
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {path!r}; {did_you_mean(str(problem['loc'][-1]), known_keys)}"
    if problem["type"] == "value_error":  # one of our own, in words
        return ": ".join(filter(None, [path, str(problem["ctx"]["error"])]))
    message = re.sub(r" or instance of \w+", "", problem["msg"])
    return f"{path}: {message[0].lower()}{message[1:]}, not {problem['input']!r}"

"""Rows as other tools write them, and how they become rows of ours, and back.

Field names are those of the tools' own exports: OpenAI's chat format for fine-tuning, ShareGPT's
conversations, Alpaca's instructions, Argilla's records, and Label Studio's tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from promptlib.errors import ConfigError, did_you_mean
from promptlib.example import Example
from promptlib.files.annotated import (
    read_argilla,
    read_label_studio,
    write_argilla,
    write_label_studio,
)
from promptlib.files.chats import (
    read_alpaca,
    read_chat,
    read_sharegpt,
    write_alpaca,
    write_chat,
    write_sharegpt,
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """One way of writing rows."""

    fits: Callable[[Mapping[str, Any]], bool]
    """Whether a row is written so."""
    read: Callable[[Mapping[str, Any]], Row]
    """Make it a row of ours; raises ExampleError."""
    write: Callable[[Example], Row]
    """Write an example so; raises ExampleError for what can't be said in it."""


def shape_named(name: str) -> Shape:
    """Find a shape; raises ConfigError."""
    if name not in SHAPES:
        raise ConfigError(f"no shape {name!r}; {did_you_mean(name, SHAPES)}")
    return SHAPES[name]


def shape_of(fields: Mapping[str, Any]) -> Shape | None:
    """Tell by a row how it is written; None where it is a row of ours, or unknown."""
    if "input" in fields and "instruction" not in fields:
        return None
    return next((shape for shape in SHAPES.values() if shape.fits(fields)), None)


SHAPES: Mapping[str, Shape] = {
    "openai": Shape(lambda f: isinstance(f.get("messages"), list), read_chat, write_chat),
    "sharegpt": Shape(
        lambda f: isinstance(f.get("conversations"), list), read_sharegpt, write_sharegpt
    ),
    "alpaca": Shape(lambda f: "instruction" in f and "output" in f, read_alpaca, write_alpaca),
    "argilla": Shape(
        lambda f: isinstance(f.get("fields"), Mapping) and ("responses" in f or "suggestions" in f),
        read_argilla,
        write_argilla,
    ),
    "label-studio": Shape(
        lambda f: isinstance(f.get("data"), Mapping) and ("annotations" in f or "predictions" in f),
        read_label_studio,
        write_label_studio,
    ),
}
"""Name -> shape."""

"""What a store knows of itself: `store.toml`, and what was decided at the first import."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from promptlib.errors import ConfigError, StoreError, did_you_mean
from promptlib.example import Example

KEYS = ("description", "label", "language", "license", "source")


@dataclass(frozen=True)
class StoreSettings:
    """Describes a store.

    `label` says where the label of a row is that has none of its own: "output", or the name of a
    metadata field; "" means nowhere, None that it isn't decided yet.
    """

    description: str = ""
    label: str | None = None
    language: str = ""
    license: str = ""
    source: str = ""

    @classmethod
    def from_toml(cls, path: Path) -> StoreSettings:
        """Read a `store.toml`; a file that isn't there says nothing. Raises ConfigError."""
        if not path.is_file():
            return cls()
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from None
        for key, value in values.items():
            if key not in KEYS:
                raise ConfigError(f"{path}: unknown key {key!r}; {did_you_mean(key, KEYS)}")
            if not isinstance(value, str):
                raise ConfigError(f"{path}: {key} must be text, not {value!r}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as they are kept in the database."""
        return asdict(self)

    def label_of(self, example: Example) -> str | None:
        """Find the label in effect: the example's own, or what `label` points at."""
        if example.label is not None or not self.label:
            return example.label
        value = example.output if self.label == "output" else example.metadata.get(self.label)
        return value if isinstance(value, str) else None


def guess_label_field(examples: Sequence[Example]) -> str:
    """Decide where labels are: in the outputs, where short ones repeat; else nowhere ("")."""
    outputs = [e.output for e in examples if e.output is not None and e.label is None]
    texts = [o for o in outputs if isinstance(o, str) and len(o) <= 100]
    repeats = len(texts) == len(outputs) > 0 and len(set(texts)) * 2 <= len(texts)
    return "output" if repeats else ""


def check_name(name: str) -> None:
    """Refuse names that can't be a folder's; raises StoreError."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise StoreError(f"{name!r} can't be a store's name: use letters, digits, '.', '_' and '-'")

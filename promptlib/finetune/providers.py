"""Who trains which models, from what data, and until when (data/finetune/providers.toml)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent.parent / "data" / "finetune" / "providers.toml"


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One offer of training, as of `checked`."""

    name: str
    trains: str
    open_weights: bool
    formats: tuple[str, ...]
    source: str
    advised_rows: int
    min_rows: int = 0
    max_rows: int | None = None
    max_row_tokens: int | None = None
    max_file_bytes: int | None = None
    max_validation_rows: int | None = None
    roles_alternate: bool = False
    ends: date | None = None
    """Last day for new jobs, where one is announced."""
    note: str = ""

    def is_open(self, on: date) -> bool:
        """Whether it takes new jobs."""
        return self.ends is None or on <= self.ends

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        ends = self.ends.isoformat() if self.ends else None
        return {**vars(self), "formats": list(self.formats), "ends": ends}


@dataclass(frozen=True)
class Caching:
    """How a provider caches prefixes."""

    minimum: int
    """Tokens."""
    minutes: float
    source: str


@cache
def _data() -> Mapping[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def checked() -> date:
    """Say when the list was last held against what providers say."""
    found: date = _data()["checked"]
    return found


@cache
def providers() -> tuple[Provider, ...]:
    """List the offers, open weights first."""
    rows = (Provider(**{**row, "formats": tuple(row["formats"])}) for row in _data()["provider"])
    return tuple(sorted(rows, key=lambda provider: not provider.open_weights))


def caching(provider: str) -> Caching | None:
    """Look up how a provider caches, by the name that genai-prices gives it."""
    found = _data()["caching"].get(provider)
    return Caching(**found) if found else None


def offer_rows() -> tuple[list[str], list[list[Any]]]:
    """Give heads and rows of a table of the offers."""
    heads = ["offer", "trains", "formats", "rows", "last day", "source"]
    rows: list[list[Any]] = [
        [
            offer.name, offer.trains, ", ".join(offer.formats), _limits(offer),
            offer.ends.isoformat() if offer.ends else "", offer.source,
        ]
        for offer in providers()
    ]  # fmt: skip
    return heads, rows


def _limits(offer: Provider) -> str:
    if offer.max_rows is not None:
        return f"{offer.min_rows:,} to {offer.max_rows:,}"
    return f"from {offer.min_rows:,}" if offer.min_rows else "no limit found"

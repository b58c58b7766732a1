"""A small sample of everyday English, to hold a store's texts against (data/curation)."""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "data" / "curation" / "general.txt"


def general_texts() -> list[str]:
    """Read the sample: a thousand sentences."""
    return FILE.read_text(encoding="utf-8").splitlines()

"""Compiled models in the user's cache, and which source each was made of."""

from __future__ import annotations

import json
import os
from pathlib import Path

from promptlib.embedding.embedder import Precision
from promptlib.embedding.onnx import OnnxEmbedder
from promptlib.embedding.source import ModelSource

FORMAT = 4
"""Of what a folder of the cache holds: a model in another one is compiled anew."""


def cache_folder() -> Path:
    """Say where compiled models are kept: PROMPTLIB_CACHE, or the user's cache folder."""
    if chosen := os.environ.get("PROMPTLIB_CACHE"):
        return Path(chosen) / "embedders"
    from platformdirs import user_cache_path

    return user_cache_path("promptlib") / "embedders"


def compiled(
    source: ModelSource, cache: Path, precision: Precision = "fp32"
) -> OnnxEmbedder | None:
    """Open the compiled form of a model if the cache has it whole."""
    try:
        folder = cache / note_of(source, cache, precision).read_text()
        facts = json.loads((folder / "embedder.json").read_text(encoding="utf-8"))
        whole = all((folder / name).stat().st_size == n for name, n in facts["sizes"].items())
        if whole and facts["format"] == FORMAT:
            return OnnxEmbedder(folder)
    except (OSError, ValueError, KeyError):
        pass  # not there, or not whole: it will be compiled
    return None


def note_of(source: ModelSource, cache: Path, precision: Precision) -> Path:
    """Say where the cache remembers which compiled model a source gave."""
    return cache / "sources" / f"{source.stamp()}-{precision}"

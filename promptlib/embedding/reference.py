"""A model run by sentence-transformers itself: what a compiled one is checked against."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from promptlib.embedding.embedder import Kind, Vectors, unit_rows
from promptlib.embedding.source import model_files

VOLATILE = ("transformers_version", "dtype", "torch_dtype")
"""Keys of a config that say who saved it, not what it computes."""


class TorchEmbedder:
    """A sentence-transformers model on PyTorch: slower to load and to run than a compiled one."""

    def __init__(self, folder: Path) -> None:
        with quiet():
            from sentence_transformers import SentenceTransformer

            self.model: Any = SentenceTransformer(
                str(folder), device="cpu", local_files_only=True
            ).eval()
        self.dim: int = self.model.get_embedding_dimension()
        self.max_tokens: int = self.model.max_seq_length or 512
        self.prompts: dict[str, str] = dict(self.model.prompts or {})
        self.fingerprint = _fingerprint(folder, self.max_tokens, self.prompts)

    def embed(self, texts: Sequence[str], *, kind: Kind = "document") -> Vectors:
        """Embed texts; returns float32 (n, dim), unit rows."""
        vectors = self.model.encode(
            list(texts), prompt=self.prompts.get(kind) or None, show_progress_bar=False
        )
        return unit_rows(np.asarray(vectors).reshape(len(texts), self.dim))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries below from talking to the user: their news is about themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging as transformers_logging

        loud = transformers_logging.is_progress_bar_enabled()
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            if loud:
                transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _fingerprint(folder: Path, max_tokens: int, prompts: dict[str, str]) -> str:
    """Hash everything between a text and its vector; never a name or a path."""
    facts: dict[str, Any] = {"max_tokens": max_tokens, "prompts": prompts, "precision": "fp32"}
    for path in model_files(folder):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".json" and path.name != "tokenizer.json":
            facts[name] = _settled(json.loads(path.read_text(encoding="utf-8")))
        else:
            with path.open("rb") as file:
                facts[name] = hashlib.file_digest(file, "sha256").hexdigest()
    canonical = json.dumps(facts, sort_keys=True).encode()
    return hashlib.sha256(canonical).hexdigest()[:32]


def _settled(config: Any) -> Any:
    if not isinstance(config, dict):
        return config
    return {k: v for k, v in config.items() if k not in VOLATILE and not k.startswith("_")}

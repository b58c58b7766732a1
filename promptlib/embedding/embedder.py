"""What an embedder is, and the small one that needs no model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Kind = Literal["document", "query"]
Progress = Callable[[int, int], None]
"""Called with (done, total) while long work goes on."""


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into unit vectors.

    `fingerprint` names the whole function from text to vector (weights, tokenizer, pooling,
    prompts, length, precision): two embedders with the same one are interchangeable.
    """

    @property
    def fingerprint(self) -> str:
        """What tells this function from all others."""
        ...

    @property
    def dim(self) -> int:
        """The number of columns of a vector."""
        ...

    def embed(
        self, texts: Sequence[str], *, kind: Kind = "document", progress: Progress | None = None
    ) -> Vectors:
        """Embed texts; returns float32 (n, dim) with rows of length 1."""
        ...


class HashingEmbedder:
    """Words hashed into signed buckets (Weinberger et al. 2009, "Feature Hashing").

    It knows words, not meaning: quick, exact and the same everywhere. Good for tests, and for
    stores whose queries repeat the words of the examples.
    """

    def __init__(self, dim: int = 256) -> None:
        self.dim = dim
        self.fingerprint = f"hashing-1-{dim}"

    def embed(
        self, texts: Sequence[str], *, kind: Kind = "document", progress: Progress | None = None
    ) -> Vectors:
        """Embed texts; a text without words gets the first unit vector."""
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in re.findall(r"\w+", text.casefold()):
                number = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest())
                row[number % self.dim] += 1.0 if number >> 63 else -1.0
            if not row.any():
                row[0] = 1.0
        if progress is not None:
            progress(len(texts), len(texts))
        return unit_rows(vectors)


def unit_rows(vectors: NDArray[np.floating]) -> Vectors:
    """Scale rows to length 1, in float32."""
    rows: Vectors = np.asarray(vectors, dtype=np.float32)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(min=1e-12)
    return rows

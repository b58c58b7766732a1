"""What an embedder is, and the small one that needs no model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Kind = Literal["document", "query"]
Precision = Literal["fp32", "int8"]
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

    def embed(self, texts: Sequence[str], *, kind: Kind = "document") -> Vectors:
        """Embed texts; returns float32 (n, dim) with rows of length 1."""
        ...


def similarity_by(embedder: Embedder) -> Callable[[str, str], float]:
    """Give the function that embeds two texts and takes their cosine."""

    def similarity(one: str, other: str) -> float:
        first, second = embedder.embed([one, other])
        return float(np.dot(first, second))

    return similarity


@dataclass(frozen=True)
class Coverage:
    """How much of some texts an embedder reads."""

    texts: int = 0
    longer: int = 0
    """Texts that are longer than it reads: the rest of them plays no part in retrieval."""
    tokens: int = 0
    """Of texts whose tokens could be looked at."""
    unknown: int = 0
    """Tokens that its vocabulary doesn't have."""

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(
            self.texts + other.texts, self.longer + other.longer,
            self.tokens + other.tokens, self.unknown + other.unknown,
        )  # fmt: skip

    def findings(self) -> list[str]:
        """Say in a sentence each what a curator should know."""
        found = []
        if self.longer:
            found.append(
                f"{self.longer:,} of {self.texts:,} texts are longer than the embedder reads: "
                "they are found by their beginning alone"
            )
        if self.unknown > UNKNOWN_SHARE * self.tokens:
            found.append(
                f"{self.unknown / self.tokens:.0%} of the tokens are unknown to the embedder: "
                "is it made for this language?"
            )
        return found


UNKNOWN_SHARE = 0.01
"""A model that knows a language hardly meets unknown tokens in it."""


def coverage_of(embedder: Embedder, texts: Sequence[str]) -> Coverage:
    """Ask an embedder how much of some texts it reads; one that can't say reads all."""
    look = getattr(embedder, "coverage", None)
    found: Coverage = look(texts) if look is not None else Coverage(len(texts))
    return found


def embed_and_cover(embedder: Embedder, texts: Sequence[str]) -> tuple[Vectors, Coverage]:
    """Embed documents and say how much of them was read: at one go where the embedder can."""
    both = getattr(embedder, "embed_and_cover", None)
    if both is None:
        return embedder.embed(texts), coverage_of(embedder, texts)
    made: tuple[Vectors, Coverage] = both(texts)
    return made


class HashingEmbedder:
    """Words hashed into signed buckets (Weinberger et al. 2009, "Feature Hashing").

    It knows words, not meaning: quick, exact and the same everywhere. Good for tests, and for
    stores whose queries repeat the words of the examples.
    """

    def __init__(self, dim: int = 256) -> None:
        self.dim = dim
        self.fingerprint = f"hashing-1-{dim}"

    def embed(self, texts: Sequence[str], *, kind: Kind = "document") -> Vectors:
        """Embed texts; a text without words gets the first unit vector."""
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in re.findall(r"\w+", text.casefold()):
                number = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest())
                row[number % self.dim] += 1.0 if number >> 63 else -1.0
            if not row.any():
                row[0] = 1.0
        return unit_rows(vectors)


def unit_rows(vectors: NDArray[np.floating]) -> Vectors:
    """Scale rows to length 1, in float32."""
    rows: Vectors = np.asarray(vectors, dtype=np.float32)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(min=1e-12)
    return rows

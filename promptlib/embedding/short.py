"""Shorter vectors: the first numbers of each, for models that put what matters most there.

Matryoshka representation learning (Kusupati et al. 2022, arXiv:2205.13147) trains models so. Others
lose more by it; docs/speed.md has figures.
"""

from __future__ import annotations

from collections.abc import Sequence

from promptlib.embedding.embedder import (
    Coverage,
    Embedder,
    Kind,
    Vectors,
    coverage_of,
    embed_and_cover,
    unit_rows,
)
from promptlib.errors import EmbedderError


class ShortEmbedder:
    """An embedder whose vectors are cut to `dim` numbers, and made unit rows again."""

    def __init__(self, whole: Embedder, dim: int) -> None:
        if dim > whole.dim:
            raise EmbedderError(
                f"the embedding model's vectors have {whole.dim} numbers: dimensions = {dim} in "
                "[embedder] can't be more"
            )
        self.whole = whole
        self.dim = dim
        self.fingerprint = f"{whole.fingerprint}-{dim}"

    def embed(self, texts: Sequence[str], *, kind: Kind = "document") -> Vectors:
        """See Embedder."""
        return unit_rows(self.whole.embed(texts, kind=kind)[:, : self.dim])

    def embed_and_cover(self, texts: Sequence[str]) -> tuple[Vectors, Coverage]:
        """See `embed_and_cover`."""
        vectors, coverage = embed_and_cover(self.whole, texts)
        return unit_rows(vectors[:, : self.dim]), coverage

    def coverage(self, texts: Sequence[str]) -> Coverage:
        """Say how much of some texts the embedder reads."""
        return coverage_of(self.whole, texts)


def whole_of(embedder: Embedder | None) -> Embedder | None:
    """Give the embedder whose vectors are cut, or the one that is given."""
    return embedder.whole if isinstance(embedder, ShortEmbedder) else embedder


def shortened(embedder: Embedder, dim: int | None) -> Embedder:
    """Cut an embedder's vectors, if told to; raises EmbedderError for more than it has."""
    return embedder if dim is None or dim == embedder.dim else ShortEmbedder(embedder, dim)

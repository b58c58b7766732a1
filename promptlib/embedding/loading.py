"""Load an embedder by name: from wherever it is, compiled if it can be, when it is used."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from promptlib.embedding.cache import cache_folder, compiled
from promptlib.embedding.embedder import (
    Coverage,
    Embedder,
    HashingEmbedder,
    Kind,
    Precision,
    Vectors,
    coverage_of,
    embed_and_cover,
)
from promptlib.embedding.onnx import OnnxEmbedder
from promptlib.embedding.short import shortened, whole_of
from promptlib.embedding.source import find_model, not_found
from promptlib.errors import EmbedderError
from promptlib.forking import ForkAware


def load_embedder(model: str, cache: Path | None = None, precision: Precision = "fp32") -> Embedder:
    """Load an embedding model: "hashing", a folder, or a name on the Hugging Face hub.

    The first load of a model compiles it (some 10 s); later ones don't import PyTorch. Raises
    ModelNotFoundError when the model is nowhere to be found.
    """
    if model == "hashing":
        return HashingEmbedder()
    if (ready := find_compiled(model, cache, precision)) is not None:
        return ready
    from promptlib.embedding.compile import compile_model

    source = find_model(model)
    if source is None:
        _fetch(model)
        source = find_model(model)
        if source is None:
            raise not_found(model, ", nor is it a sentence-transformers model on the hub")
    return compile_model(source, cache or cache_folder(), precision)


def find_compiled(
    model: str, cache: Path | None = None, precision: Precision = "fp32"
) -> OnnxEmbedder | None:
    """Open a model that was compiled before; None for one that still has to be."""
    source = find_model(model) if model != "hashing" else None
    return compiled(source, cache or cache_folder(), precision) if source is not None else None


REMEMBERED = 1_024
"""Queries whose vectors are kept: 1.5 KB each."""


class LazyEmbedder(ForkAware):
    """An embedder by name that is loaded when something is embedded, or its fingerprint asked."""

    def __init__(
        self, model: str, precision: Precision = "fp32", dimensions: int | None = None
    ) -> None:
        self.model = model
        self.precision: Precision = precision
        self.dimensions = dimensions
        self._loaded: Embedder | None = None
        self._renew()
        super().__init__()

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._starting: threading.Thread | None = None
        self._query = lru_cache(REMEMBERED)(self._embed_query)

    @property
    def loaded(self) -> Embedder:
        """The embedder itself; raises EmbedderError if it can't be loaded."""
        if self._loaded is None:
            with self._lock:
                if self._loaded is None:
                    whole = load_embedder(self.model, precision=self.precision)
                    self._loaded = shortened(whole, self.dimensions)
        return self._loaded

    @property
    def fingerprint(self) -> str:
        """See Embedder."""
        return self.loaded.fingerprint

    @property
    def dim(self) -> int:
        """See Embedder."""
        return self.loaded.dim

    def start(self) -> None:
        """Begin to load a compiled model in a thread of its own, while other work goes on.

        A model that has to be compiled first waits until it is really used.
        """
        if self._starting is None:
            # Not a daemon: a process that ends while a session is being made would crash.
            self._starting = threading.Thread(target=self._start)
            self._starting.start()

    def embed(self, texts: Sequence[str], *, kind: Kind = "document") -> Vectors:
        """See Embedder. The last queries that came one by one are remembered."""
        if kind == "query" and len(texts) == 1:
            return self._query(texts[0])
        return self.loaded.embed(texts, kind=kind)

    def embed_and_cover(self, texts: Sequence[str]) -> tuple[Vectors, Coverage]:
        """See `embed_and_cover`."""
        return embed_and_cover(self.loaded, texts)

    def coverage(self, texts: Sequence[str]) -> Coverage:
        """Say how much of some texts the embedder reads."""
        return coverage_of(self.loaded, texts)

    def _embed_query(self, text: str) -> Vectors:
        vector = self.loaded.embed([text], kind="query").copy()  # not a view that keeps a batch
        vector.setflags(write=False)  # it is given out again
        return vector

    def _start(self) -> None:
        with suppress(EmbedderError):  # whoever embeds will meet it again
            with self._lock:
                if self._loaded is None:
                    ready = find_compiled(self.model, precision=self.precision)
                    self._loaded = ready and shortened(ready, self.dimensions)
                whole = whole_of(self._loaded)
            if isinstance(whole, OnnxEmbedder):
                whole.warm()


def _fetch(model: str) -> None:
    """Bring a model from the hub into its cache, or say at once why not."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        raise not_found(model, " and HF_HUB_OFFLINE forbids fetching it")
    if not _hub_answers():
        raise not_found(model, " and the Hugging Face hub can't be reached")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        snapshot_download(
            model if "/" in model else f"sentence-transformers/{model}",
            ignore_patterns=["onnx/*", "openvino/*", "*.h5", "*.ot", "*.msgpack"],
        )
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise not_found(model, f" and couldn't be fetched ({reason})") from error


def _hub_answers() -> bool:
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        with urlopen(Request(endpoint, method="HEAD"), timeout=3):
            return True
    except HTTPError:
        return True
    except (OSError, ValueError):
        return False

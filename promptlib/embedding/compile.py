"""Compile a sentence-transformers model to ONNX, once, into the user's cache.

The compiled model is used only if it gives the original's vectors: at most TOLERANCE apart on the
probe texts, alone and in company. Otherwise PyTorch goes on doing the work. At precision int8 the
weights are quantised too, and the vectors must be near the original's.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from promptlib.embedding.cache import compiled, note_of
from promptlib.embedding.embedder import Embedder, Precision
from promptlib.embedding.export import PROBES, export_model
from promptlib.embedding.onnx import OnnxEmbedder
from promptlib.embedding.reference import TorchEmbedder
from promptlib.embedding.source import ModelSource
from promptlib.embedding.threads import measure_threads

log = logging.getLogger(__name__)

TOLERANCE = 1e-4
INT8_COSINE = 0.96
"""The least mean cosine of int8's vectors with the original's."""


def compile_model(source: ModelSource, cache: Path, precision: Precision = "fp32") -> Embedder:
    """Compile a model into the cache; returns the original where that can't be done."""
    from filelock import FileLock

    try:
        cache.mkdir(parents=True, exist_ok=True)
        # Of several processes that start at once, one compiles and the others wait for it.
        with FileLock(cache / "compile.lock"):
            if (ready := compiled(source, cache, precision)) is not None:
                return ready
            source.check()
            log.info("compiling the embedding model, once (some 10 s): %s", source.folder)
            reference = TorchEmbedder(source.folder)
            return _compile(reference, source, cache, precision) or reference
    except OSError as error:
        log.warning(
            "the embedding model runs on PyTorch: %s can't be written (%s); "
            "set PROMPTLIB_CACHE to a folder that can",
            cache,
            error.strerror,
        )
        source.check()
        return TorchEmbedder(source.folder)


def _compile(
    reference: TorchEmbedder, source: ModelSource, cache: Path, precision: Precision
) -> OnnxEmbedder | None:
    work = Path(tempfile.mkdtemp(dir=cache, prefix="compiling-"))
    try:
        fingerprint = _fingerprint(reference, precision)
        try:
            _make(reference, work, fingerprint, precision, fused=True)
        except Exception as error:
            log.info("the embedding model can't be fused: %s", error)
            _make(reference, work, fingerprint, precision, fused=False)
        _note_threads(work)
        target = cache / fingerprint
        shutil.rmtree(target, ignore_errors=True)
        os.replace(work, target)
    except OSError:
        raise
    except Exception as error:  # whatever an exporter can't do, the original still can
        log.warning(
            "the embedding model runs on PyTorch, it can't be compiled: %s: %s",
            type(error).__name__,
            error,
        )
        return None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    note = note_of(source, cache, precision)
    note.parent.mkdir(exist_ok=True)
    note.write_text(fingerprint)
    return OnnxEmbedder(target)


def _make(
    reference: TorchEmbedder, folder: Path, fingerprint: str, precision: Precision, *, fused: bool
) -> None:
    export_model(reference, folder, fingerprint, precision, fused=fused)
    _check(reference, OnnxEmbedder(folder), precision)


def _fingerprint(reference: TorchEmbedder, precision: Precision) -> str:
    if precision == "fp32":
        return reference.fingerprint
    return hashlib.sha256(f"{reference.fingerprint} {precision} 4".encode()).hexdigest()[:32]


def _note_threads(folder: Path) -> None:
    """Measure on how many threads a short text is embedded soonest, and keep it."""

    def embed_with(threads: int) -> Callable[[], object]:
        embedder = OnnxEmbedder(folder, threads)
        return lambda: embedder.embed([PROBES[1]])

    file = folder / "embedder.json"
    facts = json.loads(file.read_text(encoding="utf-8")) | measure_threads(embed_with)
    file.write_text(json.dumps(facts, indent=2), encoding="utf-8")


def _check(reference: TorchEmbedder, embedder: OnnxEmbedder, precision: Precision) -> None:
    """Compare with the original; raises ValueError when the vectors aren't good enough."""
    expected = reference.embed(PROBES)
    alone = np.concatenate([embedder.embed([text]) for text in PROBES])
    together = embedder.embed(PROBES)
    if precision == "int8":
        cosine = float(np.einsum("ij,ij->i", expected, alone).mean())
        if cosine < INT8_COSINE:
            raise ValueError(f"at int8 the mean cosine with the original is {cosine:.3f}")
        expected = alone
    difference = float(max(np.abs(expected - alone).max(), np.abs(expected - together).max()))
    if difference > TOLERANCE:
        raise ValueError(f"vectors differ by up to {difference:.1e}")

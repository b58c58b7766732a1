"""Run a sentence-transformers model on ONNX Runtime: compiled once, then without PyTorch."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.embedding.crowd import Crowd
from promptlib.embedding.embedder import Coverage, Kind, Vectors
from promptlib.embedding.lanes import Lanes
from promptlib.embedding.threads import lanes_here, threads_for, usual_threads
from promptlib.errors import EmbedderError
from promptlib.forking import ForkAware, abandon

MANY = 64
"""Texts from which on it pays to wake the tokenizer's threads."""

BATCH = 512
"""Tokens, padding among them, that go through the model together: more don't stay in the caches."""
FEW = 256
"""Tokens in a batch that is worth its call."""
PADDING = 0.03
"""The share of padding that a batch of more than FEW tokens may have: it costs as much as text."""


class OnnxEmbedder(ForkAware):
    """A compiled model in a folder: `model.onnx` with its weights, tokenizer, `embedder.json`.

    The session is made on first use and made anew in a forked child, whose copy of the parent's
    thread pool is dead.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        facts = json.loads((folder / "embedder.json").read_text(encoding="utf-8"))
        self.folder = folder
        self._threads = threads_for(facts) if threads is None else threads
        self._lanes = Lanes(self._session_of_one, threads or lanes_here())
        self.fingerprint: str = facts["fingerprint"]
        self.dim: int = facts["dim"]
        # int8 scales by what is in a batch: one text at a time, a vector depends on its text alone.
        self.batch = 0 if facts.get("precision") == "int8" else BATCH
        self.max_tokens: int = facts["max_tokens"]
        self.prompts: dict[str, str] = facts["prompts"]
        self._inputs: list[str] = facts["inputs"]
        self._loaded: tuple[Any, Any] | None = None
        self._renew()
        super().__init__()

    def _renew(self) -> None:
        if self._loaded is not None:
            abandon(self._loaded)
        self._loaded = None
        self._lock = threading.Lock()
        self._crowd = Crowd(self._lanes.count)

    def embed(self, texts: Sequence[str], *, kind: Kind = "document") -> Vectors:
        """Embed texts; returns float32 (n, dim), unit rows. Longer texts are cut at max_tokens."""
        encoded = self._encoded(texts, kind)
        if len(encoded) == 1:  # a query: there is nothing to sort
            with self._session_here() as session:
                return self._made(session, encoded)
        return self._run_many(encoded)

    def embed_and_cover(self, texts: Sequence[str]) -> tuple[Vectors, Coverage]:
        """Embed documents, and say how much of them was read."""
        encoded = self._encoded(texts, "document")
        return self._run_many(encoded), self._covered(encoded)

    def coverage(self, texts: Sequence[str]) -> Coverage:
        """Say how much of some texts the model reads, and which share of the tokens it knows."""
        return self._covered(self._encoded(texts, "document"))

    def _encoded(self, texts: Sequence[str], kind: Kind) -> Sequence[Any]:
        tokenizer, _ = self._load()
        prompt = self.prompts.get(kind, "")
        prompted = [prompt + text for text in texts]
        if len(texts) < MANY:
            return [*map(tokenizer.encode, prompted)]
        encoded: list[Any] = tokenizer.encode_batch_fast(prompted)
        return encoded

    def _covered(self, encoded: Sequence[Any]) -> Coverage:
        parts = [part for each in encoded for part in (each, *each.overflowing)]
        return Coverage(
            texts=len(encoded),
            longer=sum(bool(each.overflowing) for each in encoded),
            tokens=sum(map(len, parts)),
            unknown=sum(part.ids.count(self._unknown) for part in parts),
        )

    def _run_many(self, encoded: Sequence[Any]) -> Vectors:
        """Run the model on batches side by side, each on one core; one alone has all of them."""
        lengths = _lengths(encoded)
        share = int(lengths.sum()) // self._lanes.count
        parts = [*_batches(lengths, min(self.batch, max(FEW, share)))]
        vectors = np.empty((len(encoded), self.dim), dtype=np.float32)

        def work(session: Any, part: NDArray[np.int64]) -> None:
            vectors[part] = self._made(session, [encoded[at] for at in part])

        if len(parts) < 2:
            with self._session_here() as session:
                for part in parts:
                    work(session, part)
        else:
            for _ in self._lanes.map(work, parts):
                pass
        return vectors

    @contextmanager
    def _session_here(self) -> Iterator[Any]:
        with self._crowd.enter() as alone:
            yield self._load()[1] if alone else self._lanes.session

    def _made(self, session: Any, batch: Sequence[Any]) -> Vectors:
        vectors: Vectors = session.run(None, self._feed(batch))[0]
        return vectors

    def warm(self) -> None:
        """Load the model now rather than at the first text."""
        self._load()

    def _feed(self, batch: Sequence[Any]) -> dict[str, NDArray[np.int64]]:
        tokens = [each.ids for each in batch]
        ids, mask, types = np.zeros((3, len(tokens), max(map(len, tokens))), dtype=np.int64)
        for row, each in enumerate(tokens):
            ids[row, : len(each)] = each
            mask[row, : len(each)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        return {name: feed[name] for name in self._inputs}

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            with self._lock:
                if self._loaded is None:
                    session = self._session(self._threads)  # other threads go on meanwhile
                    self._loaded = self._tokenizer(), session
        return self._loaded

    def _session(self, threads: int) -> Any:
        try:
            return open_session(self.folder / "model.onnx", threads=threads)
        except Exception as error:  # of ONNX Runtime, whose own have no class in common
            reason = str(error).splitlines()[0]
            raise EmbedderError(
                f"the compiled model in {self.folder} can't be read ({reason}); "
                "delete that folder, and it is compiled anew"
            ) from error

    def _session_of_one(self) -> Any:
        return self._load()[1] if self._threads == 1 else self._session(1)

    @cached_property
    def _unknown(self) -> int | None:
        """The number of the token for what the vocabulary lacks."""
        tokenizer, _ = self._load()
        unknown = json.loads(tokenizer.to_str())["model"].get("unk_token")
        return tokenizer.token_to_id(unknown) if unknown else None

    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_tokens)
        return tokenizer


def _lengths(encoded: Sequence[Any]) -> NDArray[np.int64]:
    return np.fromiter((len(each.ids) for each in encoded), dtype=np.int64, count=len(encoded))


def _batches(lengths: NDArray[np.int64], most: int) -> Iterator[NDArray[np.int64]]:
    """Group texts of like length, each group `most` tokens at most when padded, or one text."""
    by_length = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(by_length):
        part = by_length[start : start + max(1, most)]
        padded = lengths[part] * np.arange(1, len(part) + 1)
        size = max(1, int(np.searchsorted(padded, most, side="right")))
        close = lengths[part[:size]].cumsum() >= (1 - PADDING) * padded[:size]
        closest = int(np.flatnonzero(close)[-1]) + 1
        if padded[closest - 1] > FEW:
            size = closest
        yield part[:size]
        start += size


def open_session(
    model: Path,
    *,
    threads: int | None = None,
    optimize_into: Path | None = None,
    without: Sequence[str] = (),
) -> Any:
    """Open an ONNX Runtime session on the processor.

    With `optimize_into` the graph is optimised and written there, its weights in a file beside it,
    which a session maps into memory: it opens in a quarter of the time and half the memory.
    `without` names what ONNX Runtime is not to do then.
    """
    import onnxruntime

    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or usual_threads()
    options.graph_optimization_level = levels.ORT_DISABLE_ALL
    if optimize_into is not None:
        # Not beyond "extended": what comes after depends on the processor at hand.
        options.graph_optimization_level = levels.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(optimize_into)
        beside = "session.optimized_model_external_initializers_"
        options.add_session_config_entry(f"{beside}file_name", f"{optimize_into.stem}.bin")
        options.add_session_config_entry(f"{beside}min_size_in_bytes", "1024")
    return onnxruntime.InferenceSession(
        str(model), options, providers=["CPUExecutionProvider"], disabled_optimizers=[*without]
    )

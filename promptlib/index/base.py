"""The base of an index: an immutable, memory-mapped copy of a store's rows at one revision.

One folder per generation, one pointer file that is renamed last: a reader sees an old base or a
new one, never half of one. No pickle.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.index.lexical import Postings
from promptlib.store.vectors import Halves

log = logging.getLogger(__name__)

FORMAT = 2
POINTER = "current"
SLICE = 16_384
"""Rows that are turned to float32 at a time."""
ROWS = ("keys", "ids", "labels", "texts")
WORDS = ("terms", "starts", "rows", "counts", "lengths")
ARRAYS = (*ROWS, *(f"words-{name}" for name in WORDS))
FILES = ("vectors.faiss", "labels.json", *(f"{name}.npy" for name in ARRAYS))


@dataclass(frozen=True)
class Origin:
    """What a replica is a copy of. Only a state that the store knows can be caught up from."""

    uid: str
    revision: int
    token: str
    fingerprint: str


@dataclass(frozen=True)
class Rows:
    """Rows as parallel arrays: what `build` needs of a row without asking the database."""

    keys: NDArray[np.int64]
    ids: NDArray[np.str_]
    labels: NDArray[np.int32]  # codes into label_names; -1 for none
    label_names: tuple[str, ...]
    texts: NDArray[np.uint64]  # the first half of the hash of the text: tells equal ones
    vectors: Halves
    words: Postings

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True)
class Base:
    """Rows with a FAISS index over their vectors."""

    origin: Origin
    rows: Rows
    faiss_index: Any


def make_base(origin: Origin, rows: Rows) -> Base:
    """Index rows flat, by inner product: the cosine, since they have length 1.

    The halves are indexed as they are stored and multiplied as float32, so the search is exact
    and reads half the memory that float32 would.
    """
    import faiss

    half = faiss.ScalarQuantizer.QT_fp16
    index = faiss.IndexScalarQuantizer(rows.vectors.shape[1], half, faiss.METRIC_INNER_PRODUCT)
    for start in range(0, len(rows), SLICE):
        index.add(rows.vectors[start : start + SLICE].astype(np.float32))
    return Base(origin, replace(rows, vectors=_stored_vectors(index)), index)


def save_base(base: Base, folder: Path) -> None:
    """Write a generation and point at it; older ones are removed."""
    import faiss

    name = f"{base.origin.revision}-{secrets.token_hex(4)}"
    work = folder / f"{name}.part"
    work.mkdir(parents=True)
    try:
        faiss.write_index(base.faiss_index, str(work / "vectors.faiss"))
        rows = base.rows
        arrays = [getattr(rows, name) for name in ROWS]
        arrays += [getattr(rows.words, name) for name in WORDS]
        for stem, array in zip(ARRAYS, arrays, strict=True):
            np.save(work / f"{stem}.npy", array, allow_pickle=False)
        (work / "labels.json").write_text(json.dumps(rows.label_names), encoding="utf-8")
        facts = {
            "format": FORMAT,
            "origin": asdict(base.origin),
            "checksums": {file: _checksum(work / file) for file in FILES},
        }
        (work / "base.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
        os.rename(work, folder / name)
        pointer = folder / f"{POINTER}.{name}"
        pointer.write_text(name)
        os.replace(pointer, folder / POINTER)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    # A process that still reads an older generation keeps its mapped files until it lets go.
    for other in folder.iterdir():
        if other.is_dir() and other.name != name:
            shutil.rmtree(other, ignore_errors=True)


def open_base(folder: Path, fingerprint: str) -> Base | None:
    """Map the current generation; None when there is none that is whole and of this embedder."""
    import faiss

    pointer = folder / POINTER
    if not pointer.is_file():
        return None
    try:
        name = pointer.read_text().strip()
        here = folder / name
        facts = json.loads((here / "base.json").read_text(encoding="utf-8"))
        origin = Origin(**facts["origin"])
        if facts["format"] != FORMAT or origin.fingerprint != fingerprint:
            raise ValueError("it is of another format or embedder")
        if damaged := [f for f in FILES if _checksum(here / f) != facts["checksums"][f]]:
            raise ValueError(f"{', '.join(damaged)} damaged")
        index = faiss.read_index(str(here / "vectors.faiss"), faiss.IO_FLAG_MMAP_IFC)
        arrays: dict[str, NDArray[Any]] = {
            name: np.asarray(np.load(here / f"{name}.npy", mmap_mode="r", allow_pickle=False))
            for name in ARRAYS
        }
        rows = Rows(
            **{name: arrays[name] for name in ROWS},
            label_names=tuple(json.loads((here / "labels.json").read_text(encoding="utf-8"))),
            vectors=_stored_vectors(index),
            words=Postings(**{name: arrays[f"words-{name}"] for name in WORDS}),
        )
        return Base(origin, rows, index)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if isinstance(error, FileNotFoundError) and pointer.read_text().strip() != name:
            return open_base(folder, fingerprint)  # another process has just made a newer one
        log.warning("the index in %s can't be used (%s): it is built again", folder, error)
        return None


def label_codes(labels: Sequence[str | None]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Number labels by their order; -1 stands for no label."""
    names = tuple(sorted({label for label in labels if label is not None}))
    numbers = {name: code for code, name in enumerate(names)}
    codes = [-1 if label is None else numbers[label] for label in labels]
    return np.array(codes, dtype=np.int32), names


def _stored_vectors(index: Any) -> Halves:
    """View the vectors that an index holds, without copying them."""
    import faiss

    if not index.ntotal:
        return np.zeros((0, index.d), dtype=np.float16)
    codes = faiss.rev_swig_ptr(index.codes.data(), index.ntotal * index.code_size)
    halves: Halves = codes.view("<f2").reshape(index.ntotal, index.d)
    return halves


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while part := file.read(1 << 22):
            checksum = zlib.crc32(part, checksum)
    return checksum

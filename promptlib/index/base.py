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
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.index.lexical import Impacts, Postings
from promptlib.index.nearest import (
    FLAT_ROWS,
    SLICE,
    Finder,
    Flat,
    Inverted,
    make_flat,
    make_inverted,
    open_faiss,
    probes_for,
)
from promptlib.index.recall import RECALL
from promptlib.index.vector_file import VectorFile
from promptlib.store.vectors import Halves

log = logging.getLogger(__name__)

FORMAT = 3
POINTER = "current"
ROWS = ("keys", "ids", "labels", "texts")
WORDS = ("terms", "starts", "rows", "counts", "lengths")
ORDERS = ("by_key", "sorted_texts")


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
    vectors: Halves | VectorFile
    words: Postings

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True)
class Base:
    """Rows with an index over their vectors."""

    origin: Origin
    rows: Rows
    finder: Finder
    by_key: NDArray[np.int32]
    """The positions of the rows, by their keys."""
    sorted_texts: NDArray[np.uint64]
    """The texts of the rows, sorted."""

    @cached_property
    def distinct(self) -> int:
        """How many different texts there are."""
        texts = self.sorted_texts
        return int(np.count_nonzero(texts[1:] != texts[:-1])) + 1 if len(texts) else 0

    @cached_property
    def label_counts(self) -> NDArray[np.int64]:
        """How many rows have each of the labels."""
        codes = self.rows.labels
        return np.bincount(codes[codes >= 0], minlength=len(self.rows.label_names))

    def places_of(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find where the rows with some keys lie; those that aren't there are left out."""
        if not len(self.rows):
            return np.zeros(0, np.int64)
        order, known = self.by_key, self.rows.keys
        at = np.searchsorted(known, keys, sorter=order).clip(max=len(known) - 1)
        places: NDArray[np.int64] = np.asarray(order[at], np.int64)
        found: NDArray[np.int64] = places[known[places] == keys]
        return found

    def rows_of_texts(self, texts: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Count the rows that have each of some texts."""
        first = np.searchsorted(self.sorted_texts, texts, "left")
        return np.searchsorted(self.sorted_texts, texts, "right") - first


def make_base(origin: Origin, rows: Rows, recall: float = RECALL) -> Base:
    """Index rows: flat while that is fast, by cells beyond, with `recall` at 10 at least."""
    by_key = np.argsort(rows.keys).astype(np.int32)
    orders = by_key, np.sort(rows.texts)
    if len(rows) <= FLAT_ROWS:
        index = make_flat(np.asarray(rows.vectors))
        rows = replace(rows, vectors=_stored_vectors(index))
        return Base(origin, rows, Flat(index), *orders)
    vectors = np.asarray(rows.vectors)
    index = make_inverted(vectors)
    finder = Inverted(index, vectors, *probes_for(index, vectors, recall))
    rows = replace(rows, words=rows.words.with_impacts())
    return Base(origin, rows, finder, *orders)


def save_base(base: Base, folder: Path) -> None:
    """Write a generation and point at it; older ones are removed."""
    import faiss

    name = f"{base.origin.revision}-{secrets.token_hex(4)}"
    work = folder / f"{name}.part"
    work.mkdir(parents=True)
    try:
        faiss.write_index(base.finder.faiss_index, str(work / "vectors.faiss"))
        if isinstance(base.finder, Inverted):
            with (work / "vectors.f16").open("wb") as file:
                for start in range(0, len(base.rows), SLICE):
                    file.write(base.finder.vectors[start : start + SLICE].tobytes())
        for stem, array in _arrays(base).items():
            np.save(work / f"{stem}.npy", array, allow_pickle=False)
        (work / "labels.json").write_text(json.dumps(base.rows.label_names), encoding="utf-8")
        facts = {
            "format": FORMAT,
            "origin": asdict(base.origin),
            "kind": base.finder.kind,
            "rows": len(base.rows),
            "built": datetime.now(UTC).isoformat(timespec="seconds"),
            **_measured(base),
            "files": {file.name: _seal(file) for file in sorted(work.iterdir())},
        }
        _write_facts(work, facts)
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


def open_base(folder: Path, fingerprint: str, *, frozen: bool = False) -> Base | None:
    """Map the current generation; None when there is none that is whole and of this embedder.

    In a folder that is `frozen`, nothing is noted.
    """

    here = current_generation(folder)
    if here is None:
        return None
    try:
        facts = read_facts(here)
        origin = Origin(**facts["origin"])
        if facts["format"] != FORMAT or origin.fingerprint != fingerprint:
            raise ValueError("it is of another format or embedder")
        _check(here, facts, frozen)
        return _mapped(here, facts, origin)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if isinstance(error, FileNotFoundError) and current_generation(folder) != here:
            return open_base(
                folder, fingerprint, frozen=frozen
            )  # another process has just made a newer one
        log.warning("the index in %s can't be used (%s): it is built again", folder, error)
        return None


def current_generation(folder: Path) -> Path | None:
    """Name the folder of the generation that is pointed at, if any."""
    pointer = folder / POINTER
    return folder / pointer.read_text().strip() if pointer.is_file() else None


def read_facts(generation: Path) -> dict[str, Any]:
    """Read what is known of a generation of an index: its kind, its files, what was measured."""
    facts: dict[str, Any] = json.loads((generation / "base.json").read_text(encoding="utf-8"))
    return facts


def _mapped(here: Path, facts: Mapping[str, Any], origin: Origin) -> Base:
    faiss = open_faiss()
    arrays: dict[str, NDArray[Any]] = {
        file.stem: np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
        for file in here.glob("*.npy")
    }
    vectors: Halves | VectorFile
    finder: Finder
    if facts["kind"] == Flat.kind:
        index = faiss.read_index(str(here / "vectors.faiss"), faiss.IO_FLAG_MMAP_IFC)
        vectors, finder = _stored_vectors(index), Flat(index)
    else:
        index = faiss.read_index(str(here / "vectors.faiss"), faiss.IO_FLAG_MMAP)
        # Threads that fetch ahead of a search cost it more than they save.
        faiss.downcast_InvertedLists(index.invlists).prefetch_nthread = 0
        vectors = VectorFile(here / "vectors.f16", facts["rows"], index.d)
        finder = Inverted(index, vectors, facts["probes"], facts["recall"])
    impacts = None
    if (weights := arrays.get("words-weights")) is not None:
        impacts = Impacts(weights, facts["mean_length"])
    rows = Rows(
        **{name: arrays[name] for name in ROWS},
        label_names=tuple(json.loads((here / "labels.json").read_text(encoding="utf-8"))),
        vectors=vectors,
        words=Postings(**{name: arrays[f"words-{name}"] for name in WORDS}, impacts=impacts),
    )
    return Base(origin, rows, finder, *(arrays[name] for name in ORDERS))


def _arrays(base: Base) -> dict[str, NDArray[Any]]:
    """Give the arrays that are kept, by the names of their files."""
    words = base.rows.words
    arrays = {name: getattr(base.rows, name) for name in ROWS}
    arrays |= {f"words-{name}": getattr(words, name) for name in WORDS}
    arrays |= {name: getattr(base, name) for name in ORDERS}
    return arrays | ({"words-weights": words.impacts.weights} if words.impacts else {})


def _measured(base: Base) -> dict[str, Any]:
    finder, impacts = base.finder, base.rows.words.impacts
    if not isinstance(finder, Inverted) or impacts is None:
        return {}
    return {"probes": finder.probes, "recall": finder.recall, "mean_length": impacts.mean}


def _stored_vectors(index: Any) -> Halves:
    """View the vectors that an index holds, without copying them."""
    import faiss

    if not index.ntotal:
        return np.zeros((0, index.d), dtype=np.float16)
    codes = faiss.rev_swig_ptr(index.codes.data(), index.ntotal * index.code_size)
    halves: Halves = codes.view("<f2").reshape(index.ntotal, index.d)
    return halves


def _write_facts(here: Path, facts: Mapping[str, Any]) -> None:
    part = here / f"base.json.{secrets.token_hex(4)}"
    part.write_text(json.dumps(facts, indent=2), encoding="utf-8")
    os.replace(part, here / "base.json")


def _seal(file: Path) -> list[int]:
    """Give what tells whether a file is as it was written: its checksum, size and time."""
    stat = file.stat()
    return [_checksum(file), stat.st_size, stat.st_mtime_ns]


def _check(here: Path, facts: dict[str, Any], frozen: bool) -> None:
    """Raise ValueError for files that aren't as they were written.

    A file whose size and time are those of its making isn't read; a copied one is, and once only
    unless `frozen`.
    """
    damaged, copied = [], False
    for name, (checksum, size, time) in facts["files"].items():
        stat = (here / name).stat()
        if (stat.st_size, stat.st_mtime_ns) == (size, time):
            continue
        copied = True
        if stat.st_size != size or _checksum(here / name) != checksum:
            damaged.append(name)
    if damaged:
        raise ValueError(f"{', '.join(damaged)} damaged")
    if copied and not frozen:
        facts["files"] = {name: _seal(here / name) for name in facts["files"]}
        with suppress(OSError):  # then the next process reads them again
            _write_facts(here, facts)


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while part := file.read(1 << 22):
            checksum = zlib.crc32(part, checksum)
    return checksum

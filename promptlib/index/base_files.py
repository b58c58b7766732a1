"""The files of a base: one folder per generation, one pointer file that is renamed last.

A reader sees an old base or a new one, never half of one. No pickle.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.index.base import Base, Origin, Rows
from promptlib.index.lexical import Impacts, Postings
from promptlib.index.nearest import SLICE, Finder, Flat, Inverted, open_faiss
from promptlib.index.vector_file import VectorFile
from promptlib.store.vectors import Halves

log = logging.getLogger(__name__)

FORMAT = 4
POINTER = "current"
ROWS = ("keys", "ids", "labels", "texts")
WORDS = ("terms", "starts", "rows", "counts", "lengths")
ORDERS = ("by_key", "sorted_texts")


def save_base(base: Base, folder: Path) -> None:
    """Write a generation and point at it; older ones are removed."""
    import faiss

    name = f"{base.origin.revision}-{secrets.token_hex(4)}"
    work = folder / f"{name}.part"
    work.mkdir(parents=True)
    try:
        faiss.write_index(base.finder.faiss_index, str(work / "vectors.faiss"))
        with (work / "vectors.f16").open("wb") as file:
            for start in range(0, len(base.rows), SLICE):
                file.write(base.rows.vectors[start : start + SLICE].tobytes())
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
            # Another process has just made a newer one.
            return open_base(folder, fingerprint, frozen=frozen)
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
        vectors = VectorFile(here / "vectors.f16", facts["rows"], index.d).mapped()
        finder = Flat(index, facts["scale"], facts["error"])
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
    if isinstance(finder, Flat):
        return {"scale": finder.scale, "error": finder.error}
    if not isinstance(finder, Inverted) or impacts is None:
        return {}
    return {"probes": finder.probes, "recall": finder.recall, "mean_length": impacts.mean}


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


@contextmanager
def building(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Be the one process that builds; gives False where another is and shan't be waited for."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "building")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        yield False
        return
    except OSError:  # nothing can be written here: each process builds for itself
        yield True
        return
    try:
        yield True
    finally:
        lock.release()

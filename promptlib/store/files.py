"""Examples in and out of JSONL files: one object a line, UTF-8."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Protocol

from promptlib.errors import BadExamplesError, ExampleError, StoreError
from promptlib.example import Example, kind_of
from promptlib.store.merge import number_repeats


class SupportsWrite(Protocol):
    """Anything with a `write` for text."""

    def write(self, text: str, /) -> object:
        """Take a text."""
        ...


@dataclass(frozen=True)
class ExamplesFile:
    """What a file holds: examples with their final ids, and (line, reason) for each bad line."""

    examples: tuple[Example, ...]
    problems: tuple[tuple[int, str], ...]
    repeats: int
    """How many rows repeat another one exactly."""
    sha256: str


def read_jsonl(path: Path | str, *, skip_bad: bool = False) -> ExamplesFile:
    """Read a JSONL file of examples.

    Raises BadExamplesError with every bad line unless `skip_bad`, and StoreError when the file
    can't be read or holds no rows.
    """
    path = Path(path)
    data = _bytes_of(path)
    examples: list[Example] = []
    problems: list[tuple[int, str]] = []
    lines: dict[str, int] = {}
    for number, line in _lines(data):
        try:
            example = Example.from_dict(_parsed(line))
            if (first := lines.setdefault(example.id, number)) != number and (
                example.id != example.content_hash[:16]
            ):
                raise ExampleError(f"id {example.id!r} was used on line {first}")
            examples.append(example)
        except ExampleError as error:
            problems.append((number, str(error)))
    if problems and not skip_bad:
        raise BadExamplesError(
            str(path),
            problems,
            f"bad lines: {len(problems):,} of {len(problems) + len(examples):,}; "
            "nothing was taken from the file",
        )
    if not examples:
        raise StoreError(f"{path} holds no examples" + _array_hint(data))
    numbered, repeats = number_repeats(examples)
    return ExamplesFile(tuple(numbered), tuple(problems), repeats, hashlib.sha256(data).hexdigest())


def write_jsonl(examples: Iterable[Example], out: SupportsWrite) -> int:
    """Write examples in the order given, with stable keys; returns how many."""
    count = 0
    for example in examples:
        out.write(json.dumps(example.to_dict(), ensure_ascii=False) + "\n")
        count += 1
    return count


def save_jsonl(examples: Iterable[Example], path: Path | str) -> int:
    """Write a file whole or not at all: beside the old one, then in its place.

    Links are followed, a file keeps its mode, and what isn't a plain file is written through.
    """
    path = Path(os.path.realpath(path))
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8", newline="\n") as out:
                return write_jsonl(examples, out)
        mode = path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask()
        with NamedTemporaryFile(
            "w", encoding="utf-8", newline="\n", dir=path.parent, prefix=path.name, delete=False
        ) as out:
            try:
                count = write_jsonl(examples, out)
                out.flush()
                os.fsync(out.fileno())
                os.chmod(out.name, mode)
                os.replace(out.name, path)
            except BaseException:
                os.unlink(out.name)
                raise
    except OSError as error:
        raise StoreError(f"can't write {path}: {error.strerror}") from None
    return count


def file_seed(path: Path) -> dict[str, Any]:
    """Describe a starter file: its hash, and what tells cheaply that it hasn't changed."""
    stat = path.stat()
    return {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
    }


def _bytes_of(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise StoreError(f"there is no file {path}") from None
    except OSError as error:
        raise StoreError(f"can't read {path}: {error.strerror}") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise StoreError(f"{path} is UTF-16; save it as UTF-8")
    head = data[:4096]
    if head.count(0) * 50 > len(head):
        raise StoreError(f"{path} is not UTF-8 text: it is full of NUL bytes")
    if data.startswith(b"\x1f\x8b"):
        raise StoreError(f"{path} is compressed; unpack it with gunzip first")
    return data.removeprefix(codecs.BOM_UTF8)


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    # Only \n ends a line: splitlines() would also cut at U+2028 inside a text.
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            yield number, line


def _parsed(line: bytes) -> Any:
    try:
        row = json.loads(line.decode(), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise ExampleError(
            f"not UTF-8: byte 0x{line[error.start]:02x} at column {error.start + 1}"
        ) from None
    except json.JSONDecodeError as error:
        reason = error.msg.removesuffix(" at")
        raise ExampleError(f"not JSON: {reason} at column {error.colno}") from None
    except ExampleError:
        raise
    except (RecursionError, ValueError) as error:
        raise ExampleError(f"not JSON that can be read: {error}") from None
    if not isinstance(row, dict):
        raise ExampleError(f"a row must be an object, not {kind_of(row)}")
    return row


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ExampleError(f"{', '.join(map(repr, twice))} stands twice in one object")
    return row


def _array_hint(data: bytes) -> str:
    if data.lstrip().startswith(b"["):
        return ": it is a JSON array, and JSONL has one object a line"
    return ""


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

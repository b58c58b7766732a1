"""Where rows come from: a file that can be read again and again, whatever it is packed in."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO, get_args

from promptlib.errors import ConfigError, StoreError
from promptlib.files.datasets import is_dataset

Format = Literal["jsonl", "json", "csv", "tsv", "parquet", "dataset"]
FORMATS: tuple[Format, ...] = get_args(Format)

SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv",
    ".tab": "tsv", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip

UNREADABLE = (OSError, EOFError, zlib.error)
"""What opening and reading a file, packed or not, may raise."""

GZIP = b"\x1f\x8b"
HEAD = 1 << 16


@dataclass(frozen=True)
class Source:
    """A file of rows. `charset` is None for UTF-8."""

    path: Path
    format: Format
    compressed: bool
    charset: str | None
    name: str
    """What messages call it."""
    shape: str = "plain"
    """How rows are written: a name of SHAPES, "plain" for ours, "auto" for what the first says."""

    @property
    def unit(self) -> str:
        """What places in it are numbered by."""
        return "row" if self.format in ("json", "parquet", "dataset") else "line"

    def open(self) -> BinaryIO:
        """Open the file's bytes, unpacked, without a byte order mark."""
        opener: Any = gzip.open if self.compressed else open
        with self.errors():
            file: BinaryIO = opener(self.path, "rb")
            try:
                if self.charset is None and file.read(3) != codecs.BOM_UTF8:
                    file.seek(0)
            except BaseException:
                file.close()
                raise
        return file

    @contextmanager
    def open_text(self, newline: str = "") -> Iterator[TextIO]:
        """Open the file as text with its own line ends; decoding errors become StoreError."""
        text = io.TextIOWrapper(self.open(), encoding=self.charset or "utf-8", newline=newline)
        try:
            with text, self.errors():
                yield text
        except UnicodeDecodeError as error:
            raise StoreError(self.not_decoded(error)) from None
        except UnicodeError as error:
            raise StoreError(f"{self.name} is not {self.charset}: {error}") from None

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Say in a line why a file can't be read to its end."""
        try:
            yield
        except UNREADABLE as error:
            reason = getattr(error, "strerror", None) or error
            raise StoreError(f"can't read {self.name}: {reason}") from None

    def not_decoded(self, error: UnicodeDecodeError) -> str:
        """Say that the file isn't in the charset that it was taken for."""
        byte = f"byte 0x{error.object[error.start]:02x}"
        if self.charset is not None:
            return f"{self.name} is not {self.charset} ({byte}): {error.reason}"
        return (
            f"{self.name} is not UTF-8 ({byte}); say what it is, with --charset cp1252 for example"
        )


def format_by_name(path: Path) -> Format | None:
    """Tell a file's format by its suffix, before .gz; None where that says nothing."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


@contextmanager
def open_source(
    path: Path | str | BinaryIO, *, charset: str | None = None, format: Format | None = None,
    shape: str = "plain",
) -> Iterator[Source]:  # fmt: skip
    """Find out what a file is; a stream, stdin say, is copied to a temporary file first.

    Raises StoreError for a file that can't be read, ConfigError for an unknown charset.
    """
    if charset is not None:
        try:
            charset = codecs.lookup(charset).name
            "".encode(charset)
        except (LookupError, UnicodeError):
            raise ConfigError(f"there is no charset {charset!r}; try cp1252 or latin-1") from None
    if not isinstance(path, str | Path):
        with tempfile.NamedTemporaryFile(prefix="promptlib-") as copy:
            shutil.copyfileobj(path, copy)
            copy.flush()
            yield _source(Path(copy.name), charset, format, "stdin", shape)
        return
    yield _source(Path(path), charset, format, str(path), shape)


def _source(
    path: Path, charset: str | None, format: Format | None, name: str, shape: str
) -> Source:
    if path.is_dir():
        if not is_dataset(path):
            raise StoreError(f"{name} is a folder without Arrow or Parquet files")
        return Source(path, "dataset", False, charset, name, shape)
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == GZIP
            file.seek(0)
            stream = gzip.GzipFile(fileobj=file) if compressed else file
            head = stream.read(HEAD)
    except FileNotFoundError:
        raise StoreError(f"there is no file {name}") from None
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or error
        raise StoreError(f"can't read {name}: {reason}") from None
    format = format or (format_by_name(path) if name != "stdin" else None) or _guess(head)
    if format in ("json", "jsonl"):  # whatever its name says: an array, or an object a line
        array = re.match(rb"\s*\[\s*[{\]]", head.removeprefix(codecs.BOM_UTF8))
        format = "json" if array else "jsonl"
    if format == "parquet" and compressed:
        raise StoreError(f"{name} is Parquet in gzip: unpack it with gunzip first")
    if format != "parquet" and charset is None:
        _check_utf8(head, name)
    return Source(path, format, compressed, charset, name, shape)


def _guess(head: bytes) -> Format:
    """Tell by how a file begins what it is."""
    if head.startswith(b"PAR1"):
        return "parquet"
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if not start or start[:1] in b"{[":
        return "jsonl"
    first = start.split(b"\n", 1)[0]
    return "tsv" if first.count(b"\t") > first.count(b",") else "csv"


def _check_utf8(head: bytes, name: str) -> None:
    if head.startswith(b"PK\x03\x04"):
        raise StoreError(f"{name} is a zip or an Excel file: save the sheet as CSV")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise StoreError(f"{name} is UTF-16; say so with --charset utf-16, or save it as UTF-8")
    if head.count(0) * 50 > len(head):
        raise StoreError(f"{name} is not UTF-8 text: it is full of NUL bytes")

"""Texts and JSON values as files and databases can hold them."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from promptlib.errors import ExampleError

_canonical = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
).encode  # fmt: skip


def canonical_json(value: object) -> str:
    """Write JSON in one form only: sorted keys, no spaces, no NaN; raises ExampleError."""
    try:
        return _canonical(value)
    except RecursionError:
        raise ExampleError("a value is nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise ExampleError(f"a value can't be written as JSON: {error}") from None


def text_hash(text: str) -> str:
    """Hash a text after Unicode normalisation (NFC); 32 hex digits of SHA-256."""
    return _digest(text).hex()[:32]


def text_number(text: str) -> int:
    """Number a text by the first 64 bits of its hash."""
    return int.from_bytes(_digest(text)[:8])


def _digest(text: str) -> bytes:
    normal = text if text.isascii() else unicodedata.normalize("NFC", text)
    return hashlib.sha256(normal.encode()).digest()


def shared_prefix(texts: Sequence[str]) -> str:
    """Give the longest start that all texts have in common."""
    first, last = min(texts), max(texts)  # those between them share what these share
    length = 0
    for one, other in zip(first, last, strict=False):
        if one != other:
            break
        length += 1
    return first[:length]


def file_sha256(path: Path) -> str:
    """Hash a file as it lies there."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def visible(text: str) -> str:
    """Quote a text so that spaces which nobody would see show as \N{OPEN BOX}."""
    return repr(re.sub(r"^ +| {2,}| +$", lambda spaces: "\N{OPEN BOX}" * len(spaces[0]), text))


def first_line(text: str) -> str:
    """Give the first line that isn't empty, without white space around it."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def kind_of(value: object) -> str:
    """Name a value's kind as JSON would, or its type where JSON has none."""
    names = {str: "text", bool: "a boolean", int: "a number", float: "a number", dict: "an object",
             list: "a list", tuple: "a list"}  # fmt: skip
    return "null" if value is None else names.get(type(value), f"a {type(value).__name__}")


def is_number(value: object) -> bool:
    """Whether a value is a number as JSON has them: a boolean isn't."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: object, least: int) -> bool:
    """Whether a value is a whole number, `least` or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def lone_surrogate(text: str) -> str | None:
    """Say what is wrong with a text that UTF-8 can't write; None when nothing is."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = f"U+{ord(text[error.start]):04X}"
        return f"contains a lone surrogate ({code}), half of a character; write it as UTF-8"
    return None


def check_text(text: str) -> None:
    """Refuse what UTF-8 files and databases can't hold."""
    # Canonical JSON escapes NUL, so both spellings count; not a backslash that is itself escaped.
    escaped = "\\u0000" in text and "\\u0000" in text.replace("\\\\", "")
    if escaped or "\x00" in text:
        raise ExampleError("the row contains a NUL byte")
    if problem := lone_surrogate(text):
        raise ExampleError(f"the row {problem}")

"""One labelled example, and the messages that a conversation is made of."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from promptlib.errors import ExampleError, did_you_mean

Role = Literal["system", "developer", "user", "assistant", "tool"]
ROLES: tuple[str, ...] = get_args(Role)

Status = Literal["approved", "draft", "rejected"]
STATUSES: tuple[str, ...] = get_args(Status)

Content = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Text, an object of named fields, or a conversation (a list of messages)."""

MAX_EXAMPLE_BYTES = 1_000_000
"""Larger rows are refused: no prompt shows them, and embedding reads a few hundred words."""

ROW_KEYS = ("id", "input", "output", "label", "status", "metadata")


@dataclass(frozen=True)
class Message:
    """One message of a conversation. `role` is one of ROLES."""

    role: str
    content: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ExampleError(f"no role {self.role!r}; {did_you_mean(str(self.role), ROLES)}")
        if not isinstance(self.content, str):
            raise ExampleError(
                f"the content of a {self.role} message must be text, not {kind_of(self.content)}"
            )
        if problem := lone_surrogate(self.content):
            raise ExampleError(f"a {self.role} message {problem}")

    @classmethod
    def from_dict(cls, message: Mapping[str, Any]) -> Message:
        """Read a chat client's message; raises ExampleError when it isn't one."""
        if not isinstance(message, Mapping):
            raise ExampleError(f"a message must be an object, not {kind_of(message)}")
        if missing := [key for key in ("role", "content") if key not in message]:
            raise ExampleError(f"a message lacks {' and '.join(missing)}")
        if unknown := sorted(set(message) - {"role", "content"}):
            raise ExampleError(f"a message has unknown keys: {', '.join(map(str, unknown))}")
        return cls(message["role"], message["content"])

    def to_dict(self) -> dict[str, str]:
        """Give the plain dict that chat clients take."""
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True)
class Example:
    """A labelled example: what goes in, what should come out.

    `output` may be missing in a draft only. `id` defaults to a hash of the content. Raises
    ExampleError when a value can't be stored or shown.
    """

    input: Content
    output: Content | None = None
    label: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    status: Status = "approved"

    def __post_init__(self) -> None:
        _check_content("input", self.input)
        if self.output is not None:
            _check_content("output", self.output)
        elif self.status == "approved":
            raise ExampleError("output is missing (only a draft may wait for it)")
        if self.label is not None and not (isinstance(self.label, str) and self.label.strip()):
            raise ExampleError(f"label must be non-empty text, not {kind_of(self.label)}")
        if not isinstance(self.metadata, Mapping):
            raise ExampleError(f"metadata must be an object, not {kind_of(self.metadata)}")
        if self.status not in STATUSES:
            raise ExampleError(f"no status {self.status!r}; {did_you_mean(self.status, STATUSES)}")
        if not isinstance(self.id, str) or self.id != self.id.strip() or len(self.id) > 200:
            raise ExampleError("id must be text of at most 200 characters without outer spaces")
        if not self.id.isprintable():
            raise ExampleError(f"id {self.id!r} has characters that can't be seen")
        _check_text(self.id)
        content = self.content
        _check_text(content)
        if len(content) > MAX_EXAMPLE_BYTES:
            raise ExampleError(
                f"the row has {len(content) / 1e6:.1f} MB; at most {MAX_EXAMPLE_BYTES / 1e6:.0f} MB"
            )
        if not self.id:
            object.__setattr__(self, "id", self.content_hash[:16])

    @classmethod
    def from_stored(cls, id: str, content: str, content_hash: str, status: Status) -> Example:
        """Make an example of what a store holds, which was checked when it was written."""
        example = object.__new__(cls)
        parts = json.loads(content)
        example.__dict__.update(
            input=parts["input"],
            output=parts.get("output"),
            label=parts.get("label"),
            metadata=parts.get("metadata", {}),
            id=id,
            status=status,
            content=content,
            content_hash=content_hash,
        )
        return example

    @cached_property
    def content(self) -> str:
        """The canonical JSON of input, output, label and metadata: what a hash stands for."""
        parts = {"input": self.input, "output": self.output, "label": self.label}
        row = {key: value for key, value in parts.items() if value is not None}
        if self.metadata:
            row["metadata"] = self.metadata
        return canonical_json(row)

    @cached_property
    def content_hash(self) -> str:
        """Hash the content after Unicode normalisation (NFC); 32 hex digits."""
        return text_hash(self.content)

    @cached_property
    def source_hash(self) -> str:
        """Hash content and status: what a source says of the row."""
        return source_hash(self.content, self.content_hash, self.status)

    def __hash__(self) -> int:
        return hash((self.id, self.content_hash, self.status))

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Example:
        """Read a row of a file. Keys that a row doesn't have go into `metadata`."""
        if not isinstance(row, Mapping):
            raise ExampleError(f"a row must be an object, not {kind_of(row)}")
        if row.get("input") is None:
            raise ExampleError(f"input is missing; the row has {', '.join(row) or 'nothing'}")
        metadata = row.get("metadata") or {}
        if not isinstance(metadata, Mapping):
            raise ExampleError(f"metadata must be an object, not {kind_of(metadata)}")
        others = {key: value for key, value in row.items() if key not in ROW_KEYS}
        output = row.get("output")
        return cls(
            input=row["input"],
            output=output,
            label=row.get("label"),
            metadata={**metadata, **others} if others else metadata,
            id=row.get("id") or "",
            status=row.get("status") or ("draft" if output is None else "approved"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the row that `from_dict` reads; empty parts and the status approved are left out."""
        row: dict[str, Any] = {"id": self.id, "input": self.input}
        if self.output is not None:
            row["output"] = self.output
        if self.label is not None:
            row["label"] = self.label
        if self.status != "approved":
            row["status"] = self.status
        if self.metadata:
            row["metadata"] = dict(self.metadata)
        return row


def retrieval_text(content: Content) -> str:
    """Give the text that an input is found by: fields and turns become lines."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        return "\n".join(f"{name}: {_plain(value)}" for name, value in content.items())
    return "\n".join(f"{turn['role']}: {turn['content']}" for turn in content)


def canonical_json(value: object) -> str:
    """Write JSON in one form only: sorted keys, no spaces, no NaN; raises ExampleError."""
    try:
        return json.dumps(
            value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
        )
    except RecursionError:
        raise ExampleError("a value is nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise ExampleError(f"a value can't be written as JSON: {error}") from None


def text_hash(text: str) -> str:
    """Hash a text after Unicode normalisation (NFC); 32 hex digits of SHA-256."""
    normal = text if text.isascii() else unicodedata.normalize("NFC", text)
    return hashlib.sha256(normal.encode()).hexdigest()[:32]


def source_hash(content: str, content_hash: str, status: Status) -> str:
    """Hash content and status; for an approved row that is the hash of its content."""
    return content_hash if status == "approved" else text_hash(f"{status}\n{content}")


def kind_of(value: object) -> str:
    """Name a value's kind as JSON would."""
    names = {str: "text", bool: "a boolean", int: "a number", float: "a number", dict: "an object"}
    return "null" if value is None else names.get(type(value), "a list")


def _plain(value: object) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _check_content(name: str, content: object) -> None:
    if isinstance(content, str):
        if not content.strip():
            raise ExampleError(f"{name} is empty")
    elif isinstance(content, Mapping):
        if not content:
            raise ExampleError(f"{name} is empty")
        if not all(isinstance(key, str) for key in content):
            raise ExampleError(f"{name} has a field whose name isn't text")
    elif isinstance(content, Sequence) and not isinstance(content, bytes):
        if not content:
            raise ExampleError(f"{name} is empty")
        for message in content:
            try:
                Message.from_dict(message)
            except ExampleError as error:
                raise ExampleError(f"{name} is a list, but not of messages: {error}") from None
    else:
        raise ExampleError(
            f"{name} must be text, an object or a list of messages, not {kind_of(content)}"
        )


def lone_surrogate(text: str) -> str | None:
    """Say what is wrong with a text that UTF-8 can't write; None when nothing is."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = f"U+{ord(text[error.start]):04X}"
        return f"contains a lone surrogate ({code}), half of a character; write it as UTF-8"
    return None


def _check_text(text: str) -> None:
    """Refuse what UTF-8 files and databases can't hold."""
    # Canonical JSON escapes NUL, so both spellings count; not a backslash that is itself escaped.
    if "\x00" in text or "\\u0000" in text.replace("\\\\", ""):
        raise ExampleError("the row contains a NUL byte")
    if problem := lone_surrogate(text):
        raise ExampleError(f"the row {problem}")

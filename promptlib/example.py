"""One labelled example: a frozen value, validated and hashed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from promptlib.errors import ExampleError, did_you_mean
from promptlib.message import Message, message_text, turns_of
from promptlib.text import canonical_json, check_text, kind_of, text_hash

Status = Literal["approved", "draft", "rejected"]
STATUSES: tuple[str, ...] = get_args(Status)

Content = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Text, an object of named fields, or a conversation (a list of messages)."""

MAX_EXAMPLE_BYTES = 1_000_000
"""Larger rows are refused: no prompt shows them, and embedding reads a few hundred words."""

ROW_KEYS = ("id", "input", "output", "label", "status", "metadata")

_decode = json.JSONDecoder().raw_decode  # a third of the time of json.loads: no spaces around


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
    content: str = field(init=False, repr=False, compare=False)
    """The canonical JSON of input, output, label and metadata: what a hash stands for."""
    content_hash: str = field(init=False, repr=False, compare=False)
    """Of the content after Unicode normalisation (NFC); 32 hex digits."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "input", _checked("input", self.input))
        if self.output is not None:
            object.__setattr__(self, "output", _checked("output", self.output))
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
        check_text(self.id)
        content = self._written()
        check_text(content)
        if len(content) > MAX_EXAMPLE_BYTES:
            raise ExampleError(
                f"the row has {len(content) / 1e6:.1f} MB; at most {MAX_EXAMPLE_BYTES / 1e6:.0f} MB"
            )
        object.__setattr__(self, "content", content)
        object.__setattr__(self, "content_hash", text_hash(content))
        if not self.id:
            object.__setattr__(self, "id", self.content_hash[:16])

    @classmethod
    def from_stored(cls, id: str, content: str, content_hash: str, status: Status) -> Example:
        """Make an example of what a store holds, which was checked when it was written."""
        example = object.__new__(cls)
        parts, _ = _decode(content)
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

    def _written(self) -> str:
        parts = ("label", self.label), ("metadata", self.metadata or None), ("output", self.output)
        # Part by part, in the order of their names: texts alone take a third of an object's time.
        more = [f',"{name}":{canonical_json(part)}' for name, part in parts if part is not None]
        return f'{{"input":{canonical_json(self.input)}{"".join(more)}}}'

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
        others = {key: row[key] for key in row if key not in ROW_KEYS}
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


@dataclass(frozen=True)
class Recipe:
    """Which part of an input it is found by."""

    fields: tuple[str, ...] = ()
    """Of an object: these alone; none for all."""
    turns: int = 0
    """Of a conversation: the last so many turns; 0 for all."""


def retrieval_text(content: Content, recipe: Recipe = Recipe()) -> str:  # frozen
    """Give the text that an input is found by: fields and messages become lines.

    A recipe of one field gives its value alone, as a query would have it. Raises ExampleError for
    an object that has none of the recipe's fields.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        names = [name for name in recipe.fields or sorted(content) if name in content]
        if not names:
            has, wants = ", ".join(content), ", ".join(recipe.fields)
            raise ExampleError(
                f"input has none of the fields that are embedded: {wants}; has {has}"
            )
        if len(recipe.fields) == 1:
            return _plain(content[names[0]])
        return "\n".join(f"{name}: {_plain(content[name])}" for name in names)
    last = turns_of(content)[-recipe.turns :]
    return "\n".join(f"{m['role']}: {message_text(m)}" for turn in last for m in turn)


def output_text(output: Content | None) -> str:
    """Give an output as one text: that of an object or a conversation is its JSON."""
    return output if isinstance(output, str) else canonical_json(output)


def source_hash(content: str, content_hash: str, status: Status) -> str:
    """Hash content and status; for an approved row that is the hash of its content."""
    return content_hash if status == "approved" else text_hash(f"{status}\n{content}")


def _plain(value: object) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _checked(name: str, content: Any) -> Any:
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
        try:
            return [Message.from_dict(message).to_dict() for message in content]
        except ExampleError as error:
            raise ExampleError(f"{name} is a list, but not of messages: {error}") from None
    else:
        raise ExampleError(
            f"{name} must be text, an object or a list of messages, not {kind_of(content)}"
        )
    return content

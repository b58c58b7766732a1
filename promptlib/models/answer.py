"""What is asked of a language model, and what it answers. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from promptlib.text import canonical_json

Finish = Literal["stop", "length", "refusal"]
"""Why an answer ended: it was complete, too long, or the model (or a filter) wouldn't."""

RECIPE = 0
"""Part of every digest: another number makes all answers that are kept unknown."""

Say = Callable[[str], None]
"""Called with each piece of an answer as it comes."""


@dataclass(frozen=True)
class Ask:
    """One thing to ask: messages to answer, or a text to go on from."""

    text: str
    messages: Sequence[Mapping[str, Any]] | None
    """None for a text: chat models get it as one message of the user."""
    tokens: int
    """What the prompt counts, for the bill in advance."""
    max_tokens: int
    stop: tuple[str, ...] = ()
    tools: Sequence[Mapping[str, Any]] = ()
    store: str = ""
    """Where its examples come from."""

    @property
    def chat(self) -> list[dict[str, Any]]:
        """The messages; a text as one of the user."""
        messages = self.messages or [{"role": "user", "content": self.text}]
        return [dict(message) for message in messages]

    def digest(self, **also: Any) -> str:
        """Hash all that an answer depends on, and what else is named."""
        sent = self.text if self.messages is None else self.chat
        facts = [sent, self.max_tokens, list(self.stop), list(self.tools), RECIPE, also]
        return hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:32]


def cut_at(text: str, stop: Sequence[str]) -> str:
    """Give what stands before the first stop sequence."""
    places = [at for mark in stop if (at := text.find(mark)) >= 0]
    return text[: min(places)] if places else text


@dataclass(frozen=True)
class Answer:
    """What a model answered, and what that took."""

    text: str
    finish: Finish
    input_tokens: int
    output_tokens: int
    seconds: float
    cost: float | None
    """USD; None where no price is known."""
    cached: bool = False
    """Whether it was asked before: then it cost nothing now."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {**vars(self)}


class LanguageModel(Protocol):
    """Something that answers. Its methods may be called by several threads at once."""

    name: str
    """As it is asked for: openai:gpt-4o-mini."""
    concurrency: int
    """How many may ask at once."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """All of the model that an answer depends on, as plain data."""

    def check(self) -> None:
        """Raise ModelError if it is plain that it can't be asked: without a key, say."""

    def ask(self, ask: Ask, say: Say | None = None) -> Answer:
        """Ask once; with `say` the answer is handed on as it comes. Raises ModelError."""

    def close(self) -> None:
        """End what is going on."""

"""Count tokens, exactly where the tokenizer is public, by a marked estimate where it isn't."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from promptlib.budget.models import (
    ESTIMATE_MARGIN,
    CountKind,
    encoding_of,
    shipped_name,
)
from promptlib.budget.shipped import shipped_encoding

if TYPE_CHECKING:
    import tiktoken

CountChat = Callable[[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]], int]
"""(messages, tools) -> tokens of the whole request."""

PER_TOOL = 12
"""Added for the framing of a tool or of a call to one: the most that OpenAI's cookbook finds."""

PER_MESSAGE, PER_NAME, PRIMING = 3, 1, 3
"""Tokens of chat framing, by OpenAI's cookbook ("How to count tokens with tiktoken"), for
gpt-3.5-turbo-0613 and all later chat models."""


@dataclass(frozen=True)
class TokenCounter:
    """Counts the tokens of texts and of chat messages.

    `encoding` names the tokenizer, `kind` says whether the counts are the model's own ("exact") or
    another tokenizer's plus `margin` ("estimate"). `count_chat` counts messages and tools where
    their framing is known exactly; without it, OpenAI's published rule is used.
    """

    count_text: Callable[[str], int]
    encoding: str = "custom"
    kind: CountKind = "exact"
    margin: float = 0.0
    count_chat: CountChat | None = None
    ends: Callable[[str], Sequence[int]] | None = None
    """Text -> the places, in characters, where its tokens end."""
    expect: Callable[[Iterable[str]], None] | None = None
    """Told of the texts that are counted next: together they may take less."""

    @classmethod
    def for_encoding(cls, encoding: str) -> TokenCounter:
        """Count by an encoding's name; raises EncodingError for one that isn't shipped."""
        name = shipped_name(encoding)
        return cls._shipped(name)

    @classmethod
    @lru_cache
    def for_model(cls, model: str) -> TokenCounter:
        """Count for a model; raises EncodingError for one that nothing is known of."""
        encoding = encoding_of(model)
        margin = 0.0 if encoding.kind == "exact" else ESTIMATE_MARGIN
        return cls._shipped(encoding.name, encoding.kind, margin)

    @classmethod
    def _shipped(cls, name: str, kind: CountKind = "exact", margin: float = 0.0) -> TokenCounter:
        return cls(
            _remembering(name), name, kind, margin, ends=shipped_encoding(name).ends,
            expect=shipped_encoding(name).expect,
        )  # fmt: skip

    @property
    def is_shipped(self) -> bool:
        """Whether its ranks come with the package, and never change."""
        return self.expect is not None

    def load(self) -> None:
        """Load now all that counting may take."""
        if self.is_shipped:
            load_encoding(self.encoding)
        self.count("")

    def count(self, text: str) -> int:
        """Count the tokens of a text; text that looks like a special token is text."""
        return self._with_margin(self.count_text(text))

    def count_messages(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> int:
        """Count a chat request: every message with its framing, the priming, and the tools.

        How OpenAI's models see tools and calls isn't published; their JSON is longer than that.
        """
        if self.count_chat is not None:
            return self._with_margin(self.count_chat(messages, tools))
        count = self.count_text
        roles = [message["role"] for message in messages]
        if self.expect is not None:
            contents = (message["content"] for message in messages)
            self.expect(chain(roles, (text for text in contents if isinstance(text, str))))
        role_tokens = {role: count(role) for role in set(roles)}
        total = PRIMING + sum(PER_MESSAGE + role_tokens[role] for role in roles)
        for message in messages:
            content = message["content"]
            total += count(content) if isinstance(content, str) else self._count_parts(content)
            if len(message) > 2:
                total += self._count_rest(message)
        total += sum(PER_TOOL + count(_compact(tool)) for tool in tools)
        return self._with_margin(total)

    def token_ends(self, text: str) -> Sequence[int]:
        """Say where the tokens of a text end, in characters; anywhere, if that isn't known."""
        return self.ends(text) if self.ends is not None else range(1, len(text) + 1)

    def kind_of(
        self, messages: Sequence[Mapping[str, Any]] | None, tools: Sequence[Mapping[str, Any]] = ()
    ) -> CountKind:
        """Say whether the count of a request is exact.

        That of text is; that of tools and calls where a chat template says how they look; that of
        images and the like never.
        """
        has_calls = bool(tools) or any("tool_calls" in message for message in messages or ())
        has_parts = any(not_text(message["content"]) for message in messages or ())
        if has_parts or (has_calls and self.count_chat is None):
            return "estimate"
        return self.kind

    def _count_parts(self, parts: Sequence[Mapping[str, Any]] | None) -> int:
        return sum(self.count_text(part["text"]) for part in parts or () if part["type"] == "text")

    def _count_rest(self, message: Mapping[str, Any]) -> int:
        total = 0
        if "name" in message:
            total += PER_NAME + self.count_text(message["name"])
        if "tool_call_id" in message:
            total += self.count_text(message["tool_call_id"])
        for call in message.get("tool_calls", ()):
            total += PER_TOOL + self.count_text(_compact(call))
        return total

    def _with_margin(self, tokens: int) -> int:
        return math.ceil(tokens * (1 + self.margin)) if self.margin else tokens


def not_text(content: Any) -> bool:
    """Whether a message's content has parts, images say, whose tokens a text's count misses."""
    return isinstance(content, list | tuple) and any(part["type"] != "text" for part in content)


def load_encoding(name: str) -> tiktoken.Encoding:
    """Load all of a shipped encoding, once; nothing is fetched, written or cached on disk."""
    return shipped_encoding(shipped_name(name)).whole()


REMEMBERED, SHORT = 8_192, 1_000
"""Texts whose counts are kept, and how many characters they have at most: some megabytes."""


@lru_cache
def _remembering(name: str) -> Callable[[str], int]:
    count = shipped_encoding(name).count
    # Labels, examples and roles come again in every prompt, and in every try to fit it.
    known = lru_cache(REMEMBERED)(count)
    return lambda text: known(text) if len(text) <= SHORT else count(text)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

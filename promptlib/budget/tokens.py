"""Count tokens, exactly where the tokenizer is public, by a marked estimate where it isn't."""

from __future__ import annotations

import math
from binascii import a2b_base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptlib.budget.models import (
    ESTIMATE_MARGIN,
    SHIPPED,
    CountKind,
    encoding_of,
    shipped_name,
)

if TYPE_CHECKING:
    import tiktoken

# Word patterns of the encodings, as published with tiktoken (MIT).
_CL100K = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"""
    r"""|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
)
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTION}"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTION}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_PATTERNS = {"o200k_base": _O200K, "cl100k_base": _CL100K}

PER_MESSAGE, PER_NAME, PRIMING = 3, 1, 3
"""Tokens of chat framing, by OpenAI's cookbook ("How to count tokens with tiktoken"), for
gpt-3.5-turbo-0613 and all later chat models."""


@dataclass(frozen=True)
class TokenCounter:
    """Counts the tokens of texts and of chat messages.

    `encoding` names the tokenizer, `kind` says whether the counts are the model's own ("exact") or
    another tokenizer's plus `margin` ("estimate").
    """

    count_text: Callable[[str], int]
    encoding: str = "custom"
    kind: CountKind = "exact"
    margin: float = 0.0

    @classmethod
    def for_encoding(cls, encoding: str) -> TokenCounter:
        """Count by an encoding's name; raises EncodingError for one that isn't shipped."""
        name = shipped_name(encoding)
        return cls(_tiktoken_count(name), name)

    @classmethod
    @lru_cache
    def for_model(cls, model: str) -> TokenCounter:
        """Count for a model; raises EncodingError for one that nothing is known of."""
        encoding = encoding_of(model)
        margin = 0.0 if encoding.kind == "exact" else ESTIMATE_MARGIN
        return cls(_tiktoken_count(encoding.name), encoding.name, encoding.kind, margin)

    def count(self, text: str) -> int:
        """Count the tokens of a text; text that looks like a special token is text."""
        return self._with_margin(self.count_text(text))

    def count_messages(self, messages: Sequence[Mapping[str, Any]]) -> int:
        """Count a chat request: every value, the framing of each message, and the priming."""
        count = self.count_text
        roles = [message["role"] for message in messages]
        role_tokens = {role: count(role) for role in set(roles)}
        total = PRIMING + sum(PER_MESSAGE + role_tokens[role] for role in roles)
        for message in messages:
            total += sum(count(value) for key, value in message.items() if key != "role")
            total += PER_NAME if "name" in message else 0
        return self._with_margin(total)

    def _with_margin(self, tokens: int) -> int:
        return math.ceil(tokens * (1 + self.margin)) if self.margin else tokens


def load_encoding(name: str) -> tiktoken.Encoding:
    """Load a shipped encoding, once; nothing is fetched, written or cached on disk."""
    return _load(shipped_name(name))


@lru_cache
def _load(name: str) -> tiktoken.Encoding:
    import tiktoken

    ranks = read_ranks(rank_file(name))
    pattern = _PATTERNS[name]
    return tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def rank_file(name: str) -> Path:
    """Say where the ranks of a shipped encoding are."""
    return Path(__file__).resolve().parent.parent / "data" / "tiktoken" / SHIPPED[name]


def read_ranks(path: Path) -> dict[bytes, int]:
    """Read tiktoken's format: a line each of base64 token and rank."""
    words = path.read_bytes().split()  # token, rank, token, rank, ...
    return dict(zip(map(a2b_base64, words[::2]), map(int, words[1::2]), strict=True))


def _tiktoken_count(name: str) -> Callable[[str], int]:
    def count(text: str) -> int:
        return len(_load(name).encode_ordinary(text))

    return count

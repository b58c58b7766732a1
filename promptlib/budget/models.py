"""Which tokenizer and which context window a language model has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from promptlib.errors import EncodingError, did_you_mean

CountKind = Literal["exact", "estimate"]

SHIPPED = ("o200k_base", "cl100k_base")
"""Encodings whose ranks are in data/tiktoken."""

SAME_RANKS = {"o200k_harmony": "o200k_base"}
"""Encodings that differ from a shipped one in special tokens only, which counting never uses."""

NOT_PUBLIC = (
    "claude", "codestral", "command", "deepseek", "gemini", "gemma", "glm", "grok", "jamba", "kimi",
    "llama", "ministral", "mistral", "mixtral", "nova", "phi", "qwen",
)  # fmt: skip
"""Families whose tokenizer isn't among those shipped: their tokens are estimated."""

ESTIMATE_MARGIN = 0.35
"""Added to o200k_base's count for an estimate. Other tokenizers need up to about a third more
tokens for the same English or code; scripts that they know less well can need more."""


@dataclass(frozen=True)
class Encoding:
    """Which encoding counts for a model, and whether that is its own."""

    name: str
    kind: CountKind


def encoding_of(model: str) -> Encoding:
    """Find the encoding of a model; raises EncodingError for one that nothing is known of."""
    from tiktoken.model import encoding_name_for_model

    family = model.rpartition("/")[2].rpartition(":")[2].lower()
    if family.startswith(NOT_PUBLIC):
        return Encoding("o200k_base", "estimate")
    try:
        name = encoding_name_for_model(family)
    except KeyError:
        raise EncodingError(
            f"no tokenizer is known for model {model!r}; "
            "give an encoding (o200k_base or cl100k_base) as well"
        ) from None
    return Encoding(shipped_name(name), "exact")


def shipped_name(encoding: str) -> str:
    """Name the shipped encoding that counts as this one; raises EncodingError."""
    name = SAME_RANKS.get(encoding, encoding)
    if name not in SHIPPED:
        raise EncodingError(
            f"encoding {encoding!r} isn't shipped; {did_you_mean(encoding, SHIPPED)}"
        )
    return name


def context_window(model: str) -> int | None:
    """Look up a model's context window in tokens; None where it isn't known."""
    from genai_prices.data_snapshot import get_snapshot

    name = model.rpartition("/")[2]
    try:
        _, info = get_snapshot().find_provider_model(name, None, None, None)
    except LookupError:
        return None
    return info.context_window

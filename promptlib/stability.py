"""Where a prompt's stable prefix ends: the start that it shares with the prompts of other queries.

Providers serve a prefix that they have seen before from a cache, cheaper and sooner. What is stable
is found by rendering once more with everything that depends on the query replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from promptlib.budget.tokens import TokenCounter
from promptlib.errors import PromptlibError, TemplateError
from promptlib.templating.template import Rendered, Template
from promptlib.templating.values import JsonList, JsonObject
from promptlib.text import shared_prefix

PER_QUERY = ("examples", "candidate_labels", "history")
"""What a body sees, beside its inputs, that depends on the query."""

OTHER = "\ue000\ue001"
"""A text that no other begins with: private characters."""


@dataclass(frozen=True)
class StablePrefix:
    """The start of a prompt that doesn't depend on the query."""

    tokens: int
    share: float
    """Of the prompt's tokens."""
    messages: int
    """Whole messages; 0 for text."""
    characters: int
    """Of the message after these, or of the text."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return asdict(self) | {"share": round(self.share, 4)}


class _AnyLabel(JsonObject):
    """Definitions that know every label."""

    def __missing__(self, key: str) -> str:
        return OTHER


def find_stable_prefix(
    template: Template, scope: Mapping[str, Any], without: frozenset[str], rendered: Rendered,
    counter: TokenCounter, total: int,
) -> StablePrefix | None:  # fmt: skip
    """Compare a prompt with one for another query; None where the template can't render that."""
    other = {
        name: _other(value) if name in PER_QUERY or name in template.inputs else value
        for name, value in scope.items()
    }
    other |= {name: value for name, value in _placeholders().items() if not scope.get(name)}
    other["label_definitions"] = _AnyLabel(scope.get("label_definitions") or {})
    try:
        compared = template.render_scope(other, without)
    except TemplateError:
        return None
    if template.is_chat:
        return _of_messages(rendered.messages or [], compared.messages or [], counter, total)
    # A text may go as one message; it is the same text.
    text = rendered.text if rendered.messages is None else rendered.messages[0]["content"]
    same = shared_prefix([text, compared.text])
    tokens = counter.count(same) if same else 0
    return StablePrefix(tokens, min(1.0, tokens / max(1, total)), 0, len(same))


def _placeholders() -> dict[str, Any]:
    """Stand for what this query had none of."""
    example = {"id": OTHER, "input": OTHER, "output": OTHER, "label": OTHER, "metadata": {}}
    said = [{"role": role, "content": OTHER} for role in ("user", "assistant")]
    return {
        "examples": JsonList([JsonObject(example)]),
        "candidate_labels": JsonList([OTHER]),
        "history": JsonList(map(JsonObject, said)),
    }


def _other(value: Any) -> Any:
    """Make another value of the same kind; roles of messages stay what they are."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return OTHER
    if isinstance(value, int | float):
        return value + 987_654_321
    if isinstance(value, Mapping):
        kept = ("role", "type", "id", "tool_call_id") if "role" in value else ("type",)
        return JsonObject({k: v if k in kept else _other(v) for k, v in value.items()})
    if isinstance(value, Sequence):
        return JsonList(_other(item) for item in value)
    return value


def _of_messages(
    said: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]], counter: TokenCounter,
    total: int,
) -> StablePrefix:  # fmt: skip
    whole = 0
    for one, another in zip(said, other, strict=False):
        if one != another:
            break
        whole += 1
    prefix, characters = list(said[:whole]), 0
    if whole < min(len(said), len(other)):
        one, another = said[whole], other[whole]
        contents = one["content"], another["content"]
        if one["role"] == another["role"] and all(isinstance(text, str) for text in contents):
            same = shared_prefix(contents)
            characters = len(same)
            prefix += [{"role": one["role"], "content": same}] if same else []
    tokens = _count(prefix, counter) if prefix else 0
    return StablePrefix(tokens, min(1.0, tokens / max(1, total)), whole, characters)


def _count(messages: Sequence[Mapping[str, Any]], counter: TokenCounter) -> int:
    try:
        return counter.count_messages(messages)
    except PromptlibError:  # a chat template that wants a whole conversation
        texts = (message["content"] for message in messages)
        return sum(counter.count(text) for text in texts if isinstance(text, str))

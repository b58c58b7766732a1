"""Where a prompt's stable prefix ends: the start that it shares with the prompts of other queries.

Providers serve a prefix that they have seen before from a cache, cheaper and sooner. What is stable
is found by rendering once more with everything that depends on the query replaced.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from promptlib.budget.tokens import TokenCounter
from promptlib.errors import PromptlibError, TemplateError
from promptlib.templating.template import Rendered, Template
from promptlib.templating.values import Anything, JsonList, JsonObject, jsonable
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

    def get(self, key: str, default: Any = None) -> Any:
        return self[key]


def find_stable_prefix(
    template: Template, scope: Mapping[str, Any], without: frozenset[str], rendered: Rendered,
    counter: TokenCounter, total: int, tools: Sequence[Mapping[str, Any]] = (),
    only: Container[str] | None = None,
) -> StablePrefix | None:  # fmt: skip
    """Compare a prompt with those of other queries; None where the template can't render that.

    One of them has something in every place, the other nothing where that may be. With `only`,
    nothing but these names is replaced.
    """
    # Of an input with few values, each has a beginning of its own: it counts as settled.
    inputs = (name for name, spec in template.inputs.items() if not spec.enum)
    names = [name for name in (*PER_QUERY, *inputs) if only is None or name in only]
    scope = {**scope, "label_definitions": _AnyLabel(scope.get("label_definitions") or {})}

    def shared(values: Mapping[str, Any]) -> tuple[int, int] | None:
        try:
            compared = template.render_scope({**scope, **values}, without)
        except TemplateError:
            return None
        return _shared(template, rendered, compared)

    variants = {name: _variants(name, scope.get(name), template) for name in names}
    found = [shared({name: values[0] for name, values in variants.items()})]
    if found[0] is None:  # one by one, then: each may need a value of its own kind
        found = [
            next(filter(None, (shared({name: v}) for v in values if v != scope.get(name))), None)
            for name, values in variants.items()
        ]
        if None in found:
            return None
    found.append(shared({name: values[-1] for name, values in variants.items()}))
    whole, characters = min(each for each in found if each is not None)
    tokens = _count(rendered, whole, characters, counter, tools)
    return StablePrefix(tokens, min(1.0, tokens / max(1, total)), whole, characters)


def _shared(template: Template, one: Rendered, other: Rendered) -> tuple[int, int]:
    """Say how many whole messages two renders share, and how many characters after them."""
    if not template.is_chat:  # a text may go as one message; it is the same text
        return 0, len(shared_prefix([_text(one), _text(other)]))
    said, compared = one.messages or [], other.messages or []
    whole = 0
    for mine, another in zip(said, compared, strict=False):
        if mine != another:
            break
        whole += 1
    if whole == min(len(said), len(compared)):
        return whole, 0
    contents = [said[whole]["content"], compared[whole]["content"]]
    same_role = said[whole]["role"] == compared[whole]["role"]
    if same_role and all(isinstance(text, str) for text in contents):
        return whole, len(shared_prefix(contents))
    return whole, 0


def _text(rendered: Rendered) -> str:
    text: str = rendered.text if rendered.messages is None else rendered.messages[0]["content"]
    return text


def _count(
    rendered: Rendered, whole: int, characters: int, counter: TokenCounter,
    tools: Sequence[Mapping[str, Any]],
) -> int:  # fmt: skip
    """Count the tokens of a start: those that end within it."""
    messages = rendered.messages or []
    shared = list(messages[:whole])
    text = rendered.text if rendered.messages is None else ""
    if whole < len(messages) and characters:
        text = messages[whole]["content"]
        shared.append({"role": messages[whole]["role"], "content": ""})  # what frames it
    part = 0
    if characters and counter.ends is not None:
        part = sum(end <= characters for end in counter.ends(text))
    elif characters:  # the last token may go on
        part = max(0, counter.count(text[:characters]) - 1)
    if not shared and not tools:
        return part
    try:
        framing = counter.count_messages([]) if counter.count_chat is None else 0
        return part + counter.count_messages(shared, tools) - framing
    except PromptlibError:  # a chat template that wants a whole conversation
        texts = (message["content"] for message in shared)
        return part + sum(counter.count(text) for text in texts if isinstance(text, str))


_ANYTHING = Anything({OTHER: OTHER})
_EXAMPLE = {
    "id": OTHER, "input": _ANYTHING, "output": _ANYTHING, "label": OTHER, "metadata": _ANYTHING,
}  # fmt: skip
_TALK = [{"role": role, "content": OTHER} for role in ("user", "assistant", "user")]

_OTHERS: Mapping[str | None, Any] = {
    "examples": [_EXAMPLE], "candidate_labels": [OTHER], "history": _TALK, "messages": _TALK,
    "string": OTHER, "integer": 7, "number": 7.5, "boolean": True, "list": [_ANYTHING],
    "object": _ANYTHING, None: OTHER,
}  # fmt: skip
"""What stands for something where this query has nothing: by name, or by an input's type."""


def _variants(name: str, value: Any, template: Template) -> list[Any]:
    """Make other values for a name, likeliest first; the last is as empty as it may be."""
    spec = template.inputs.get(name)
    empty = JsonList() if spec is None else value if spec.is_required else jsonable(spec.default)
    if value is None or value == "" or value in ([], {}):
        return [jsonable(_OTHERS[spec.type if spec is not None else name]), empty]
    others = [_changed(value)]
    if isinstance(value, str):
        others.append(f"{OTHER}{value}{OTHER}")  # a body may take it apart
    elif isinstance(value, int | float) and not isinstance(value, bool):
        others.append(value - 1)
    return [*others, empty]


def _changed(value: Any) -> Any:
    """Make another value of the same kind; roles of messages stay what they are."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return OTHER
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, Mapping):
        kept = ("role", "type", "id", "tool_call_id") if "role" in value else ("type",)
        return JsonObject({k: v if k in kept else _changed(v) for k, v in value.items()})
    if isinstance(value, Sequence):
        return JsonList(_changed(item) for item in value)
    return value

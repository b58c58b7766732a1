"""What the request bodies of all providers are made from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptlib.errors import ExampleError, ProviderError
from promptlib.message import check_calls
from promptlib.text import lone_surrogate


@dataclass(frozen=True)
class Request:
    """A prompt as a chat request, in the form that promptlib has it."""

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    model: str | None = None
    reserve: int = 0
    """The most tokens that the answer may take; 0 for no limit."""
    stable: int = 0
    """How many messages from the start are the same for every query."""
    split: int = 0
    """How many characters of the next one are too, where that is worth a marker of its own."""

    @property
    def system(self) -> Sequence[Mapping[str, Any]]:
        """The instructions at the start, which some providers take apart from the rest."""
        return self.messages[: len(self.messages) - len(self.turns)]

    @property
    def turns(self) -> Sequence[Mapping[str, Any]]:
        """The messages from the first that isn't an instruction."""
        for number, message in enumerate(self.messages):
            if message["role"] not in INSTRUCTIONS:
                return self.messages[number:]
        return ()


INSTRUCTIONS = ("system", "developer")


def text_parts(message: Mapping[str, Any], provider: str) -> list[str]:
    """List the texts of an instruction; raises ProviderError for anything else in it."""
    parts = content_parts(message)
    for part in parts:
        if part["type"] != "text":
            raise ProviderError(f"{provider} takes no {part['type']} part in an instruction")
    return [part["text"] for part in parts]


def content_parts(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List the parts of a message, without texts that are empty."""
    content = message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or ()
    return [part for part in parts if part["type"] != "text" or part["text"].strip()]


def add_turn(
    turns: list[dict[str, Any]], role: str, key: str, parts: list[dict[str, Any]], provider: str
) -> None:
    """Add what a role says, to its turn if it goes on; raises ProviderError if that is nothing."""
    if not parts:
        raise ProviderError(f"{provider} takes no empty message; one of the {role} is")
    if turns and turns[-1]["role"] == role:
        turns[-1][key] += parts
    else:
        turns.append({"role": role, key: parts})


def function_of(tool: Mapping[str, Any], provider: str) -> Mapping[str, Any]:
    """Take the function out of a tool's schema; raises ProviderError for another kind of tool."""
    function = tool.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise ProviderError(
            f"{provider} can't be given a tool of type {tool.get('type')!r}: only functions, as "
            '{"type": "function", "function": {"name": ..., "parameters": ...}}'
        )
    return function


def arguments_of(call: Mapping[str, Any], provider: str) -> Mapping[str, Any]:
    """Read the arguments of a call as an object; raises ProviderError."""
    function = call.get("function")
    if call.get("type", "function") != "function" or not isinstance(function, Mapping):
        raise ProviderError(f"{provider} takes calls of functions alone, not {call.get('type')!r}")
    try:
        arguments = plain_json(function["arguments"] or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, Mapping):
        raise ProviderError(
            f"{provider} takes the arguments of a call as an object; those of call "
            f"{call['id']!r} aren't JSON for one"
        )
    return arguments


def plain_json(text: str) -> Any:
    """Read JSON; raises ValueError, for NaN and the like too, which aren't JSON."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    value = json.loads(text, parse_constant=refuse)
    if problem := lone_surrogate(json.dumps(value, ensure_ascii=False)):
        raise ValueError(problem)
    return value


def image_of(part: Mapping[str, Any], provider: str) -> tuple[str, str | None]:
    """Read an image part: (base64, media type) of a data URL, or (address, None).

    Raises ProviderError for a part of another kind.
    """
    image = part.get("image_url")
    address = image.get("url") if isinstance(image, Mapping) else None
    if part["type"] != "image_url" or not isinstance(address, str):
        raise ProviderError(
            f"{provider} can't be given a part of type {part['type']!r}: only text and image_url"
        )
    if not address.startswith("data:"):
        return address, None
    head, comma, data = address[len("data:") :].partition(",")
    media = head.partition(";")[0]
    if not (comma and head.endswith(";base64") and media):
        raise ProviderError(f"{provider} takes images as base64: data:image/png;base64,...")
    return data, media


def check_answers(request: Request, provider: str) -> None:
    """Raise ProviderError for calls without results, and results without calls."""
    try:
        check_calls(request.messages)
    except ExampleError as error:
        raise ProviderError(f"{provider} takes calls and results together: {error}") from None


def check_turns(request: Request, provider: str) -> None:
    """Raise ProviderError for a conversation that no user begins, or with calls unanswered."""
    check_answers(request, provider)
    turns = request.turns
    if not turns:
        raise ProviderError(f"{provider} needs a message of the user; these are instructions alone")
    if turns[0]["role"] not in ("user", *INSTRUCTIONS):
        raise ProviderError(
            f"{provider} wants the user to speak first; here it is the {turns[0]['role']}"
        )

"""The body of Anthropic's Messages API.

https://docs.anthropic.com/en/api/messages: instructions stand apart, the roles user and assistant
take turns, calls and their results are blocks, and a marker says up to where to cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from promptlib.bodies.common import (
    INSTRUCTIONS,
    Request,
    add_turn,
    arguments_of,
    check_turns,
    content_parts,
    function_of,
    image_of,
    text_parts,
)
from promptlib.errors import ProviderError

NAME = "Anthropic"

ANSWER = 1024
"""Tokens allowed for the answer where no reserve says how many: the API wants a number."""

MARKER = {"type": "ephemeral"}

IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")


def anthropic_body(request: Request) -> dict[str, Any]:
    """Make the body; raises ProviderError for what the API has no form for.

    Instructions after the start become text of the user's turn: there is no other place for them.
    Neighbours of one role are merged. The marker for caching stands where the stable prefix ends.
    """
    check_turns(request, NAME)
    if not request.tools and any("tool_calls" in message for message in request.messages):
        raise ProviderError(f"{NAME} wants the schemas of tools beside calls: build with tools")
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    last_stable: dict[str, Any] | None = None
    instructions = len(request.system)
    for number, message in enumerate(request.messages):
        if number < instructions:
            blocks = [_text(text) for text in text_parts(message, NAME)]
        else:
            blocks = list(_blocks(message))
        if number == request.stable and request.split:
            blocks = _cut(blocks, request.split)
        if number < request.stable and blocks:
            last_stable = blocks[-1]
        elif number == request.stable and request.split and len(blocks) > 1:
            last_stable = blocks[0]
        if number < instructions:
            system += blocks
        else:
            role = "assistant" if message["role"] == "assistant" else "user"
            add_turn(turns, role, "content", blocks, NAME)
    tools = [_tool(tool) for tool in request.tools]
    if last_stable is None and tools:
        last_stable = tools[-1]  # they come before everything else
    if last_stable is not None:
        last_stable["cache_control"] = MARKER
    body: dict[str, Any] = {"model": request.model} if request.model is not None else {}
    body["max_tokens"] = request.reserve or ANSWER
    if system:
        body["system"] = system
    body["messages"] = turns
    if tools:
        body["tools"] = tools
    return body


def _cut(blocks: list[dict[str, Any]], at: int) -> list[dict[str, Any]]:
    """Cut a text in two, so that a marker can stand between them."""
    text = blocks[0].get("text", "") if len(blocks) == 1 else ""
    start, rest = text[:at], text[at:]
    return [_text(start), _text(rest)] if start.strip() and rest.strip() else blocks


def _blocks(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if message["role"] == "tool":
        yield {
            "type": "tool_result",
            "tool_use_id": message["tool_call_id"],
            "content": [_text(text) for text in text_parts(message, NAME)],
        }
        return
    if message["role"] in INSTRUCTIONS:
        yield from (_text(text) for text in text_parts(message, NAME))
    else:
        yield from map(_part, content_parts(message))
    for call in message.get("tool_calls", ()):
        arguments = dict(arguments_of(call, NAME))
        name = call["function"]["name"]
        yield {"type": "tool_use", "id": call["id"], "name": name, "input": arguments}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] == "text":
        return _text(part["text"])
    data, media = image_of(part, NAME)
    if media is None:
        return {"type": "image", "source": {"type": "url", "url": data}}
    if media not in IMAGES:
        raise ProviderError(f"{NAME} takes no image of type {media}: only {', '.join(IMAGES)}")
    return {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = function_of(tool, NAME)
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    made = {"name": function["name"], "input_schema": schema}
    if function.get("description"):
        made["description"] = function["description"]
    return made

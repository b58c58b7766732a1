"""What Gemini's generateContent takes, as the google-genai package and as the REST API want it.

https://ai.google.dev/api/generate-content: instructions stand apart, the roles are user and model,
calls and their results are parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from promptlib.bodies.common import (
    Request,
    add_turn,
    arguments_of,
    check_turns,
    content_parts,
    function_of,
    image_of,
    plain_json,
    text_parts,
)
from promptlib.errors import ProviderError

NAME = "Gemini"


def gemini_request(request: Request) -> dict[str, Any]:
    """Make the arguments of google-genai's `generate_content`; raises ProviderError.

    Instructions after the start become text of the user's turn. Neighbours of one role are merged.
    """
    check_turns(request, NAME)
    contents: list[dict[str, Any]] = []
    names: dict[str, str] = {}  # of the functions that were called, by call
    for message in request.turns:
        for call in message.get("tool_calls", ()):
            if call.get("type", "function") == "function":
                names[call["id"]] = call["function"]["name"]
        role = "model" if message["role"] == "assistant" else "user"
        add_turn(contents, role, "parts", list(_parts(message, names)), NAME)
    config: dict[str, Any] = {}
    system = [{"text": text} for message in request.system for text in text_parts(message, NAME)]
    if system:
        config["system_instruction"] = {"parts": system}
    if request.tools:
        declared = [_declaration(tool) for tool in request.tools]
        config["tools"] = [{"function_declarations": declared}]
    if request.reserve:
        config["max_output_tokens"] = request.reserve
    made: dict[str, Any] = {"model": request.model} if request.model is not None else {}
    made["contents"] = contents
    if config:
        made["config"] = config
    return made


def gemini_body(request: Request) -> dict[str, Any]:
    """Make the body of a POST to models/MODEL:generateContent; raises ProviderError."""
    made = gemini_request(request)
    config = made.get("config", {})
    body: dict[str, Any] = {}
    if "system_instruction" in config:
        body["systemInstruction"] = config["system_instruction"]
    body["contents"] = _in_camel_case(made["contents"])
    if "tools" in config:
        body["tools"] = _in_camel_case(config["tools"])
    if "max_output_tokens" in config:
        body["generationConfig"] = {"maxOutputTokens": config["max_output_tokens"]}
    return body


_CAMEL = {
    "function_call": "functionCall", "function_response": "functionResponse",
    "inline_data": "inlineData", "file_data": "fileData", "mime_type": "mimeType",
    "file_uri": "fileUri", "function_declarations": "functionDeclarations",
    "parameters_json_schema": "parametersJsonSchema",
}  # fmt: skip
_DATA = ("args", "response", "parameters_json_schema")
"""Keys below which names are the user's own."""


def _in_camel_case(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            _CAMEL.get(key, key): item if key in _DATA else _in_camel_case(item)
            for key, item in value.items()
        }
    return [_in_camel_case(item) for item in value] if isinstance(value, list) else value


def _parts(message: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    if message["role"] == "tool":
        call = message["tool_call_id"]
        if call not in names:  # a call of another kind than a function's
            raise ProviderError(f"{NAME} needs the function that the result {call!r} is of")
        said = "".join(text_parts(message, NAME))
        yield {"function_response": {"name": names[call], "response": _response(said)}}
        return
    for part in content_parts(message):
        yield {"text": part["text"]} if part["type"] == "text" else _image(part)
    for call in message.get("tool_calls", ()):
        arguments = dict(arguments_of(call, NAME))
        yield {"function_call": {"name": call["function"]["name"], "args": arguments}}


def _image(part: Mapping[str, Any]) -> dict[str, Any]:
    data, media = image_of(part, NAME)
    if media is None:
        return {"file_data": {"file_uri": data}}
    return {"inline_data": {"mime_type": media, "data": data}}


def _response(said: str) -> dict[str, Any]:
    """Give a tool's result as the object that it must be."""
    try:
        result = plain_json(said)
    except ValueError:
        result = said
    return result if isinstance(result, dict) else {"result": result}


def _declaration(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = function_of(tool, NAME)
    made = {"name": function["name"]}
    if function.get("description"):
        made["description"] = function["description"]
    if function.get("parameters"):
        made["parameters_json_schema"] = function["parameters"]
    return made

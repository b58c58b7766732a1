"""Request bodies, against the request types that the providers publish."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from click.testing import CliRunner
from google.genai import types as genai
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter, ValidationError

from cli.main import cli
from promptlib.bodies.anthropic import anthropic_body
from promptlib.bodies.common import Request
from promptlib.bodies.gemini import gemini_body, gemini_request
from promptlib.bodies.openai import openai_body
from promptlib.errors import ProviderError
from promptlib.message import read_messages
from promptlib.project import Project

ROUTE = "tickets/route"
TOOL = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "Look up an order.",
        "parameters": {
            "type": "object", "properties": {"inline_data": {"type": "string"}},
            "required": ["inline_data"],
        },
    },
}  # fmt: skip
CALL = {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": '{"a": 1}'}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
LINK = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
TALK = read_messages([
    {"role": "system", "content": "Be kind."},
    {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
    {"role": "user", "content": [{"type": "text", "text": "What is this?"}, IMAGE, LINK]},
    {"role": "assistant", "content": "Let me look.", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": '{"found": true}'},
    {"role": "user", "content": "And?"},
    {"role": "system", "content": "Answer in French."},
    {"role": "user", "content": "Well?"},
])  # fmt: skip


OPENAI = TypeAdapter(CompletionCreateParamsNonStreaming)
ANTHROPIC = TypeAdapter(MessageCreateParamsNonStreaming)


def read(value: Any) -> Any:
    """Read a checked value to its end: iterators in it are checked only then."""
    if isinstance(value, dict):
        return {key: read(item) for key, item in value.items()}
    return value if isinstance(value, str | int | None) else [read(item) for item in value]


def check_openai(body: dict[str, Any]) -> None:
    read(OPENAI.validate_python({"model": "m", **body}))


def check_anthropic(body: dict[str, Any]) -> None:
    read(ANTHROPIC.validate_python({"model": "m", **body}))
    roles = [message["role"] for message in body["messages"]]
    assert roles[0] == "user"
    assert all(one != other for one, other in pairwise(roles))


def check_gemini(made: dict[str, Any]) -> None:
    """Types of google-genai refuse keys that they don't know."""
    for content in made["contents"]:
        genai.Content.model_validate(content)
    genai.GenerateContentConfig.model_validate(made.get("config", {}))
    roles = [content["role"] for content in made["contents"]]
    assert roles[0] == "user"
    assert all(one != other for one, other in pairwise(roles))


@pytest.mark.parametrize("check", [check_openai, check_anthropic])
def test_the_checks_can_fail(check: Any) -> None:
    blocks = [{"type": "text", "text": "x"}, {"type": "text", "txt": "x"}]
    with pytest.raises(ValidationError):
        check({"max_tokens": 5, "messages": [{"role": "user", "content": blocks}]})


def test_the_check_of_gemini_can_fail() -> None:
    with pytest.raises(ValidationError):
        check_gemini({"contents": [{"role": "user", "parts": [{"txt": "x"}]}]})


REQUEST = Request(TALK, [TOOL], "some-model", 200, 2)


def test_a_whole_conversation_fits_every_provider() -> None:
    check_openai(openai_body(REQUEST))
    check_anthropic(anthropic_body(REQUEST))
    check_gemini(gemini_request(REQUEST))


def test_openai_gets_the_messages_as_they_are() -> None:
    assert openai_body(REQUEST) == {
        "model": "some-model", "messages": TALK, "tools": [TOOL], "max_completion_tokens": 200,
    }  # fmt: skip
    assert openai_body(Request(TALK)) == {"messages": TALK}


def test_anthropic_gets_instructions_apart_and_turns_merged() -> None:
    body = anthropic_body(REQUEST)
    assert body["system"] == [
        {"type": "text", "text": "Be kind."},
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
    ]
    assert body["max_tokens"] == 200 and body["model"] == "some-model"
    user, assistant, rest = body["messages"]
    assert [block["type"] for block in user["content"]] == ["text", "image", "image"]
    assert user["content"][1]["source"] == {
        "type": "base64", "media_type": "image/png", "data": "aGk=",
    }  # fmt: skip
    assert assistant["content"][1] == {
        "type": "tool_use", "id": "c1", "name": "lookup", "input": {"a": 1},
    }  # fmt: skip
    assert rest["content"][0]["type"] == "tool_result"
    assert [block["text"] for block in rest["content"][1:]] == [
        "And?", "Answer in French.", "Well?",
    ]  # fmt: skip
    assert body["tools"][0]["input_schema"] == TOOL["function"]["parameters"]  # type: ignore[index]


def test_the_marker_stands_at_the_last_stable_block() -> None:
    for stable in range(1, 5):
        text = json.dumps(anthropic_body(Request(TALK, [TOOL], stable=stable)))
        assert text.count("cache_control") == 1
    none = anthropic_body(Request([USER]))
    assert "cache_control" not in json.dumps(none)
    only_tools = anthropic_body(Request(TALK, [TOOL]))
    assert only_tools["tools"][-1]["cache_control"] == {"type": "ephemeral"}


def test_gemini_gets_roles_of_its_own() -> None:
    made = gemini_request(REQUEST)
    assert [content["role"] for content in made["contents"]] == ["user", "model", "user"]
    assert made["config"]["system_instruction"] == {
        "parts": [{"text": "Be kind."}, {"text": "Be brief."}]
    }
    assert made["contents"][2]["parts"][0] == {
        "function_response": {"name": "lookup", "response": {"found": True}}
    }
    body = gemini_body(REQUEST)
    assert body["generationConfig"] == {"maxOutputTokens": 200}
    declared = body["tools"][0]["functionDeclarations"][0]
    assert "inline_data" in declared["parametersJsonSchema"]["properties"]  # the user's own key
    assert body["contents"][0]["parts"][1] == {
        "inlineData": {"mimeType": "image/png", "data": "aGk="}
    }


USER = {"role": "user", "content": "x"}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "y"}


def calling(arguments: str) -> dict[str, Any]:
    call = {**CALL, "function": {"name": "lookup", "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def test_openai_refuses_calls_without_results() -> None:
    with pytest.raises(ProviderError, match="has no result"):
        openai_body(Request([USER, calling("{}")]))


def test_anthropic_wants_tools_beside_calls_and_images_that_it_knows() -> None:
    with pytest.raises(ProviderError, match="schemas of tools"):
        anthropic_body(Request([USER, calling("{}"), RESULT]))
    for media, known in (("image/png;x=y", True), ("image/svg+xml", False)):
        image = {"type": "image_url", "image_url": {"url": f"data:{media};base64,aGk="}}
        request = Request([{"role": "user", "content": [image]}])
        if known:
            source = anthropic_body(request)["messages"][0]["content"][0]["source"]
            assert source["media_type"] == "image/png"
        else:
            with pytest.raises(ProviderError, match="image/svg"):
                anthropic_body(request)


@pytest.mark.parametrize("call", [
    {"id": "c1", "type": "custom", "function": {}}, {"id": "c1", "type": "custom"},
    {"id": "c1", "type": "custom", "function": None},
])  # fmt: skip
def test_calls_of_other_kinds_are_refused(project: Project, call: dict[str, Any]) -> None:
    talk = read_messages(
        [USER, {"role": "assistant", "content": None, "tool_calls": [call]}, RESULT]
    )
    openai_body(Request(talk))
    for make in (anthropic_body, gemini_request):
        with pytest.raises(ProviderError, match="functions alone"):
            make(Request(talk, [TOOL]))


def test_a_result_that_is_no_json_is_text() -> None:
    talk = [USER, calling("{}"), {**RESULT, "content": "NaN"}]
    (part,) = gemini_request(Request(talk, [TOOL]))["contents"][2]["parts"]
    assert part["function_response"]["response"] == {"result": "NaN"}


@pytest.mark.parametrize("make", [anthropic_body, gemini_request])
@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Request([{"role": "system", "content": "x"}]), "instructions alone"),
        (Request([{"role": "assistant", "content": "x"}]), "user to speak first"),
        (Request([{"role": "user", "content": ""}]), "empty message"),
        (Request([{"role": "user", "content": [{"type": "input_audio"}]}]), "input_audio"),
        (
            Request([{"role": "user", "content": [{**IMAGE, "image_url": {"url": "data:x"}}]}]),
            "base64",
        ),
        (Request([{"role": "system", "content": [IMAGE]}, USER]), "in an instruction"),
        (Request([USER], [{"type": "web_search"}]), "tool of type 'web_search'"),
        (Request([{"role": "user", "content": [{"type": "text", "text": " "}]}]), "empty message"),
        (Request([USER, calling("[1]"), RESULT], [TOOL]), "as an object"),
        (Request([USER, calling('{"a": NaN}'), RESULT], [TOOL]), "as an object"),
        (Request([USER, calling("{}")], [TOOL]), "has no result"),
        (Request([USER, calling("{}"), USER, RESULT], [TOOL]), "has no result"),
        (Request([USER, RESULT], [TOOL]), "answers no open call"),
        (
            Request([USER, calling("{}"), {"role": "developer", "content": "x"}, RESULT], [TOOL]),
            "has no result",
        ),
    ],
)  # fmt: skip
def test_what_a_provider_has_no_form_for_is_refused(
    make: Any, request_: Request, reason: str
) -> None:
    with pytest.raises(ProviderError, match=reason):
        make(request_)


words = st.text(min_size=1).filter(str.strip)
turns = st.lists(
    st.builds(
        lambda role, text: {"role": role, "content": text},
        st.sampled_from(["system", "developer", "user", "assistant"]), words,
    ),
    min_size=1, max_size=8,
)  # fmt: skip


@given(turns, st.integers(0, 8))
def test_any_conversation_is_repaired_or_refused(
    messages: list[dict[str, Any]], stable: int
) -> None:
    request = Request(messages, stable=min(stable, len(messages)))
    check_openai(openai_body(request))
    try:
        body = anthropic_body(request)
    except ProviderError:
        with pytest.raises(ProviderError):
            gemini_request(request)
        return
    check_anthropic(body)
    check_gemini(gemini_request(request))
    blocks = [*body.get("system", []), *(b for m in body["messages"] for b in m["content"])]
    assert [block["text"] for block in blocks] == [m["content"] for m in messages]  # nothing lost
    parts = [part["text"] for content in gemini_request(request)["contents"]
             for part in content["parts"]]  # fmt: skip
    assert "".join(m["content"] for m in messages).endswith("".join(parts))


def test_a_prompt_goes_to_every_provider(project: Project, write_template: Any) -> None:
    prompt = project.build(ROUTE, "I lost my card", model="gpt-4o")
    check_openai(prompt.to_openai())
    check_anthropic(prompt.to_anthropic())
    check_gemini(prompt.to_gemini())
    assert prompt.to_openai()["max_completion_tokens"] == 10
    text = project.build(write_template("---\nbudget: {tokens: 9}\n---\n{{ query }}"), "hi")
    assert text.to_anthropic()["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    ]
    assert text.to_gemini()["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]


@pytest.mark.parametrize("form", ["openai", "anthropic", "gemini"])
def test_the_command_prints_bodies(project: Project, form: str) -> None:
    arguments = ["-C", str(project.root), "build", ROUTE, "I lost my card", "--format", form]
    result = CliRunner().invoke(cli, arguments)
    assert json.loads(result.stdout) == project.build(ROUTE, "I lost my card").body(form)

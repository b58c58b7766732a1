"""Messages as chat clients write them, and every shape that is nearly right."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.errors import ExampleError
from promptlib.message import Message, message_text, read_history, turns_of

CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"q": "x"}'}}
ASKS = {"role": "user", "content": "find x"}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "nothing"}
ANSWER = {"role": "assistant", "content": "There is nothing."}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,xx"}}


@pytest.mark.parametrize(
    "message",
    [
        ASKS, CALLS, RESULT, ANSWER,
        {"role": "user", "content": [{"type": "text", "text": "what is this?"}, IMAGE]},
        {"role": "user", "content": "hi", "name": "Ada"},
        {"role": "assistant", "content": ""},
    ],
)  # fmt: skip
def test_what_clients_send_comes_out_as_it_went_in(message: dict[str, Any]) -> None:
    assert Message.from_dict(message).to_dict() == message


def test_what_a_client_adds_without_saying_anything_is_left_out() -> None:
    dumped = ANSWER | {"refusal": None, "annotations": [], "audio": None, "tool_calls": None}
    assert Message.from_dict(dumped).to_dict() == ANSWER
    answered = SimpleNamespace(model_dump=lambda: dumped)
    assert read_history([ASKS, answered]) == [ASKS, ANSWER]
    thought = ANSWER | {"reasoning_content": "hm", "annotations": [{"type": "url"}]}
    assert read_history([ASKS, thought]) == [ASKS, ANSWER]
    refused = {"role": "assistant", "content": None, "refusal": "I can't say that."}
    assert read_history([ASKS, refused])[1]["content"] == "I can't say that."


def test_messages_of_the_openai_client_are_taken() -> None:
    from openai.types.chat import ChatCompletionMessage

    said = ChatCompletionMessage(role="assistant", content="Hi", refusal=None)
    assert read_history([ASKS, said]) == [ASKS, {"role": "assistant", "content": "Hi"}]


circular: dict[str, Any] = {"type": "text", "text": "x"}
circular["self"] = circular


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"role": "usr", "content": "x"}, "no role 'usr'; did you mean 'user'"),
        ({"role": None, "content": "x"}, "no role None"),
        ({"role": ["user"], "content": "x"}, r"no role \['user'\]"),
        ({"content": "x"}, "lacks role"),
        ({"role": "user"}, "lacks content"),
        ({"role": "user", "content": None}, "user message is null; only a message with tool_calls"),
        ({"role": "assistant", "content": None, "tool_calls": []}, "is null"),
        ({"role": "user", "content": {"text": "x"}}, "must be text, not an object"),
        ({"role": "user", "content": 3}, "must be text, not a number"),
        ({"role": "user", "content": []}, "is an empty list"),
        ({"role": "user", "content": ["x"]}, "a part without a type: text"),
        ({"role": "user", "content": [{"type": "text"}]}, "whose text is null"),
        ({"role": "user", "content": [circular]}, "Circular reference"),
        ({"role": "user", "content": "a\ud800"}, "lone surrogate"),
        ({"role": "user", "content": "x", "colour": "red"}, "unknown keys: colour"),
        ({"role": "user", "content": "x", "name": 7}, "name of a user message must be text"),
        ({"role": "user", "content": "x", "tool_calls": [CALL]}, "user message can't have tool"),
        ({"role": "user", "content": "x", "tool_call_id": "c1"}, "can't have tool_call_id"),
        ({"role": "tool", "content": "x"}, "a tool message lacks tool_call_id"),
        (CALLS | {"tool_calls": "find"}, "tool_calls must be a list, not text"),
        (CALLS | {"tool_calls": [{"type": "function"}]}, "must be an object with an id"),
        (CALLS | {"tool_calls": [{"id": "c1", "type": "function"}]}, "lacks its function's name"),
        (
            CALLS | {"tool_calls": [CALL | {"function": {"name": "f", "arguments": {"q": 1}}}]},
            "arguments of tool call 'c1' must be JSON as text, not an object",
        ),
        ("hello", "a message must be an object, not text"),
    ],
)
def test_what_is_nearly_a_message_is_told_why(message: Any, reason: str) -> None:
    with pytest.raises(ExampleError, match=f"history message 2: .*{reason}"):
        read_history([ASKS, message])


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        ([ASKS, RESULT], "message 2: the tool result 'c1' answers no open call"),
        ([ASKS, CALLS, RESULT, RESULT], "message 4: the tool result 'c1' answers no open call"),
        ([ASKS, CALLS], "message 2: the tool call 'c1' has no result"),
        ([ASKS, CALLS, ASKS], "message 2: the tool call 'c1' has no result"),
        ([{"role": "system", "content": "x"}], "message 1: a system message belongs in the templ"),
        ("hello", "history messages must be a list, not text"),
        ({"role": "user"}, "history messages must be a list, not an object"),
    ],
)
def test_half_of_a_pair_is_refused(history: Any, reason: str) -> None:
    with pytest.raises(ExampleError, match=reason):
        read_history(history)


def test_a_turn_is_a_users_message_and_all_that_answers_it() -> None:
    greeting = {"role": "assistant", "content": "Hello!"}
    messages = [greeting, ASKS, CALLS, RESULT, ANSWER, ASKS, ANSWER]
    assert turns_of(messages) == [[greeting], [ASKS, CALLS, RESULT, ANSWER], [ASKS, ANSWER]]
    assert turns_of([]) == []


@given(st.lists(st.sampled_from(["pair", "call", "greeting"]), max_size=8))
def test_any_cut_between_turns_leaves_a_whole_conversation(kinds: list[str]) -> None:
    shapes = {
        "pair": [ASKS, ANSWER], "call": [ASKS, CALLS, RESULT, ANSWER], "greeting": [ANSWER],
    }  # fmt: skip
    turns = turns_of(read_history([message for kind in kinds for message in shapes[kind]]))
    for cut in range(len(turns) + 1):
        rest = [message for turn in turns[cut:] for message in turn]
        assert read_history(rest) == rest


def test_what_a_message_says_as_text() -> None:
    assert message_text(CALLS) == 'find({"q": "x"})'
    assert message_text({"role": "user", "content": [{"type": "text", "text": "see"}, IMAGE]}) == (
        "see\n[image_url]"
    )

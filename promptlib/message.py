"""Messages of a conversation, in the form that chat clients use, and its turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from promptlib.errors import ExampleError, did_you_mean
from promptlib.text import canonical_json, kind_of, lone_surrogate

Role = Literal["system", "developer", "user", "assistant", "tool"]
ROLES: tuple[str, ...] = get_args(Role)

MESSAGE_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id")

OF_ANSWERS = (
    "refusal", "annotations", "audio", "function_call", "reasoning", "reasoning_content",
    "reasoning_details", "provider_specific_fields",
)  # fmt: skip
"""Keys that clients put into answers and that models aren't shown again."""

M = TypeVar("M", bound=Mapping[str, Any])


@dataclass(frozen=True)
class Message:
    """One message of a conversation. `role` is one of ROLES.

    `content` is text or a list of content parts; null beside `tool_calls` only. `tool_call_id`
    names the call that a tool message answers. Raises ExampleError for anything else.
    """

    role: str
    content: str | Sequence[Mapping[str, Any]] | None
    name: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] | None = None
    tool_call_id: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.role, str) or self.role not in ROLES:
            raise ExampleError(f"no role {self.role!r}; {did_you_mean(str(self.role), ROLES)}")
        self._check_calls()
        self._check_content()
        for key in ("name", "tool_call_id"):
            value = getattr(self, key)
            if value is not None and not (isinstance(value, str) and value):
                raise ExampleError(f"{key} of {self._what} must be text")
        if (self.role == "tool") != (self.tool_call_id is not None):
            says = "lacks" if self.role == "tool" else "can't have"
            raise ExampleError(f"{self._what} {says} tool_call_id")
        if problem := lone_surrogate(canonical_json(self.to_dict())):
            raise ExampleError(f"{self._what} {problem}")

    @classmethod
    def from_dict(cls, message: Any) -> Message:
        """Read a chat client's message: a dict, or an object with `model_dump`.

        Keys that are null or empty are as good as absent; clients add many. Raises ExampleError
        when it isn't a message.
        """
        if not isinstance(message, Mapping) and hasattr(message, "model_dump"):
            message = message.model_dump()
        if not isinstance(message, Mapping):
            raise ExampleError(f"a message must be an object, not {kind_of(message)}")
        needed = ["role"] if message.get("tool_calls") else ["role", "content"]
        if missing := [key for key in needed if key not in message]:
            raise ExampleError(f"a message lacks {' and '.join(missing)}")
        given = {key: value for key, value in message.items() if value not in (None, [], {})}
        if unknown := sorted(str(key) for key in {*given} - {*MESSAGE_KEYS, *OF_ANSWERS}):
            raise ExampleError(f"a message has unknown keys: {', '.join(unknown)}")
        parts: dict[str, Any] = {key: given.get(key) for key in MESSAGE_KEYS}
        content = message.get("content")
        return cls(**parts | {"content": content if content is not None else given.get("refusal")})

    def to_dict(self) -> dict[str, Any]:
        """Give the plain dict that chat clients take."""
        parts = {key: getattr(self, key) for key in MESSAGE_KEYS}
        return {k: v for k, v in parts.items() if v is not None or k == "content"}

    @property
    def _what(self) -> str:
        return f"{'an' if self.role == 'assistant' else 'a'} {self.role} message"

    def _check_content(self) -> None:
        content, of = self.content, f"the content of {self._what}"
        if isinstance(content, str) or (content is None and self.tool_calls):
            return
        if content is None:
            raise ExampleError(f"{of} is null; only a message with tool_calls may have none")
        if not isinstance(content, list | tuple):
            raise ExampleError(f"{of} must be text, not {kind_of(content)}")
        if not content:
            raise ExampleError(f"{of} is an empty list")
        for part in content:
            kind = part.get("type") if isinstance(part, Mapping) else None
            if not isinstance(kind, str):
                raise ExampleError(f"{of} has a part without a type: {kind_of(part)}")
            if kind == "text" and not isinstance(part.get("text"), str):
                raise ExampleError(
                    f"{of} has a text part whose text is {kind_of(part.get('text'))}"
                )

    def _check_calls(self) -> None:
        if self.tool_calls is None:
            return
        if self.role != "assistant":
            raise ExampleError(f"{self._what} can't have tool_calls")
        if not isinstance(self.tool_calls, list | tuple):
            raise ExampleError(f"tool_calls must be a list, not {kind_of(self.tool_calls)}")
        for call in self.tool_calls:
            if not isinstance(call, Mapping) or not isinstance(call.get("id"), str):
                raise ExampleError("a tool call must be an object with an id")
            if call.get("type", "function") != "function":
                continue
            function = call.get("function")
            if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
                raise ExampleError(f"tool call {call['id']!r} lacks its function's name")
            if not isinstance(function.get("arguments"), str):
                kind = kind_of(function.get("arguments"))
                raise ExampleError(
                    f"the arguments of tool call {call['id']!r} must be JSON as text, not {kind}"
                )


def read_messages(messages: Iterable[Any], what: str = "message") -> list[dict[str, Any]]:
    """Read messages as plain dicts; raises ExampleError that names the first bad one."""
    if isinstance(messages, str | Mapping) or not isinstance(messages, Iterable):
        raise ExampleError(f"{what}s must be a list, not {kind_of(messages)}")
    found = []
    for number, message in enumerate(messages, start=1):
        try:
            found.append(Message.from_dict(message).to_dict())
        except ExampleError as error:
            raise ExampleError(f"{what} {number}: {error}") from None
    return found


def read_history(history: Iterable[Any]) -> list[dict[str, Any]]:
    """Read the conversation so far; raises ExampleError for what a model couldn't be shown.

    It holds user, assistant and tool messages; every tool call is answered before the user speaks
    again, and every tool result answers a call.
    """
    messages = read_messages(history, "history message")
    for number, message in enumerate(messages, start=1):
        if message["role"] in ("system", "developer"):
            raise ExampleError(
                f"history message {number}: a {message['role']} message belongs in the template; "
                "history has user, assistant and tool messages"
            )
    check_calls(messages, "history message")
    return messages


def check_calls(messages: Iterable[Mapping[str, Any]], what: str = "message") -> None:
    """Raise ExampleError unless results follow the calls that they answer, each and at once."""
    open_calls: dict[str, int] = {}
    for number, message in enumerate(messages, start=1):
        if message["role"] == "tool":
            if open_calls.pop(message["tool_call_id"], None) is None:
                raise ExampleError(
                    f"{what} {number}: the tool result {message['tool_call_id']!r} "
                    "answers no open call"
                )
            continue
        _check_answered(open_calls, what)
        open_calls = {call["id"]: number for call in message.get("tool_calls", ())}
    _check_answered(open_calls, what)


def turns_of(messages: Iterable[M]) -> list[list[M]]:
    """Cut a conversation into turns: a user's message and all that answers it."""
    turns: list[list[M]] = []
    for message in messages:
        if message["role"] == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


def message_text(message: Mapping[str, Any]) -> str:
    """Give what a message says as text: its parts, and the calls it makes."""
    content = message.get("content")
    texts = [content] if isinstance(content, str) else [_part_text(part) for part in content or ()]
    texts += [
        f"{call['function']['name']}({call['function']['arguments']})"
        for call in message.get("tool_calls", ())
        if call.get("type", "function") == "function"
    ]
    return "\n".join(texts)


def _part_text(part: Mapping[str, Any]) -> str:
    return part["text"] if part["type"] == "text" else f"[{part['type']}]"


def _check_answered(open_calls: Mapping[str, int], what: str) -> None:
    for call, number in open_calls.items():
        raise ExampleError(f"{what} {number}: the tool call {call!r} has no result")

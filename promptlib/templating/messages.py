"""`{% message ROLE %}` ... `{% endmessage %}`: chat messages built structurally.

A message's body is kept aside for this render and a random token stands in its place. What is left
at the end must be exactly those tokens, each once and in order, and white space. So no input can
forge a role, and a message that a template moves elsewhere (into `set`, a filter, a condition)
either arrives as it was or is an error: it is never lost, doubled or moved in silence.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from promptlib.errors import ExampleError, TemplateError, did_you_mean
from promptlib.message import ROLES, Message, message_text
from promptlib.templating.values import printed

# The m is there so that even a secret of digits alone doesn't survive a filter like `upper`.
_TOKEN = re.compile("<m([0-9a-f]{32}:[0-9]+)>")


class TextOutsideError(TemplateError):
    """A chat template leaves text that no message holds."""

    def __init__(self, text: str) -> None:
        self.text = text
        shown = " ".join(text.split())[:60]
        super().__init__(f"text outside messages: {shown!r}; put it inside {{% message %}}")


@dataclass
class Collected:
    """The messages of one render, and the secret that marks their places."""

    secret: str = field(default_factory=lambda: secrets.token_hex(16))
    messages: list[dict[str, Any]] = field(default_factory=list)

    def add(self, role: Any, body: str) -> str:
        """Keep a message; returns the token for its place."""
        if not isinstance(role, str) or role not in ROLES:
            raise TemplateError(f"no message role {role!r}; {did_you_mean(str(role), ROLES)}")
        if role == "tool":
            raise TemplateError("a tool's message answers a call: show it with {% turns %}")
        if self.secret in body:
            raise TemplateError("a message stands inside another message")
        return self.keep({"role": role, "content": body.strip()})

    def keep(self, message: dict[str, Any]) -> str:
        """Keep a message as it is; returns the token for its place."""
        self.messages.append(message)
        return f"<m{self.secret}:{len(self.messages) - 1}>"

    def check(self, text: str) -> None:
        """Make sure that all messages and nothing else arrived; raises TemplateError."""
        parts = _TOKEN.split(text)
        outside, places = parts[::2], parts[1::2]
        for part in outside:
            if part.strip():
                raise TextOutsideError(part)
        if places != [f"{self.secret}:{number}" for number in range(len(self.messages))]:
            raise TemplateError(
                "messages were moved, repeated or left out after they were made: don't put "
                "{% message %} into set, filter, or a macro that is tested or called twice"
            )


_collecting: ContextVar[Collected | None] = ContextVar("promptlib_messages", default=None)


@contextmanager
def collecting() -> Iterator[Collected]:
    """Collect the messages of what is rendered inside, in this thread or task alone."""
    collected = Collected()
    token = _collecting.set(collected)
    try:
        yield collected
    finally:
        _collecting.reset(token)


KEEP = "message tag"
"""The filter that a message's body goes through: a name that no template can spell."""


class MessageExtension(Extension):
    """Adds the tags `message` and `turns` to Jinja."""

    tags = {"message", "turns"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        """Compile one tag into a call."""
        tag = next(parser.stream)
        value = parser.parse_expression()
        if tag.value == "turns":
            call = self.call_method("_turns", [value], lineno=tag.lineno)
            return nodes.Output([call], lineno=tag.lineno)
        body = parser.parse_statements(("name:endmessage",), drop_needle=True)
        keep = nodes.Filter(None, KEEP, [value], [], None, None, lineno=tag.lineno)
        return nodes.FilterBlock(body, keep, lineno=tag.lineno)

    def _turns(self, conversation: Any) -> str:
        collected = _current()
        return "".join(collected.keep(_message(turn)) for turn in _turns(conversation))


def keep_message(body: str, role: Any) -> str:
    """Keep a message and leave its token; the filter behind `{% message %}`."""
    return _current().add(role, body)


def _current() -> Collected:
    collected = _collecting.get()
    if collected is None:
        raise TemplateError("messages can only be rendered by promptlib")
    return collected


def _turns(conversation: Any) -> Sequence[Any]:
    """Read the messages of an example, or of a list of messages."""
    if isinstance(conversation, list):
        return conversation
    if not isinstance(conversation, Mapping) or "input" not in conversation:
        raise TemplateError("turns takes an example, or a list of messages such as history")
    turns: list[Any] = []
    for role, part in (("user", conversation["input"]), ("assistant", conversation["output"])):
        turns += part if isinstance(part, list) else [{"role": role, "content": printed(part)}]
    return turns


def _message(turn: Any) -> dict[str, Any]:
    """Copy a message; one that comes with content alone needs no second look."""
    try:
        if len(turn) == 2 and turn.get("role") in ROLES and isinstance(turn.get("content"), str):
            return {"role": turn["role"], "content": turn["content"].strip()}
        message = Message.from_dict(turn).to_dict()
        if isinstance(message["content"], str):
            message["content"] = message["content"].strip()
        return message
    except (ExampleError, AttributeError, TypeError) as error:
        raise TemplateError(f"turns: not a message: {error}") from None


def transcript(messages: Sequence[Mapping[str, Any]]) -> str:
    """Write messages as a person would read them."""
    return "\n\n".join(f"{message['role']}: {message_text(message)}" for message in messages)

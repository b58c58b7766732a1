"""A finished prompt in the forms that providers take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from promptlib.bodies.anthropic import anthropic_body
from promptlib.bodies.common import Request
from promptlib.bodies.gemini import gemini_body, gemini_request
from promptlib.bodies.openai import openai_body

FORMATS = {"openai": openai_body, "anthropic": anthropic_body, "gemini": gemini_body}
"""Name -> what makes the body of an HTTP request."""


CACHED = 1024
"""Tokens of the shortest prefix that a provider caches (Anthropic and OpenAI, November 2026)."""


class Sendable:
    """Something with messages, or a text that goes as one message of the user."""

    text: str
    messages: list[dict[str, Any]] | None
    settings: Mapping[str, Any]

    @property
    def stable_start(self) -> Mapping[str, Any] | None:
        """Where the start ends that is the same for every query; None if that isn't known."""
        return None

    def to_openai(self) -> dict[str, Any]:
        """Give what `client.chat.completions.create` takes."""
        return openai_body(self._request())

    def to_anthropic(self) -> dict[str, Any]:
        """Give what `client.messages.create` takes; raises ProviderError.

        The marker for caching stands where the stable prefix ends: after its last whole message,
        or within the next one if the prefix is long enough to be cached.
        """
        return anthropic_body(self._request())

    def to_gemini(self) -> dict[str, Any]:
        """Give what google-genai's `client.models.generate_content` takes; raises ProviderError."""
        return gemini_request(self._request())

    def body(self, form: str) -> dict[str, Any]:
        """Give the body of an HTTP request in one of FORMATS; raises ProviderError."""
        return FORMATS[form](self._request())

    def _request(self) -> Request:
        messages = self.messages
        if messages is None:
            messages = [{"role": "user", "content": self.text}]
        settings, stable = self.settings, self.stable_start or {"tokens": 0, "messages": 0}
        worth_it = stable["tokens"] >= CACHED
        return Request(
            messages, settings["tools"], settings["model"], settings["reserve"],
            stable["messages"], stable["characters"] if worth_it else 0,
        )  # fmt: skip

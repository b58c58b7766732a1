"""The body of OpenAI's chat completions, which many other servers take too.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import Any

from promptlib.bodies.common import Request, check_answers

NAME = "OpenAI"


def openai_body(request: Request) -> dict[str, Any]:
    """Make the body; messages go as they are. Raises ProviderError for calls unanswered."""
    check_answers(request, NAME)
    body: dict[str, Any] = {"model": request.model} if request.model is not None else {}
    body["messages"] = [dict(message) for message in request.messages]
    if request.tools:
        body["tools"] = [dict(tool) for tool in request.tools]
    if request.reserve:
        body["max_completion_tokens"] = request.reserve
    return body

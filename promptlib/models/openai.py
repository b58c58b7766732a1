"""Models behind the OpenAI client: OpenAI itself, and every server that speaks its API."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

from promptlib.errors import ModelError
from promptlib.models.answer import Answer, Ask, Finish, Say, cut_at
from promptlib.models.failures import Refused, in_our_words
from promptlib.models.prices import Price
from promptlib.models.spec import ModelSpec
from promptlib.text import is_whole

log = logging.getLogger(__name__)

MOST_TOKENS = 10**9

LONGEST = 10
"""Time-outs that an answer may take in all, however steadily it trickles."""

OPTIONAL = ("temperature", "seed", "stop", "stream_options")
"""Parts of a request that some models refuse, and that can be left out."""


class OpenAIModel:
    """A chat model behind an HTTP API."""

    def __init__(self, spec: ModelSpec) -> None:
        self.name = spec.model
        self.concurrency = spec.concurrency
        self._spec = spec
        self._url = spec.base_url or os.environ.get("OPENAI_BASE_URL")
        self.price = Price(spec, self._url)
        self._made: Any = None
        self._lock = threading.Lock()
        self._refused: set[str] = set()
        # Other servers know the older name alone.
        self._limit = "max_tokens" if self._url else "max_completion_tokens"

    @property
    def identity(self) -> Mapping[str, Any]:
        """See LanguageModel."""
        spec = self._spec
        return {"model": spec.model, "url": self._shown_url, "temperature": spec.temperature,
                "seed": spec.seed}  # fmt: skip

    def check(self) -> None:
        """See LanguageModel."""
        self._key()

    def ask(self, ask: Ask, say: Say | None = None) -> Answer:
        """See LanguageModel."""
        start = time.perf_counter()
        with in_our_words(self._place, self._key_name):
            while True:
                try:
                    said = self._streamed(ask, say) if say else self._whole(ask)
                    break
                except Refused as refused:
                    self._refused.add(refused.part)
        text, finish, usage = said
        if not text and finish == "stop" and usage is None:
            raise ModelError(f"{self._place} answered nothing at all", again=True)
        # What a server or a model doesn't know of stop sequences is seen to here.
        text = cut_at(text.encode("utf-8", "replace").decode(), ask.stop)
        sent, came, cached = _counted(usage, ask, text)
        return Answer(
            text, finish, sent, came, time.perf_counter() - start, self.price.of(sent, came, cached)
        )

    def close(self) -> None:
        """See LanguageModel."""
        with self._lock:
            if self._made is not None:
                self._end()
                self._made = None

    # -- parts -----------------------------------------------------------------------------------

    @property
    def _place(self) -> str:
        return f"{self.name} at {self._shown_url}" if self._url else self.name

    @property
    def _shown_url(self) -> str | None:
        """The address without a name and password in it."""
        return self._url and re.sub(r"//[^/@]*@", "//", self._url)

    @property
    def _key_name(self) -> str:
        """The variable with the key; empty where none is sent."""
        if self._spec.base_url is not None and self._spec.api_key_env is None:
            return ""  # a key of OpenAI's is not for others
        return self._spec.api_key_env or "OPENAI_API_KEY"

    @property
    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def _key(self) -> str:
        if not self._key_name:
            return "none"
        key = os.environ.get(self._key_name)
        if not key:
            raise ModelError(
                f"{self.name} needs a key: set {self._key_name} in the environment, or name a "
                "model that needs none (local:smollm2)",
                final=True,
            )
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ModelError(
                f"the key in {self._key_name} has characters that no key has: a line's end, a "
                "space, or what isn't ASCII",
                final=True,
            )
        return key

    def _make(self) -> Any:
        import openai

        # One try at a time: whoever asks decides whether to ask again.
        made = openai.OpenAI(
            api_key=self._key(), base_url=self._url, timeout=self._spec.timeout, max_retries=0
        )
        self._end = weakref.finalize(self, made.close)  # when nobody needs it any more
        return made

    def _body(self, ask: Ask, stream: bool) -> dict[str, Any]:
        spec = self._spec
        body: dict[str, Any] = {
            "model": spec.name, "messages": ask.chat, self._limit: ask.max_tokens,
            "temperature": spec.temperature, "seed": spec.seed, "stop": list(ask.stop) or None,
            "tools": list(ask.tools) or None, "stream": stream,
            "stream_options": {"include_usage": True} if stream else None,
        }  # fmt: skip
        return {
            key: value
            for key, value in body.items()
            if value is not None and key not in self._refused
        }

    def _send(self, ask: Ask, stream: bool) -> Any:
        from openai import BadRequestError

        body = self._body(ask, stream)
        try:
            return self._client.chat.completions.create(**body)
        except BadRequestError as error:
            part = str(error.param or "")
            if part == "max_tokens" and part in body:
                self._limit = "max_completion_tokens"  # for all threads; those under way resend too
                return self._send(ask, stream)
            if part in OPTIONAL and part in body:
                log.warning("%s takes no %s: it is left out", self.name, part)
                raise Refused(part) from None
            raise

    def _whole(self, ask: Ask) -> tuple[str, Finish, Any]:
        response = self._send(ask, stream=False)
        choice = self._choice(response)
        message = choice.message
        if refusal := getattr(message, "refusal", None):
            return str(refusal), "refusal", response.usage
        text = message.content or _calls(message)
        if not isinstance(text, str):
            raise self._nonsense()
        return text, _finish(choice.finish_reason), response.usage

    def _streamed(self, ask: Ask, say: Say) -> tuple[str, Finish, Any]:
        parts: list[str] = []
        calls: dict[int, dict[str, str]] = {}
        finish: Finish | None = None
        usage = None
        end = time.monotonic() + LONGEST * self._spec.timeout
        for chunk in self._chunks(ask, parts):
            if time.monotonic() > end:
                raise self._broken(parts)
            usage = getattr(chunk, "usage", None) or usage
            for choice in getattr(chunk, "choices", None) or ():
                refusal = getattr(choice.delta, "refusal", None)
                piece = refusal or choice.delta.content or ""
                _gather(calls, getattr(choice.delta, "tool_calls", None) or ())
                if piece:
                    parts.append(piece)
                    say(piece)
                if refusal:
                    finish = "refusal"
                elif choice.finish_reason:
                    finish = finish or _finish(choice.finish_reason)
        if finish is None:
            raise self._broken(parts) if parts else self._nonsense()
        if calls and not parts:
            parts.append(_as_text([calls[number] for number in sorted(calls)]))
            say(parts[0])
        return "".join(parts), finish, usage

    def _chunks(self, ask: Ask, parts: list[str]) -> Iterator[Any]:
        """Give the pieces of a stream; what breaks off after some were said isn't asked again."""
        try:
            with self._send(ask, stream=True) as stream:
                yield from stream
        except (Refused, GeneratorExit):
            raise
        except Exception as error:
            if not parts:
                raise
            raise self._broken(parts) from error

    def _choice(self, response: Any) -> Any:
        choices = getattr(response, "choices", None)
        if not isinstance(choices, list) or not choices or choices[0].message is None:
            raise self._nonsense()
        return choices[0]

    def _nonsense(self) -> ModelError:
        return ModelError(
            f"{self._place} answered something that is no chat completion", again=True, billed=True
        )

    def _broken(self, parts: list[str]) -> ModelError:
        count = len("".join(parts))
        return ModelError(
            f"{self._place} broke off after {count:,} characters of its answer", billed=True
        )


def _finish(reason: str | None) -> Finish:
    if reason == "length":
        return "length"
    return "refusal" if reason == "content_filter" else "stop"


def _calls(message: Any) -> str:
    """Write calls to tools as an answer."""
    calls = getattr(message, "tool_calls", None) or ()
    made = [{"name": c.function.name, "arguments": c.function.arguments} for c in calls]
    return _as_text(made) if made else ""


def _gather(calls: dict[int, dict[str, str]], deltas: Any) -> None:
    """Put the pieces of calls to tools together."""
    for delta in deltas:
        call = calls.setdefault(delta.index, {"name": "", "arguments": ""})
        call["name"] += delta.function.name or ""
        call["arguments"] += delta.function.arguments or ""


def _as_text(calls: list[dict[str, str]]) -> str:
    return json.dumps(calls, ensure_ascii=False)


def _counted(usage: Any, ask: Ask, text: str) -> tuple[int, int, int]:
    """Give the tokens sent, come, and read from a cache; our own count where none is told.

    What can't be a number of tokens isn't believed: sums, and the limit on them, rest on it.
    """
    details = getattr(usage, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None) or 0
    told: Any = (
        getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None), cached,
    )  # fmt: skip
    if all(is_whole(number, 0) and number < MOST_TOKENS for number in told):
        sent, came, cached = told
        return int(sent), int(came), int(cached)
    from promptlib.budget.tokens import TokenCounter

    return ask.tokens, TokenCounter.for_encoding("o200k_base").count(text), 0

"""Models of the llm command and its plugins: Anthropic, Gemini, Mistral and many more.

https://llm.datasette.io
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal

from promptlib.errors import MissingDependencyError, ModelError, did_you_mean
from promptlib.models.answer import Answer, Ask, Finish, Say, cut_at
from promptlib.models.prices import Price
from promptlib.models.spec import ModelSpec
from promptlib.text import first_line


class LLMModel:
    """A model by the name that llm has for it."""

    def __init__(self, spec: ModelSpec) -> None:
        self.name = spec.model
        self.concurrency = spec.concurrency
        self.price = Price(spec)
        self._spec = spec

    @property
    def identity(self) -> Mapping[str, Any]:
        """See LanguageModel."""
        return {"model": self.name, "temperature": self._spec.temperature, "seed": self._spec.seed}

    def check(self) -> None:
        """See LanguageModel."""
        self._model  # noqa: B018 (raises for one that llm doesn't have)

    def ask(self, ask: Ask, say: Say | None = None) -> Answer:
        """See LanguageModel."""
        model, messages = self._model, list(map(_message, ask.chat))
        if ask.tools:
            raise ModelError(f"{self.name}: tools can't be handed to llm's models", final=True)
        start = time.perf_counter()
        pieces: list[str] = []
        with _in_our_words(self.name, pieces):
            response = model.prompt(messages=messages, stream=True, **self._options(ask))
            ended = _read(response, pieces, ask, say, start + self._spec.timeout)
            usage = response.usage() if ended is None else None
        written = "".join(pieces)
        sent, came = _counted(usage, ask, written)  # what was written is billed, cut or not
        text = cut_at(written, ask.stop)
        finish: Finish = "length" if ended == "length" else "stop"
        return Answer(
            text, finish, sent, came, time.perf_counter() - start, self.price.of(sent, came)
        )

    def close(self) -> None:
        """See LanguageModel."""

    @cached_property
    def _model(self) -> Any:
        try:
            import llm
        except ImportError:
            raise MissingDependencyError("models of llm", "llm") from None
        try:
            return llm.get_model(self._spec.name)
        except llm.UnknownModelError:
            known = [model.model_id for model in llm.get_models()]
            raise ModelError(
                f"llm has no model {self._spec.name!r}; {did_you_mean(self._spec.name, known)}; "
                "plugins bring more (llm install)",
                final=True,
            ) from None

    def _options(self, ask: Ask) -> dict[str, Any]:
        """Give the options that this model knows: plugins name them as they like."""
        known = getattr(self._model.Options, "model_fields", {})
        wanted = {
            "temperature": self._spec.temperature, "seed": self._spec.seed,
            "max_tokens": ask.max_tokens, "max_output_tokens": ask.max_tokens,
        }  # fmt: skip
        return {
            name: value for name, value in wanted.items() if name in known and value is not None
        }


def _message(message: Mapping[str, Any]) -> Any:
    import llm

    role, content = message["role"], message["content"]
    if not isinstance(content, str):
        raise ModelError("models of llm take text alone", final=True)
    makers = {"system": llm.system, "developer": llm.system, "user": llm.user,
              "assistant": llm.assistant}  # fmt: skip
    if role not in makers:
        raise ModelError(f"models of llm take no messages of role {role!r}", final=True)
    return makers[role](content)


def _read(
    response: Any, pieces: list[str], ask: Ask, say: Say | None, end: float
) -> Literal["stop", "length"] | None:
    """Read an answer as it comes; says why it was ended early. Raises ModelError after a time-out.

    llm has no common word for stop sequences and longest answers: both are seen to here.
    """
    said = 0
    for piece in response:
        pieces.append(piece)
        text = cut_at(written := "".join(pieces), ask.stop)
        # What may be the beginning of a stop sequence waits for what follows.
        held = 0 if len(text) < len(written) else max(map(len, ask.stop), default=1) - 1
        if say is not None and len(text) - held > said:
            say(text[said : len(text) - held])
            said = len(text) - held
        if len(text) < len(written):
            return "stop"
        if _tokens(written) >= ask.max_tokens:
            break
        if time.perf_counter() > end:
            raise ModelError("the answer took too long", again=False, billed=True)
    else:
        if say is not None and said < len(text := "".join(pieces)):
            say(text[said:])
        return None
    if say is not None and said < len(text):
        say(text[said:])
    return "length"


def _tokens(text: str) -> int:
    from promptlib.budget.tokens import TokenCounter

    return TokenCounter.for_encoding("o200k_base").count(text)


@contextmanager
def _in_our_words(name: str, pieces: list[str]) -> Iterator[None]:
    """Say what went wrong: each plugin raises what it likes."""
    import llm

    try:
        yield
    except ModelError:
        raise
    except llm.NeedsKeyException as error:
        raise ModelError(f"{name} needs a key: {error}", final=True) from error
    except Exception as error:
        reason = first_line(str(error)) or type(error).__name__
        said = f"{name} didn't answer ({type(error).__name__}: {reason[:300]})"
        status = getattr(error, "status_code", None)
        if status in (401, 403, 404):
            raise ModelError(said, final=True) from error
        again = not pieces and status != 400
        raise ModelError(said, again=again, billed=True) from error


def _counted(usage: Any, ask: Ask, text: str) -> tuple[int, int]:
    """Give the tokens sent and come; our own count where none is told."""
    sent, came = getattr(usage, "input", None), getattr(usage, "output", None)
    if came is None:
        came = _tokens(text)
    return ask.tokens if sent is None else sent, came

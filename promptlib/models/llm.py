"""Models of the llm command and its plugins: Anthropic, Gemini, Mistral and many more.

https://llm.datasette.io
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from promptlib.errors import MissingDependencyError, ModelError, did_you_mean
from promptlib.models.answer import Answer, Ask, Finish, Say
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

    def ask(self, ask: Ask, say: Say | None = None) -> Answer:
        """See LanguageModel."""
        import llm

        if ask.tools:
            raise ModelError(f"{self.name}: tools can't be handed to llm's models", final=True)
        start = time.perf_counter()
        pieces: list[str] = []
        cut = None
        try:
            response = self._model.prompt(
                messages=list(map(_message, ask.chat)), stream=True, **self._options(ask)
            )
            for piece in response:
                pieces.append(piece)
                if say is not None:
                    say(piece)
                # llm has no common word for stop sequences: its answers are cut here.
                if (cut := _cut("".join(pieces), ask.stop)) is not None:
                    break
            usage = response.usage() if cut is None else None
        except (KeyboardInterrupt, SystemExit):
            raise
        except llm.NeedsKeyException as error:
            raise ModelError(f"{self.name} needs a key: {error}", final=True) from error
        except Exception as error:  # each plugin raises what it likes
            reason = first_line(str(error)) or type(error).__name__
            raise ModelError(
                f"{self.name} didn't answer ({type(error).__name__}: {reason[:300]})",
                again=not pieces, billed=True,
            ) from error  # fmt: skip
        text = cut if cut is not None else "".join(pieces)
        sent, came = _counted(usage, ask, text)
        finish: Finish = "stop"
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


def _cut(text: str, stop: tuple[str, ...]) -> str | None:
    places = [at for mark in stop if (at := text.find(mark)) >= 0]
    return text[: min(places)] if places else None


def _counted(usage: Any, ask: Ask, text: str) -> tuple[int, int]:
    """Give the tokens sent and come; our own count where none is told."""
    sent, came = getattr(usage, "input", None), getattr(usage, "output", None)
    if came is None:
        from promptlib.budget.tokens import TokenCounter

        came = TokenCounter.for_encoding("o200k_base").count(text)
    return ask.tokens if sent is None else sent, came

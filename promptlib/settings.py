"""Resolve the settings of a prompt: arguments, then front matter, then the project's."""

from __future__ import annotations

from collections.abc import Callable

from promptlib.budget.models import context_window
from promptlib.budget.tokens import TokenCounter
from promptlib.building import Settings
from promptlib.errors import ConfigError
from promptlib.selection.strategies import Strategy
from promptlib.templating.frontmatter import ExamplesSpec, FrontMatter

DEFAULT_K = 8

Encoding = str | TokenCounter | Callable[[str], int]
"""An encoding's name, a counter, or any function from text to a number of tokens."""


def resolve_settings(
    front: FrontMatter,
    project_model: str | None,
    *,
    k: int | None,
    budget: int | None,
    reserve: int | None,
    model: str | None,
    encoding: Encoding | None,
    strategy: str | Strategy | None,
    order: str | None,
    seed: int | None,
) -> Settings:
    """Resolve every setting; raises ConfigError for a value that can't be, EncodingError for an
    unknown model or encoding."""
    examples = front.examples or ExamplesSpec()
    model = next((m for m in (model, front.model, project_model) if m is not None), None)
    k = _first(k, examples.k, DEFAULT_K)
    reserve = _first(reserve, front.budget.reserve, 0)
    seed = _first(seed, examples.seed, 0)
    for name, value in (("k", k), ("reserve", reserve), ("seed", seed), ("budget", budget)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise ConfigError(f"{name} must be a whole number, not {value!r}")
        if value is not None and value < 0:
            raise ConfigError(f"{name} must be 0 or more, not {value}")
    budget = budget if budget is not None else front.budget.tokens
    if budget is None:
        budget = _window(model)
    if budget <= 0:
        raise ConfigError(f"budget must be 1 or more, not {budget}")
    if reserve >= budget:
        raise ConfigError(f"a reserve of {reserve:,} leaves nothing of a budget of {budget:,}")
    return Settings(
        k=k,
        strategy=strategy or examples.strategy or "auto",
        order=order or examples.order or "nearest-last",
        seed=seed,
        budget=budget,
        reserve=reserve,
        model=model,
        counter=_counter(model, encoding),
    )


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _window(model: str | None) -> int:
    window = context_window(model) if model is not None else None
    if window is None:
        unknown = "no model is set" if model is None else f"{model}'s context window isn't known"
        raise ConfigError(f"no budget: {unknown}; give a budget in tokens, or a model")
    return window


def _counter(model: str | None, encoding: Encoding | None) -> TokenCounter:
    if isinstance(encoding, TokenCounter):
        return encoding
    if isinstance(encoding, str):
        return TokenCounter.for_encoding(encoding)
    if encoding is not None:
        return TokenCounter(encoding)
    if model is not None:
        return TokenCounter.for_model(model)
    return TokenCounter.for_encoding("o200k_base")

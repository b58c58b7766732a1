"""Resolve the settings of a prompt: arguments, then front matter, then the project's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypedDict

from promptlib.budget.models import context_window
from promptlib.budget.share import Priorities
from promptlib.budget.tokens import TokenCounter
from promptlib.errors import ConfigError, did_you_mean
from promptlib.filtering import Where
from promptlib.selection.ordering import check_order
from promptlib.selection.pool import Strategy, Weights
from promptlib.selection.strategies import strategy_name
from promptlib.templating.frontmatter import ExamplesSpec, FrontMatter
from promptlib.text import canonical_json, is_number, kind_of

DEFAULT_K = 8

Encoding = str | TokenCounter | Callable[[str], int]
"""An encoding's name, the path of a `tokenizer.json`, a counter, or any function from text to a
number of tokens."""


class Options(TypedDict, total=False):
    """What `build` takes beside template, query and inputs; None is as good as absent."""

    store: str | None
    """The example store, in place of the template's."""
    k: int | None
    """Show at most this many examples."""
    budget: int | None
    """Tokens in all; the model's context window by default."""
    reserve: int | None
    """Tokens of the budget kept for the answer."""
    model: str | None
    """The language model that the prompt is for."""
    encoding: Encoding | None
    """How tokens are counted, where that isn't the model's own encoding."""
    strategy: str | Strategy | None
    order: str | None
    seed: int | None
    """For random ranking and shuffled order; 0 by default."""
    min_k: int | None
    """Show at least this many examples, or raise TooFewExamplesError."""
    max_example_tokens: int | None
    """Skip examples that cost more tokens."""
    share: float | None
    """The most of the budget, less the reserve, that all examples together may take."""
    lambda_mult: float | None
    lexical_weight: float | None
    min_labels: int | None
    max_per_label: int | None
    border: float | None
    """These five are told to strategies; see `Weights`."""
    min_score: float | None
    """Show no example whose cosine with the query is lower."""
    exclude_self: bool | None
    """Leave out examples whose text is the query's own."""
    where: Where | Mapping[str, Any] | Sequence[str] | None
    """Conditions that examples must meet, as `Where.parse` reads them."""
    tools: Sequence[Mapping[str, Any]] | None
    """Tool schemas that go with the request; they count against the budget."""
    explain: bool | None
    """Measure the tokens of every candidate, for `Prompt.candidates`."""
    as_message: bool | None
    """Give the prompt of a text template as one user message, and count it so."""


@dataclass(frozen=True)
class Settings:
    """Every setting of a prompt, resolved."""

    k: int
    min_k: int
    max_example_tokens: int | None
    share: float
    """Of the budget less the reserve, for all examples."""
    strategy: str | Strategy
    weights: Weights
    asked: Mapping[str, Any]
    """Those of the weights that were named; `auto` leaves them as they are."""
    order: str
    seed: int
    budget: int
    reserve: int
    priorities: Priorities
    claim: float
    """Of the room for history and examples, for the first of them."""
    model: str | None
    counter: TokenCounter
    min_score: float | None
    exclude_self: bool
    where: Where
    tools: tuple[Mapping[str, Any], ...]
    explain: bool
    as_message: bool


def resolve_settings(
    front: FrontMatter,
    options: Options,
    *,
    model: str | None = None,
    encoding: str | None = None,
    root: Path | None = None,
) -> Settings:
    """Resolve every setting; `model` and `encoding` are the project's, paths start at `root`.

    Raises ConfigError for a value that can't be, EncodingError for an unknown model or encoding.
    """
    _refuse_unknown(options)
    examples = front.examples or ExamplesSpec()
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    reserve = {} if front.budget.reserve is None else {"reserve": front.budget.reserve}
    chosen: dict[str, Any] = _DEFAULTS | reserve | examples.given | given
    levels = [
        (given.get("encoding"), given.get("model")),
        (front.encoding, front.model),
        (encoding, model),
    ]
    model = next((named for _, named in levels if named is not None), None)
    asked = {name: chosen[name] for name in _WEIGHTS if name in chosen}
    budget, priorities = chosen.get("budget", front.budget.tokens), front.budget.priorities
    if budget is None:
        budget = _window(model)
    _check(chosen, budget)
    return Settings(
        k=chosen["k"],
        min_k=chosen["min_k"],
        max_example_tokens=chosen["max_example_tokens"],
        share=chosen["share"],
        weights=Weights(**asked),
        asked=asked,
        strategy=chosen["strategy"],
        order=chosen["order"],
        seed=chosen["seed"],
        budget=budget,
        reserve=chosen["reserve"],
        priorities=Priorities(history=priorities.history, examples=priorities.examples),
        claim=front.budget.share,
        model=model,
        counter=_counter(levels, root),
        min_score=chosen["min_score"],
        exclude_self=bool(chosen["exclude_self"]),
        where=Where.parse(chosen["where"]),
        tools=_tools(chosen["tools"]),
        explain=bool(chosen["explain"]),
        as_message=bool(chosen["as_message"]),
    )


_DEFAULTS = {
    "k": DEFAULT_K, "min_k": 0, "max_example_tokens": None, "share": 1.0, "strategy": "auto",
    "order": "nearest-last", "seed": 0, "reserve": 0, "min_score": None, "exclude_self": False,
    "where": None, "tools": (), "explain": False, "as_message": False,
}  # fmt: skip

_WEIGHTS = tuple(spec.name for spec in fields(Weights))


def _refuse_unknown(options: Options) -> None:
    known = Options.__annotations__
    for name in sorted(set(options) - set(known)):
        raise TypeError(f"unknown option {name!r}; {did_you_mean(name, known)}")


def _check(chosen: Mapping[str, Any], budget: Any) -> None:
    """Raise ConfigError for the first setting that can't be."""
    _check_whole("budget", budget, least=1)
    _check_whole("k", chosen["k"], least=0)
    _check_whole("min_k", chosen["min_k"], least=0)
    if chosen["max_example_tokens"] is not None:
        _check_whole("max_example_tokens", chosen["max_example_tokens"], least=1)
    if chosen["min_k"] > chosen["k"]:
        raise ConfigError(f"min_k ({chosen['min_k']}) is more than k ({chosen['k']})")
    if not (is_number(chosen["share"]) and 0 < chosen["share"] <= 1):
        raise ConfigError(f"share must be a number above 0, at most 1, not {chosen['share']!r}")
    _check_whole("reserve", chosen["reserve"], least=0)
    _check_whole("seed", chosen["seed"], least=0)
    for name in ("store", "model"):
        if not isinstance(chosen.get(name, ""), str):
            raise ConfigError(f"{name} must be a name, not {kind_of(chosen[name])}")
    if chosen["reserve"] >= budget:
        raise ConfigError(
            f"a reserve of {chosen['reserve']:,} leaves nothing of a budget of {budget:,}"
        )
    min_score = chosen["min_score"]
    if min_score is not None and not (is_number(min_score) and -1 <= min_score <= 1):
        raise ConfigError(f"min_score must be a number from -1 to 1, not {min_score!r}")
    strategy_name(chosen["strategy"])
    check_order(chosen["order"])


def _check_whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        raise ConfigError(f"{name} must be {least} or more, not {value}")


def _tools(tools: Any) -> tuple[Mapping[str, Any], ...]:
    if isinstance(tools, str | Mapping) or not isinstance(tools, Sequence):
        raise ConfigError(f"tools must be a list of schemas, not {kind_of(tools)}")
    for number, tool in enumerate(tools, start=1):
        if not isinstance(tool, Mapping):
            raise ConfigError(f"tool {number} must be an object, not {kind_of(tool)}")
        canonical_json(tool)
    return tuple(tools)


def _window(model: str | None) -> int:
    window = context_window(model) if model is not None else None
    if window is None:
        unknown = "no model is set" if model is None else f"{model}'s context window isn't known"
        raise ConfigError(f"no budget: {unknown}; give a budget in tokens, or a model")
    return window


def _counter(
    levels: Sequence[tuple[Encoding | None, str | None]], root: Path | None
) -> TokenCounter:
    """Count as the first level says that names an encoding or a model; an encoding counts more."""
    for number, (encoding, model) in enumerate(levels):
        if isinstance(encoding, TokenCounter):
            return encoding
        if isinstance(encoding, str):
            return named_counter(encoding, root if number else None)
        if encoding is not None and not callable(encoding):
            raise ConfigError(f"encoding must be a name, a path or a function, not {encoding!r}")
        if encoding is not None:
            return TokenCounter(encoding)
        if model is not None:
            return TokenCounter.for_model(model)
    return TokenCounter.for_encoding("o200k_base")


def named_counter(encoding: str, root: Path | None = None) -> TokenCounter:
    """Count by an encoding's name or a tokenizer's path; raises EncodingError."""
    from promptlib.budget.huggingface import load_tokenizer, tokenizer_path

    path = tokenizer_path(encoding, root)
    return TokenCounter.for_encoding(encoding) if path is None else load_tokenizer(path)

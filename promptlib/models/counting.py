"""How prompts are counted for a model, and what of a prompt is sent to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from promptlib.budget.huggingface import TOKENIZER
from promptlib.budget.models import ESTIMATE_MARGIN, context_window
from promptlib.budget.tokens import TokenCounter
from promptlib.errors import EncodingError
from promptlib.models.answer import Ask
from promptlib.models.places import find_place
from promptlib.models.spec import KINDS, ModelSpec, find_spec
from promptlib.prompt import Prompt
from promptlib.settings import Options
from promptlib.templating.frontmatter import FrontMatter

LONGEST_ANSWER = 512
"""Tokens of an answer where nobody says."""


def with_model(
    options: Options, front: FrontMatter, model: str | None, encoding: str | None,
    table: Mapping[str, ModelSpec],
) -> Options:  # fmt: skip
    """Put what is known of a model that is named as models are: by the table, or as KIND:NAME.

    Its own name, how its tokens are counted, and its window as the budget, each unless the caller
    or the front matter says so; `model` and `encoding` are the project's. Other names stay as they
    are. Raises ModelError for a local model that isn't there.
    """
    named = options.get("model") or front.model or model
    if not isinstance(named, str):
        return options  # what can't be a name is refused with all other settings
    kind, colon, _ = named.partition(":")
    if named not in table and not (colon and kind in KINDS):
        return options
    spec = find_spec(named, table)
    given: Options = {**options, "model": spec.called}
    levels = [options.get("encoding")]
    if options.get("model") is None:
        levels += [front.encoding] if front.model is not None else [front.encoding, encoding]
    if all(level is None for level in levels):
        given["encoding"] = _counter(spec)
    if given.get("budget") is None and front.budget.tokens is None:
        given["budget"] = window_of(spec)
    return given


def window_of(spec: ModelSpec) -> int | None:
    """Say how many tokens a model reads and writes together; None where that isn't known."""
    if spec.window is not None:
        return spec.window
    if spec.kind != "local":
        return context_window(spec.name)
    config = json.loads((find_place(spec.name).folder / "config.json").read_text(encoding="utf-8"))
    found = config.get("max_position_embeddings")
    return found if isinstance(found, int) else None


def ask_of(
    prompt: Prompt, spec: ModelSpec, *, stop: Sequence[str] = (), max_tokens: int | None = None
) -> Ask:
    """Make what is sent of a prompt: the answer may be as long as the template reserves."""
    longest = max_tokens or spec.max_tokens or prompt.reserve or LONGEST_ANSWER
    store = prompt.settings["store"]
    return Ask(
        prompt.text, prompt.messages, prompt.tokens, longest, tuple(stop),
        tuple(prompt.settings["tools"]), store=store["name"] if store else "",
    )  # fmt: skip


def _counter(spec: ModelSpec) -> TokenCounter | str:
    if spec.encoding is not None:
        return spec.encoding
    if spec.kind == "local":
        folder = find_place(spec.name).folder
        if (folder / TOKENIZER).is_file():
            return str(folder)
    else:
        try:
            return TokenCounter.for_model(spec.name)
        except EncodingError:
            pass
    other = TokenCounter.for_encoding("o200k_base")
    return replace(other, kind="estimate", margin=ESTIMATE_MARGIN)

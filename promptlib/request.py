"""What is asked for: a template, its inputs, a conversation and settings, all checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from promptlib.building import build_prompt
from promptlib.config import ProjectConfig
from promptlib.errors import ConfigError, EncodingError, ExampleError, InputsError
from promptlib.example import Recipe, retrieval_text
from promptlib.message import read_history
from promptlib.models.counting import with_model
from promptlib.prompt import Prompt
from promptlib.selection.strategies import QUERY_FREE
from promptlib.settings import Options, Settings, resolve_settings
from promptlib.shortlisted import NO_STORE, Shortlist
from promptlib.templating.inputs import cut_length
from promptlib.templating.template import SCOPE, Template
from promptlib.text import canonical_json

Settle = Callable[[Template, Options], Settings]


@dataclass(frozen=True)
class Request:
    """One prompt to build."""

    template: Template
    inputs: Mapping[str, Any]
    history: list[dict[str, Any]]
    settings: Settings
    store: str | None
    """Where examples and labels come from; None for a template that uses neither."""
    notes: tuple[str, ...] = ()
    cuts: Mapping[str, int] = field(default_factory=dict)
    """How many characters stay of the inputs that are longer than their template allows."""

    def prompt(self, shortlist: Shortlist = NO_STORE) -> Prompt:
        """Build the prompt; raises BudgetError, TooFewExamplesError and TemplateError."""
        return build_prompt(
            self.template, self.inputs, self.settings, shortlist, history=self.history,
            cuts=self.cuts, notes=self.notes,
        )  # fmt: skip

    @property
    def searches(self) -> bool:
        """Whether the template shows anything that has to be found by the query."""
        shows = self.settings.k > 0 or "candidate_labels" in self.template.uses
        return self.store is not None and shows

    def query_text(self, recipe: Recipe) -> str:
        """Give the text to search by, made as the texts of examples are; raises InputsError.

        Inputs that are named beside `history` are what the user says next.
        """
        template = self.template
        names = template.query_inputs
        if not names and self.settings.strategy in QUERY_FREE:
            return ""
        if not names and not template.inputs:
            raise InputsError(
                f"template {template.name!r} has no input to choose examples by; the strategies "
                f"{' and '.join(QUERY_FREE)} need none"
            )
        if not names:
            raise InputsError(
                f"template {template.name!r} doesn't say which input the examples are chosen "
                f"by; set examples.query to one of: {', '.join(template.inputs) or 'none'}"
            )
        values = {name: self.inputs[name] for name in names if name != "history"}
        try:
            if "history" in names:
                said = "\n".join(_one(value, Recipe()) for value in values.values())
                messages = [*self.history, *([{"role": "user", "content": said}] if said else ())]
                text = retrieval_text(messages, recipe)
            elif len(values) > 1 and recipe.fields:
                text = retrieval_text(values, recipe)
            else:
                text = "\n".join(_one(value, recipe) for value in values.values())
        except ExampleError as error:
            raise InputsError(f"template {template.name!r}: {error}") from None
        if not text.strip() or (values and not any(map(_is_full, values.values()))):
            named = next(iter(values), names[0])
            raise InputsError(f"input {named!r} is empty")
        return text


def settings_for(
    template: Template, options: Options, config: ProjectConfig, root: Path
) -> Settings:
    """Resolve the settings of a template's prompts in a project; raises what it refuses."""
    given = with_model(options, template.front, config.model, config.encoding, config.models)
    return resolve_settings(
        template.front, given, model=config.model, encoding=config.encoding, root=root
    )


def make_request(
    template: Template,
    query: str | None,
    inputs: Mapping[str, Any] | None,
    history: Iterable[Any] | None,
    options: Options,
    settle: Settle,
) -> Request:
    """Check everything that can be checked before anything is searched.

    `settle` resolves the settings of a template by options. Raises InputsError, ExampleError for a
    bad history, ConfigError and EncodingError.
    """
    given = _with_query(template, query, inputs or {})
    messages = read_history(history or ())
    if messages and "history" not in template.uses:
        raise InputsError(f"template {template.name!r} doesn't use history")
    try:
        settings = settle(template, options)
    except (ConfigError, EncodingError) as error:
        error.args = (f"template {template.name!r}: {error}",)
        raise
    store = named_store(template, options)
    cuts = _cuts(template, given, settings)
    used = sorted(template.uses - {"history", "static_examples"})
    if not used:
        shown = f"template {template.name} shows no examples: store {store} wasn't asked"
        notes = (shown,) if store is not None and not template.static else ()
        return Request(template, given, messages, settings, None, notes, cuts)
    if store is None:
        raise ConfigError(
            f"template {template.name!r} uses {', '.join(used)} but names no store; "
            "give one, or set examples.store in its front matter"
        )
    if "examples" not in used:
        settings = replace(settings, k=0)
    return Request(template, given, messages, settings, store, cuts=cuts)


def _cuts(template: Template, given: Mapping[str, Any], settings: Settings) -> dict[str, int]:
    """Say how many characters stay of the inputs that are too long."""
    counter = settings.counter
    cuts: dict[str, int] = {}
    for name, spec in template.inputs.items():
        if spec.max_tokens is None or given[name] is None:
            continue
        text = template.data(given[name])
        length = cut_length(text, spec, counter.count, counter.token_ends)
        if length is None:
            continue
        if (least := counter.count(text[:length] + spec.marker)) > spec.max_tokens:
            raise ConfigError(
                f"template {template.name!r}: input {name!r} can't be cut to {spec.max_tokens} "
                f"tokens: its marker alone has {least}"
            )
        cuts[name] = length
    return cuts


def named_store(template: Template, options: Options) -> str | None:
    """Say which store examples come from: the one that is asked for, or the template's."""
    store = options.get("store")
    if store is None and template.front.examples is not None:
        store = template.front.examples.store
    return store


def _with_query(template: Template, query: str | None, inputs: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(inputs)
    if query is not None:
        names = [name for name in template.query_inputs if name not in SCOPE]
        name = names[0] if names else "query"
        if name in given:
            raise InputsError(f"template {template.name!r}: {name!r} is given twice")
        given[name] = query
    return template.checked_inputs(given)


def _is_full(value: Any) -> bool:
    return bool(value.strip()) if isinstance(value, str) else value not in ([], {})


def _one(value: Any, recipe: Recipe) -> str:
    """Read one input; values that aren't text, an object or messages are read as their JSON."""
    is_content = isinstance(value, str | Mapping | list)
    return retrieval_text(value if is_content else canonical_json(value), recipe)

"""Check one template: its names, its messages, its store, its costs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from promptlib.bodies.anthropic import anthropic_body
from promptlib.bodies.common import INSTRUCTIONS, Request
from promptlib.bodies.openai import openai_body
from promptlib.checking.findings import Problem, Room, TemplateCheck
from promptlib.checking.sample import StoreSample
from promptlib.checking.trying import TALK, Trial
from promptlib.errors import ProviderError, TemplateError, did_you_mean
from promptlib.example import Example
from promptlib.settings import Settings
from promptlib.stability import PER_QUERY
from promptlib.templating.inputs import InputSpec
from promptlib.templating.template import SCOPE, Rendered, Template

BEHIND = 64
"""So many tokens that never change, behind what changes with each query, are worth a warning."""

UNBOUNDED = ("string", "list", "object", "messages", None)


def check_template(
    template: Template, settings: Settings | None, sample: StoreSample | None,
    known: Sequence[Problem] = (),
) -> TemplateCheck:  # fmt: skip
    """Check a template that compiles, with the sample of its store if it names one.

    `known` are problems that were found before; without settings nothing is rendered.
    """
    problems = [*known, *_names(template)]
    unbounded = tuple(name for name, spec in template.inputs.items() if _is_unbounded(spec))
    if settings is None:
        return TemplateCheck(template.name, tuple(problems), unbounded)
    problems += [*_store(template, settings, sample), *_markers(template, settings)]
    trial = Trial(template, settings, sample)
    room = None
    try:
        examples = sample.drawn[: settings.k] if sample is not None else ()
        shown = trial.render(examples, history=TALK if "history" in template.uses else ())
        room = _room(trial)
        problems += [*_order(template, settings, shown), *_costs(template, room), *_prefix(trial)]
    except TemplateError as error:
        if not any(problem.level == "error" for problem in problems):  # else they say why
            message = f"can't be tried with made-up inputs: {error}"
            problems.append(Problem("warning", template.where, message))
    return TemplateCheck(template.name, tuple(problems), unbounded, room)


def _names(template: Template) -> Iterator[Problem]:
    """Compare the names that a body reads with those that there are."""
    known = {*template.inputs, *SCOPE}
    for name, where in template.reads.items():
        if name not in known and name not in template.compiled.environment.globals:
            near = did_you_mean(name, template.inputs)
            yield Problem("error", where, f"{name!r} is no input; {near}")
    spec = template.front.examples
    used = {*template.reads, *template.query_inputs}
    for name in template.inputs:
        if name not in used:
            where = template.place_of("inputs", name)
            yield Problem("warning", where, f"input {name!r} is never used")
    if spec is None:
        return
    if spec.static is not None and "static_examples" not in template.uses:
        where = template.place_of("examples", "static")
        yield Problem("warning", where, "examples.static is set, static_examples not used")
    if spec.static is None and "static_examples" in template.uses:
        where = template.reads["static_examples"]
        yield Problem("error", where, "static_examples need examples.static in the front matter")
    if spec.k and "examples" not in template.uses:
        where = template.place_of("examples", "k")
        yield Problem("warning", where, "examples.k is set, examples not used")


def _store(template: Template, settings: Settings, sample: StoreSample | None) -> Iterator[Problem]:
    """Look for what the template wants of its store."""
    spec = template.front.examples
    wants = sorted(template.uses - {"history"})
    if wants and (spec is None or spec.store is None):
        message = f"uses {', '.join(wants)} but names no store: each build has to name one"
        yield Problem("warning", template.reads[wants[0]], message)
    if sample is None:
        return
    for condition in settings.where.conditions:
        if condition.field != "label" or not sample.labels:
            continue
        for label in sorted(condition.values - {*sample.labels}):
            where = template.place_of("examples", "where")
            near = did_you_mean(label, sample.labels)
            yield Problem("error", where, f"examples.where: no label {label!r}; {near}")
    if not sample.drawn:
        where = template.place_of("examples", "store")
        yield Problem("warning", where, "its store has no examples to show")


def _order(template: Template, settings: Settings, shown: Rendered) -> Iterator[Problem]:
    """Look at the order of messages, as strict providers would."""
    if shown.messages is None:
        return
    request = Request(shown.messages)
    strict = (settings.model or "").rpartition("/")[2].startswith(("claude", "gemini"))
    for make, level in ((openai_body, "error"), (anthropic_body, "error" if strict else "warning")):
        try:
            make(request)
        except ProviderError as error:
            yield Problem(level, template.where, str(error))  # type: ignore[arg-type]
            return
    roles = [message["role"] for message in shown.messages]
    if roles[-1] == "assistant":
        yield Problem("warning", template.where, "the last message is the assistant's: some "
                      "models refuse to go on from there")  # fmt: skip
    start = next((n for n, role in enumerate(roles) if role not in INSTRUCTIONS), 0)
    if {*INSTRUCTIONS} & {*roles[start:]}:
        yield Problem("warning", template.where, "instructions stand after the first turn: "
                      "Anthropic and Gemini get them as text of the user")  # fmt: skip


def _markers(template: Template, settings: Settings) -> Iterator[Problem]:
    """Look for inputs that can't be cut as their template says."""
    for name, spec in template.inputs.items():
        if spec.max_tokens is not None and settings.counter.count(spec.marker) > spec.max_tokens:
            yield Problem("error", template.place_of("inputs", name), f"the marker of {name!r} "
                          f"alone has more than {spec.max_tokens} tokens")  # fmt: skip


def _room(trial: Trial) -> Room:
    settings, sample = trial.settings, trial.sample
    try:
        least = trial.count(trial.render(empty=True, bare=True))
    except TemplateError:  # an empty value won't do
        least = trial.count(trial.render(bare=True))
    limit = settings.budget - settings.reserve
    mean = fit_mean = fit_worst = None
    k = settings.k if "examples" in trial.template.uses else 0
    if k and sample is not None and sample.drawn:
        fixed = trial.count(trial.bare)

        def cost(shown: Sequence[Example]) -> int:
            return trial.count(trial.render(shown)) - fixed

        def is_over(number: int) -> bool:
            return cost(sample.longest[:number]) > limit - least

        mean = cost(sample.drawn) / len(sample.drawn)
        fit_mean = min(k, max(0, int((limit - least) / max(1.0, mean))))
        most = min(k, len(sample.longest))
        fit_worst = bisect_left(range(1, most + 1), True, key=is_over) if least <= limit else 0
    stable = trial.prefix.tokens if trial.prefix is not None else None
    return Room(least, limit, stable, k, mean, fit_mean, fit_worst)


def _costs(template: Template, room: Room) -> Iterator[Problem]:
    where, left = template.place_of("budget", "tokens"), room.limit - room.least
    if left < 0:
        yield Problem("error", where, f"costs {room.least:,} tokens with empty inputs and no "
                      f"example, {room.limit:,} are allowed")  # fmt: skip
    elif room.fit_mean == 0:
        yield Problem("error", where, "no example of average length fits: one costs "
                      f"{room.mean:.0f} tokens, {left:,} are left for all")  # fmt: skip
    elif room.fit_worst == 0 and room.k:
        yield Problem("warning", where, "the longest example alone doesn't fit")


def _prefix(trial: Trial) -> Iterator[Problem]:
    """Warn of what changes with each query before much that doesn't."""
    template, prefix = trial.template, trial.prefix
    if prefix is None:
        return
    try:
        fixed = trial.count(trial.render(empty=True))
    except TemplateError:
        return
    behind = fixed - prefix.tokens
    if behind < BEHIND:
        return
    for name in template.reads:
        if name not in (*PER_QUERY, *template.inputs):
            continue
        alone = trial.stable_prefix(only=(name,))
        if alone is not None and alone.tokens == prefix.tokens:  # it is what ends the prefix
            yield Problem("warning", template.reads[name], f"{name} changes with each query and "
                          f"stands before {behind:,} tokens that don't: providers cache a prompt "
                          "up to there only")  # fmt: skip
            return


def _is_unbounded(spec: InputSpec) -> bool:
    return spec.type in UNBOUNDED and spec.max_tokens is None and spec.enum is None

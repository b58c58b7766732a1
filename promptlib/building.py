"""From a template, its inputs and a shortlist to a prompt: select, fit, order, render."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

from promptlib.budget.fit import DropReason
from promptlib.budget.share import Shared, fit_all
from promptlib.budget.tokens import not_text
from promptlib.errors import BudgetError, TemplateError
from promptlib.example import Example
from promptlib.explaining import Explanation
from promptlib.hint import Hint, volume_hint
from promptlib.index.candidates import Candidates
from promptlib.manifest import result_hash, versions
from promptlib.message import turns_of
from promptlib.parts import measure_parts
from promptlib.prompt import Lazily, Prompt
from promptlib.rendering import PromptRenderer, Shown
from promptlib.selection.strategies import NO_WORDS, select_examples
from promptlib.settings import Settings
from promptlib.shortlisted import Shortlist, pool_of
from promptlib.templating.specials import may_hold_tokens, special_tokens_in
from promptlib.templating.template import Rendered, Template, with_cuts

ONE_BY_ONE = 32
"""So many ranks, or twice k, are taken one after the other by strategies that do so."""


def build_prompt(
    template: Template,
    inputs: Mapping[str, Any],
    settings: Settings,
    shortlist: Shortlist | None = None,
    *,
    history: Sequence[Mapping[str, Any]] = (),
    cuts: Mapping[str, int] = MappingProxyType({}),
    notes: Sequence[str] = (),
) -> Prompt:
    """Choose, fit and render.

    `inputs` have been checked; `cuts` says how many characters stay of those that are too long.
    Without a shortlist the prompt is zero-shot. Raises BudgetError when it is over its budget
    without examples, TemplateError when the template fails.
    """
    return _Builder(template, inputs, cuts, settings, shortlist, history, tuple(notes)).build()


class _Builder:
    """One build: what its steps share."""

    def __init__(
        self, template: Template, inputs: Mapping[str, Any], cuts: Mapping[str, int],
        settings: Settings, shortlist: Shortlist | None, history: Sequence[Mapping[str, Any]],
        notes: tuple[str, ...],
    ) -> None:  # fmt: skip
        self.template = template
        self.inputs = inputs
        self.cuts = cuts
        self.settings = settings
        self.shortlist = shortlist
        self.notes = notes
        self.turns = turns_of(history)
        self.found = found = shortlist.candidates if shortlist is not None else Candidates.none()
        depth = shortlist.depth if shortlist is not None else 0
        self.pool = pool_of(found, settings.seed, settings.weights)
        one_by_one = max(ONE_BY_ONE, 2 * settings.k)
        ranking = select_examples(self.pool, strategy=settings.strategy, depth=one_by_one)
        self.ranking = ranking.cut(depth)
        labels = [self.pool.labels[at] for at in self.ranking.positions.tolist()]
        # Rank order, each once: the likeliest first.
        self.candidate_labels = tuple(dict.fromkeys(x for x in labels if x is not None))
        self.known = {
            name: value
            for name, value in {
                "labels": shortlist.labels if shortlist is not None else (),
                "candidate_labels": self.candidate_labels,
                "label_definitions": shortlist.label_definitions if shortlist is not None else {},
            }.items()
            if name in template.uses
        }
        scope = self.known | with_cuts(inputs, template, cuts)
        # Not a method of this builder, which would then wait for the garbage collector.
        fetch = partial(_fetch, shortlist, found.keys[self.ranking.positions].tolist())
        self.renderer = PromptRenderer(template, settings, scope, self.turns, fetch, len(labels))

    def build(self) -> Prompt:
        settings, renderer = self.settings, self.renderer
        shared = self._fit()
        fit = shared.fit
        self.shown = shown = Shown(fit.chosen, shared.turns, self._without(shared.sections))
        rendered = renderer.render(shown)
        if settings.explain:
            missing = [rank for rank in range(renderer.ranked) if rank not in fit.costs]
            fit = replace(fit, costs=fit.costs | {rank: self._cost(rank) for rank in missing})
        left_out = self.shortlist.left_out if self.shortlist is not None else ()
        knows_words = settings.explain or settings.strategy not in NO_WORDS
        why = Explanation(self.found, self.pool, self.ranking, fit, left_out, knows_words)
        ranks = renderer.ordered(fit.chosen)
        examples = renderer.examples(ranks)
        specials = self._special_tokens(examples)
        self.template.refuse_tokens(rendered)
        return Prompt(
            text=rendered.text,
            # The caller's own: what is told later comes from those that were rendered.
            messages=rendered.messages and [{**message} for message in rendered.messages],
            tokens=fit.tokens,
            count_kind=settings.counter.kind_of(rendered.messages, settings.tools),
            budget=settings.budget,
            reserve=settings.reserve,
            encoding=settings.counter.encoding,
            crowded=sum(reason is DropReason.OVER_BUDGET for reason in fit.dropped.values()),
            static_examples=self.renderer.static,
            left_sections=self._left(shown),
            special_tokens=specials,
            notes=(*self.notes, *self._notes(rendered, specials)),
            lazily=Lazily(
                partial(self._facts, rendered, fit.tokens, examples),
                partial(why.chosen, ranks, examples, self._cost),
                why.dropped,
                partial(measure_parts, renderer, shown, len(self.turns), fit.tokens, fit.dropped),
                partial(renderer.stable_prefix, shown, fit.tokens),
                partial(self._hint, len(ranks)),
            ),
        )

    # -- fitting ---------------------------------------------------------------------------------

    def _fit(self) -> Shared:
        settings = self.settings
        sections = tuple(section.priority for section in self.template.sections)
        priorities = settings.priorities._replace(sections=sections)
        try:
            return fit_all(
                self.ranking.scores.tolist(), len(self.turns), self._count,
                limit=settings.budget - settings.reserve, priorities=priorities,
                claim=settings.claim, k=settings.k, min_k=settings.min_k,
                max_example_tokens=settings.max_example_tokens, share=settings.share,
                gains=self.ranking.gains,
            )  # fmt: skip
        except BudgetError as error:
            raise BudgetError(
                f"{error} (budget {settings.budget:,} less {settings.reserve:,} reserved); "
                f"it needs a budget of {error.fixed + settings.reserve:,} or more",
                fixed=error.fixed,
                available=error.available,
            ) from None

    def _count(self, ranks: Sequence[int], turns: int, sections: int) -> int:
        return self.renderer.count(Shown(tuple(ranks), turns, self._without(sections)))

    def _without(self, kept: int) -> frozenset[str]:
        """Name the sections that leave when so many of the highest priority stay."""
        return frozenset(section.name for section in self.template.sections[kept:])

    # -- reporting -------------------------------------------------------------------------------

    def _cost(self, rank: int) -> int:
        return max(0, self.renderer.count(replace(self.shown, ranks=(rank,))) - self._fixed)

    @cached_property
    def _fixed(self) -> int:
        try:
            return self.renderer.count(replace(self.shown, ranks=()))
        except TemplateError:  # the body can't do without an example
            return 0

    def _hint(self, shown: int) -> Hint | None:
        return volume_hint(self.shortlist.volume, shown) if self.shortlist is not None else None

    def _left(self, shown: Shown) -> tuple[str, ...]:
        names = (section.name for section in self.template.sections)
        return tuple(name for name in names if name in shown.without)

    def _special_tokens(self, examples: Sequence[Example]) -> dict[str, int]:
        """Count those in all data that the body sees; raises TemplateError if it refuses them."""
        places = {
            **{f"input {name}": value for name, value in self.inputs.items()},
            "the history": self.turns[len(self.turns) - self.shown.turns :],
            **{
                f"example {example.id}": example.to_dict()
                for example in (*self.renderer.static, *examples)
                if may_hold_tokens(example.content)
            },
            **{name.replace("_", " "): value for name, value in self.known.items()},
        }
        found = {where: special_tokens_in(value) for where, value in places.items()}
        if self.template.neutralise == "refuse":
            for where, tokens in found.items():
                if tokens:
                    raise TemplateError(
                        f"{self.template.where}: {where} holds the special token {tokens[0]!r}, "
                        "and the template refuses them (special_tokens: refuse)"
                    )
        return dict(Counter(token for tokens in found.values() for token in tokens))

    def _notes(self, rendered: Rendered, specials: Mapping[str, int]) -> Iterator[str]:
        if self.shown.turns < len(self.turns):
            left = len(self.turns) - self.shown.turns
            yield f"{left} of {len(self.turns)} turns of history left out for room"
        for name, kept in self.cuts.items():
            yield f"input {name} cut to {kept:,} of its {len(self.inputs[name]):,} characters"
        if specials:
            done = {"keep": "they stay, as text", "escape": "escaped", "strip": "stripped"}
            yield (
                f"special tokens in the data: {', '.join(specials)}; "
                f"{done[self.template.neutralise]}"
            )
        parts = sum(not_text(message["content"]) for message in rendered.messages or ())
        if parts:
            yield (
                f"{parts} messages have parts that aren't text: what those cost depends on the "
                "model and isn't counted; keep room for them in the reserve"
            )

    def _facts(
        self, rendered: Rendered, tokens: int, examples: Sequence[Example]
    ) -> dict[str, Any]:
        settings, template, shown = self.settings, self.template, self.shown
        store = None
        if self.shortlist is not None:
            store = {"name": self.shortlist.store, **self.shortlist.origin}
        return {
            "template": {
                "name": template.name, "version": template.version, "hash": template.hash,
            },
            "inputs": dict(self.inputs),
            "cuts": dict(self.cuts),
            "history": [list(turn) for turn in self.turns[len(self.turns) - shown.turns :]],
            "kept_turns": shown.turns,
            "sections": {
                "kept": [s.name for s in template.sections if s.name not in shown.without],
                "left_out": list(self._left(shown)),
            },
            "store": store,
            "strategy": self.ranking.strategy,
            "weights": settings.weights.changed(),
            "k": settings.k,
            "min_k": settings.min_k,
            "max_example_tokens": settings.max_example_tokens,
            "examples_share": settings.share,
            "order": settings.order,
            "seed": settings.seed,
            "min_score": settings.min_score,
            "exclude_self": settings.exclude_self,
            "where": settings.where.to_data(),
            "budget": settings.budget,
            "reserve": settings.reserve,
            "priority": {
                "history": settings.priorities.history, "examples": settings.priorities.examples,
            },
            "share": settings.claim,
            "tools": list(settings.tools),
            "as_message": rendered.messages is not None and not template.is_chat,
            "model": settings.model,
            "encoding": settings.counter.encoding,
            "margin": settings.counter.margin,
            **{name: self.known.get(name) for name in ("labels", "label_definitions")},
            "candidate_labels": list(self.candidate_labels),
            "examples": [_pin(example) for example in examples],
            "static_examples": [_pin(example) for example in self.renderer.static],
            "static_store": template.static_store,
            "tokens": tokens,
            "versions": versions(),
            "result": result_hash(rendered.text, rendered.messages),
        }  # fmt: skip


def _fetch(shortlist: Shortlist | None, keys: Sequence[int], ranks: Sequence[int]) -> list[Example]:
    assert shortlist is not None  # without one there are no ranks
    return shortlist.fetch([keys[rank] for rank in ranks])


def _pin(example: Example) -> dict[str, str]:
    return {"id": example.id, "hash": example.content_hash}

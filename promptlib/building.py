"""From a template, its inputs and a shortlist to a prompt: select, fit, order, render."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from promptlib.budget.fit import DropReason, Fit
from promptlib.budget.share import Shared, fit_all
from promptlib.budget.tokens import not_text
from promptlib.errors import BudgetError, TemplateError
from promptlib.example import Example
from promptlib.explaining import Explanation, Seen
from promptlib.making import Making
from promptlib.message import turns_of
from promptlib.prompt import Prompt
from promptlib.rendering import PromptRenderer, Shown
from promptlib.selection.strategies import NO_WORDS
from promptlib.settings import Settings
from promptlib.shortlisted import NO_STORE, Fetch, Shortlist, rank_candidates
from promptlib.templating.specials import may_hold_tokens, special_tokens_in
from promptlib.templating.template import Rendered, Template, with_cuts

ONE_BY_ONE = 32
"""So many ranks, or twice k, are taken one after the other by strategies that do so."""


def build_prompt(
    template: Template,
    inputs: Mapping[str, Any],
    settings: Settings,
    shortlist: Shortlist = NO_STORE,
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
        settings: Settings, shortlist: Shortlist, history: Sequence[Mapping[str, Any]],
        notes: tuple[str, ...],
    ) -> None:  # fmt: skip
        self.template = template
        self.inputs = inputs
        self.cuts = cuts
        self.settings = settings
        self.shortlist = shortlist
        self.notes = notes
        self.turns = turns_of(history)
        found = shortlist.candidates
        ranking = rank_candidates(
            found, settings.strategy, seed=settings.seed, weights=settings.weights,
            depth=max(ONE_BY_ONE, 2 * settings.k),
        )  # fmt: skip
        self.ranking = ranking.cut(shortlist.depth)
        labels = found.labels[self.ranking.positions].tolist()
        # Rank order, each once: the likeliest first.
        self.candidate_labels = tuple(dict.fromkeys(x for x in labels if x is not None))
        self.known = {
            name: value
            for name, value in {
                "labels": shortlist.labels,
                "candidate_labels": self.candidate_labels,
                "label_definitions": shortlist.label_definitions,
            }.items()
            if name in template.uses
        }
        scope = self.known | with_cuts(inputs, template, cuts)
        # Not a method of this builder, which would then wait for the garbage collector.
        fetch = partial(_fetch, shortlist.fetch, found.keys[self.ranking.positions].tolist())
        self.renderer = PromptRenderer(template, settings, scope, self.turns, fetch, len(labels))

    def build(self) -> Prompt:
        settings, renderer = self.settings, self.renderer
        shared = self._fit()
        fit = shared.fit
        self.shown = shown = Shown(fit.chosen, shared.turns, self._without(shared.sections))
        rendered = renderer.render(shown)
        if settings.explain:
            missing = [rank for rank in range(renderer.ranked) if rank not in fit.costs]
            costs = {rank: renderer.cost(shown, rank) for rank in missing}
            fit = replace(fit, costs=fit.costs | costs)
        specials = self._special_tokens(renderer.examples(renderer.ordered(fit.chosen)))
        self.template.refuse_tokens(rendered)
        renderer.keep(fit.chosen)
        making = self._making(fit, rendered)
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
            static_examples=renderer.static,
            left_sections=making.left_sections,
            special_tokens=specials,
            notes=(*self.notes, *self._notes(rendered, specials)),
            told=making,
        )

    def _making(self, fit: Fit, rendered: Rendered) -> Making:
        shortlist, ranking = self.shortlist, self.ranking
        knows_words = self.settings.explain or self.settings.strategy not in NO_WORDS
        return Making(
            inputs=self.inputs,
            cuts=self.cuts,
            turns=self.turns,
            known=self.known,
            candidate_labels=self.candidate_labels,
            strategy=ranking.strategy,
            store=shortlist.store,
            volume=shortlist.volume,
            renderer=self.renderer,
            shown=self.shown,
            rendered=rendered,
            choice=Explanation(
                Seen.of(shortlist.candidates), ranking.positions, ranking.scores, fit,
                [(why, Seen.of(rows)) for why, rows in shortlist.left_out], knows_words,
            ),
        )  # fmt: skip

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


def _fetch(fetch: Fetch, keys: Sequence[int], ranks: Sequence[int]) -> list[Example]:
    return fetch([keys[rank] for rank in ranks])

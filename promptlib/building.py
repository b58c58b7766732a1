"""From a template, its inputs and a shortlist to a prompt: select, fit, order, render."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from importlib.metadata import version
from typing import Any

from promptlib.budget.fit import DropReason
from promptlib.budget.share import Shared, fit_both
from promptlib.budget.tokens import not_text
from promptlib.errors import BudgetError
from promptlib.example import Example
from promptlib.explaining import Explanation, LeftOut
from promptlib.hint import Volume, volume_hint
from promptlib.index.candidates import Candidates
from promptlib.message import turns_of
from promptlib.prompt import Prompt
from promptlib.selection.ordering import order_examples
from promptlib.selection.pool import Pool, Weights
from promptlib.selection.strategies import NO_WORDS, select_examples
from promptlib.settings import Settings
from promptlib.templating.template import Rendered, Template, example_scope
from promptlib.templating.values import JsonList, jsonable
from promptlib.version import __version__

ONE_BY_ONE = 32
"""So many ranks, or twice k, are taken one after the other by strategies that do so."""


@dataclass(frozen=True)
class Shortlist:
    """What retrieval found, and where."""

    candidates: Candidates
    left_out: LeftOut
    """What was found beside them and may not be shown, by reason."""
    depth: int
    """How many of the ranked candidates are looked at."""
    fetch: Callable[[Sequence[int]], list[Example]]
    """Row keys -> their examples, in the snapshot that the candidates come from."""
    labels: tuple[str, ...]
    label_definitions: Mapping[str, str]
    volume: Volume
    store: str
    rows: int
    """That can be found."""
    pending: int
    """That can't be, for want of vectors."""
    notes: tuple[str, ...]
    origin: Mapping[str, Any]
    """The manifest's part about the store: uid, revision, embedder."""


def pool_of(found: Candidates, seed: int = 0, weights: Weights | None = None) -> Pool:
    """Give a strategy what it may see of candidates."""
    return Pool(
        found.similarity, found.lexical, found.vectors, found.labels.tolist(), seed,
        weights or Weights(), found.words,
    )  # fmt: skip


def build_prompt(
    template: Template,
    inputs: Mapping[str, Any],
    settings: Settings,
    shortlist: Shortlist | None = None,
    *,
    history: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[str] = (),
) -> Prompt:
    """Choose, fit and render.

    `inputs` have been checked. Without a shortlist the prompt is zero-shot. Raises BudgetError
    when it is over its budget without examples, TemplateError when the template fails.
    """
    return _Builder(template, inputs, settings, shortlist, history, tuple(notes)).build()


class _Builder:
    """One build: what its steps share."""

    def __init__(
        self, template: Template, inputs: Mapping[str, Any], settings: Settings,
        shortlist: Shortlist | None, history: Sequence[Mapping[str, Any]], notes: tuple[str, ...],
    ) -> None:  # fmt: skip
        self.template = template
        self.inputs = inputs
        self.settings = settings
        self.shortlist = shortlist
        self.limit = settings.budget - settings.reserve
        self.notes = notes
        self.turns = turns_of(history)
        self.fetched: dict[int, tuple[Example, Any]] = {}
        self.last: tuple[tuple[tuple[int, ...], int], Rendered] | None = None
        self.found = found = shortlist.candidates if shortlist is not None else Candidates.none()
        depth = shortlist.depth if shortlist is not None else 0
        self.pool = pool_of(found, settings.seed, settings.weights)
        one_by_one = max(ONE_BY_ONE, 2 * settings.k)
        ranking = select_examples(self.pool, strategy=settings.strategy, depth=one_by_one)
        self.ranking = ranking.cut(depth)
        self.ranked: list[int] = self.ranking.positions.tolist()  # rank -> place in shortlist
        self.scores: list[float] = self.ranking.scores.tolist()
        self.labels = [self.pool.labels[at] for at in self.ranked]
        # Rank order, each once: the likeliest first.
        self.candidate_labels = tuple(dict.fromkeys(x for x in self.labels if x is not None))
        known = {
            "labels": shortlist.labels if shortlist is not None else (),
            "candidate_labels": self.candidate_labels,
            "label_definitions": shortlist.label_definitions if shortlist is not None else {},
        }
        self.scope = {
            name: jsonable(value)
            for name, value in (known | dict(inputs)).items()
            if name not in known or name in template.uses
        }
        self.messages = [[jsonable(message) for message in turn] for turn in self.turns]

    def build(self) -> Prompt:
        settings = self.settings
        shared = self._fit()
        fit, self.kept_turns = shared.fit, shared.turns
        shown = order_examples(fit.chosen, settings.order, settings.seed)
        rendered = self._render(fit.chosen, shared.turns)
        if settings.explain:
            missing = [rank for rank in range(len(self.ranked)) if rank not in fit.costs]
            fit = replace(fit, costs=fit.costs | {rank: self._cost(rank) for rank in missing})
        left_out = self.shortlist.left_out if self.shortlist is not None else ()
        knows_words = settings.explain or settings.strategy not in NO_WORDS
        why = Explanation(self.found, self.pool, self.ranking, fit, left_out, knows_words)
        volume = self.shortlist.volume if self.shortlist is not None else None
        return Prompt(
            text=rendered.text,
            messages=rendered.messages,
            tokens=fit.tokens,
            count_kind=settings.counter.kind_of(rendered.messages, settings.tools),
            budget=settings.budget,
            reserve=settings.reserve,
            encoding=settings.counter.encoding,
            examples=tuple(
                why.chosen(rank, self.fetched[rank][0], partial(self._cost, rank)) for rank in shown
            ),
            crowded=sum(reason is DropReason.OVER_BUDGET for reason in fit.dropped.values()),
            list_dropped=why.dropped,
            hint=volume_hint(volume, len(shown)) if volume is not None else None,
            notes=(*self.notes, *self._notes(rendered)),
            manifest=self._manifest(rendered, shown),
        )

    # -- fitting ---------------------------------------------------------------------------------

    def _fit(self) -> Shared:
        settings = self.settings
        try:
            return fit_both(
                self.scores, len(self.turns), self._count, limit=self.limit,
                priority=settings.priority, claim=settings.claim, k=settings.k,
                min_k=settings.min_k, max_example_tokens=settings.max_example_tokens,
                share=settings.share, gains=self.ranking.gains,
            )  # fmt: skip
        except BudgetError as error:
            raise BudgetError(
                f"{error} (budget {settings.budget:,} less {settings.reserve:,} reserved); "
                f"it needs a budget of {error.fixed + settings.reserve:,} or more",
                fixed=error.fixed,
                available=error.available,
            ) from None

    def _count(self, ranks: Sequence[int], turns: int) -> int:
        rendered = self._render(ranks, turns)
        counter, tools = self.settings.counter, self.settings.tools
        if rendered.messages is None:
            return counter.count(rendered.text)
        return counter.count_messages(rendered.messages, tools)

    def _render(self, ranks: Sequence[int], turns: int) -> Rendered:
        key = tuple(ranks), turns
        last = self.last
        if last is not None and last[0] == key:
            return last[1]  # what was counted last is most often what is shown
        ordered = order_examples(ranks, self.settings.order, self.settings.seed)
        kept = self.messages[len(self.messages) - turns :]
        rendered = self.template.render_scope(
            self.scope
            | {
                "examples": [scope for _, scope in self._examples(ordered)],
                "history": JsonList(message for turn in kept for message in turn),
            }
        )
        if rendered.messages is None and (self.settings.as_message or self.settings.tools):
            # A text that goes with tools goes as a message.
            rendered = Rendered("", [{"role": "user", "content": rendered.text}])
        self.last = key, rendered
        return rendered

    def _examples(self, ranks: Sequence[int]) -> list[tuple[Example, Any]]:
        if (missing := [rank for rank in ranks if rank not in self.fetched]) and self.shortlist:
            # One question to the database: for what fits at once, or for everything.
            wanted = missing if not self.fetched else range(len(self.ranked))
            keys = self.shortlist.candidates.keys
            examples = self.shortlist.fetch([int(keys[self.ranked[rank]]) for rank in wanted])
            for rank, example in zip(wanted, examples, strict=True):
                self.fetched[rank] = example, example_scope(example)
        return [self.fetched[rank] for rank in ranks]

    # -- reporting -------------------------------------------------------------------------------

    def _cost(self, rank: int) -> int:
        return max(0, self._count((rank,), self.kept_turns) - self._fixed)

    @cached_property
    def _fixed(self) -> int:
        return self._count((), self.kept_turns)

    def _notes(self, rendered: Rendered) -> Iterator[str]:
        if self.kept_turns < len(self.turns):
            left = len(self.turns) - self.kept_turns
            yield f"{left} of {len(self.turns)} turns of history left out for room"
        parts = sum(not_text(message["content"]) for message in rendered.messages or ())
        if parts:
            yield (
                f"{parts} messages have parts that aren't text: what those cost depends on the "
                "model and isn't counted; keep room for them in the reserve"
            )

    def _manifest(self, rendered: Rendered, shown: Sequence[int]) -> dict[str, Any]:
        settings, template = self.settings, self.template
        store = None
        if self.shortlist is not None:
            store = {"name": self.shortlist.store, **self.shortlist.origin}
        return {
            "template": {"name": template.name, "version": None, "hash": template.hash},
            "inputs": dict(self.inputs),
            "history": [list(turn) for turn in self.turns[len(self.turns) - self.kept_turns :]],
            "kept_turns": self.kept_turns,
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
            "priority": settings.priority,
            "share": settings.claim,
            "tools": list(settings.tools),
            "model": settings.model,
            "encoding": settings.counter.encoding,
            "margin": settings.counter.margin,
            "candidate_labels": list(self.candidate_labels),
            "examples": [
                {"id": example.id, "hash": example.content_hash}
                for example, _ in (self.fetched[rank] for rank in shown)
            ],
            "versions": _versions(),
            "result": _result_hash(rendered),
        }


@cache
def _versions() -> dict[str, str]:
    return {"promptlib": __version__, "jinja2": version("jinja2")}


def _result_hash(rendered: Rendered) -> str:
    result: Any = rendered.messages if rendered.messages is not None else rendered.text
    return hashlib.sha256(json.dumps(result, ensure_ascii=False).encode()).hexdigest()[:32]

"""From a template, its inputs and a shortlist to a prompt: select, fit, order, render."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib.metadata import version
from typing import Any

import numpy as np

from promptlib.budget.fit import Fit, fit_examples
from promptlib.budget.tokens import TokenCounter
from promptlib.errors import BudgetError
from promptlib.example import Example
from promptlib.hint import Volume, volume_hint
from promptlib.index.state import Candidates
from promptlib.prompt import DroppedExample, Prompt, PromptExample
from promptlib.selection.ordering import order_examples
from promptlib.selection.strategies import Strategy, select_examples
from promptlib.templating.template import Rendered, Template, example_scope
from promptlib.templating.values import jsonable
from promptlib.version import __version__


@dataclass(frozen=True)
class Settings:
    """Every setting of a prompt, resolved."""

    k: int
    strategy: str | Strategy
    order: str
    seed: int
    budget: int
    reserve: int
    model: str | None
    counter: TokenCounter


@dataclass(frozen=True)
class Shortlist:
    """What retrieval found, and where."""

    candidates: Candidates
    fetch: Callable[[Sequence[int]], list[Example]]
    """Row keys -> their examples, in the snapshot that the candidates come from."""
    labels: tuple[str, ...]
    volume: Volume
    store: str
    origin: Mapping[str, Any]
    """The manifest's part about the store: uid, revision, embedder."""


def build_prompt(
    template: Template,
    inputs: Mapping[str, Any],
    settings: Settings,
    shortlist: Shortlist | None = None,
    *,
    history: Sequence[Mapping[str, str]] = (),
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
        shortlist: Shortlist | None, history: Sequence[Mapping[str, str]], notes: tuple[str, ...],
    ) -> None:  # fmt: skip
        self.template = template
        self.inputs = inputs
        self.settings = settings
        self.shortlist = shortlist
        self.limit = settings.budget - settings.reserve
        self.notes = notes
        self.turns = _turns(history)
        self.fetched: dict[int, tuple[Example, Any]] = {}
        self.last: tuple[tuple[int, ...], Rendered] | None = None
        found = shortlist.candidates if shortlist is not None else None
        ranking = select_examples(
            found.similarity if found is not None else np.zeros(0),
            strategy=settings.strategy,
            seed=settings.seed,
        )
        self.strategy = ranking.strategy
        self.ranked: list[int] = ranking.positions.tolist()  # rank -> position in the shortlist
        self.scores: list[float] = ranking.scores.tolist()
        labels = found.labels[ranking.positions].tolist() if found is not None else []
        self.labels = labels
        # Rank order, each once: the likeliest first.
        self.candidate_labels = tuple(dict.fromkeys(x for x in labels if x is not None))
        known = {
            "labels": shortlist.labels if shortlist is not None else (),
            "candidate_labels": self.candidate_labels,
        }
        self.scope = {
            name: jsonable(value)
            for name, value in (known | dict(inputs)).items()
            if name not in known or name in template.uses
        }
        self._keep_turns(0)

    def build(self) -> Prompt:
        fit = self._fit()
        shown = order_examples(fit.chosen, self.settings.order, self.settings.seed)
        rendered = self._render(fit.chosen)
        settings = self.settings
        volume = self.shortlist.volume if self.shortlist is not None else None
        return Prompt(
            text=rendered.text,
            messages=rendered.messages,
            tokens=fit.tokens,
            count_kind=settings.counter.kind,
            budget=settings.budget,
            reserve=settings.reserve,
            encoding=settings.counter.encoding,
            examples=tuple(self._chosen(rank, fit) for rank in shown),
            dropped=tuple(self._dropped(fit)),
            hint=volume_hint(volume, len(shown)) if volume is not None else None,
            notes=self.notes,
            manifest=self._manifest(rendered, shown),
        )

    # -- fitting ---------------------------------------------------------------------------------

    def _fit(self) -> Fit:
        k = self.settings.k
        if self.turns and self._count(tuple(range(min(k, len(self.ranked))))) > self.limit:
            # History has the first claim: as many of the newest turns as fit without examples.
            dropped = bisect_left(range(len(self.turns)), True, key=lambda n: self._fits_without(n))
            self._keep_turns(dropped)
            if dropped:
                self.notes += (
                    f"{dropped} of {len(self.turns)} turns of history left out for room",
                )
        try:
            return fit_examples(self.scores, self._count, k=k, limit=self.limit)
        except BudgetError as error:
            settings = self.settings
            raise BudgetError(
                f"{error} (budget {settings.budget:,} less {settings.reserve:,} reserved); "
                f"it needs a budget of {error.fixed + settings.reserve:,} or more",
                fixed=error.fixed,
                available=error.available,
            ) from None

    def _fits_without(self, dropped: int) -> bool:
        self._keep_turns(dropped)
        return self._count(()) <= self.limit

    def _keep_turns(self, dropped: int) -> None:
        self.kept_turns = len(self.turns) - dropped
        self.last = None
        kept = [message for turn in self.turns[dropped:] for message in turn]
        self.scope["history"] = jsonable(kept)

    def _count(self, ranks: Sequence[int]) -> int:
        rendered = self._render(ranks)
        counter = self.settings.counter
        if rendered.messages is not None:
            return counter.count_messages(rendered.messages)
        return counter.count(rendered.text)

    def _render(self, ranks: Sequence[int]) -> Rendered:
        if self.last is not None and self.last[0] == ranks:
            return self.last[1]  # what was counted last is most often what is shown
        ordered = order_examples(ranks, self.settings.order, self.settings.seed)
        scopes = [scope for _, scope in self._examples(ordered)]
        rendered = self.template.render_scope(self.scope | {"examples": scopes})
        self.last = tuple(ranks), rendered
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

    def _chosen(self, rank: int, fit: Fit) -> PromptExample:
        assert self.shortlist is not None
        cost = fit.costs.get(rank)
        return PromptExample(
            example=self.fetched[rank][0],
            rank=rank + 1,
            score=self.scores[rank],
            similarity=float(self.shortlist.candidates.similarity[self.ranked[rank]]),
            label=self.labels[rank],
            measure=partial(self._cost, rank) if cost is None else partial(int, cost),
        )

    def _dropped(self, fit: Fit) -> Iterator[DroppedExample]:
        if self.shortlist is None:
            return
        found = self.shortlist.candidates
        ids, cosines = found.ids.tolist(), found.similarity.tolist()
        for rank, reason in fit.dropped.items():
            at = self.ranked[rank]
            yield DroppedExample(
                ids[at], rank + 1, self.scores[rank], cosines[at], self.labels[rank],
                fit.costs.get(rank), reason,
            )  # fmt: skip

    def _cost(self, rank: int) -> int:
        return max(0, self._count((rank,)) - self._fixed)

    @cached_property
    def _fixed(self) -> int:
        return self._count(())

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
            "strategy": self.strategy,
            "k": settings.k,
            "order": settings.order,
            "seed": settings.seed,
            "budget": settings.budget,
            "reserve": settings.reserve,
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


def _turns(history: Sequence[Mapping[str, str]]) -> list[list[Mapping[str, str]]]:
    """Cut a conversation into turns: a user's message and all that answers it."""
    turns: list[list[Mapping[str, str]]] = []
    for message in history:
        if message["role"] == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


@cache
def _versions() -> dict[str, str]:
    return {"promptlib": __version__, "jinja2": version("jinja2")}


def _result_hash(rendered: Rendered) -> str:
    result: Any = rendered.messages if rendered.messages is not None else rendered.text
    return hashlib.sha256(json.dumps(result, ensure_ascii=False).encode()).hexdigest()[:32]

"""How a prompt was made: what it tells of that is worked out when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from promptlib.example import Example
from promptlib.explaining import Explanation
from promptlib.hint import Hint, Volume, volume_hint
from promptlib.manifest import result_hash, versions
from promptlib.parts import measure_parts
from promptlib.prompt import DroppedExample, Part, PromptExample
from promptlib.rendering import PromptRenderer, Shown
from promptlib.stability import StablePrefix
from promptlib.templating.template import Rendered


@dataclass(frozen=True, slots=True)
class Making:
    """One build, as it ended. Prompts are kept by the thousand: it has no more than it tells."""

    inputs: Mapping[str, Any]
    cuts: Mapping[str, int]
    """How many characters stayed of the inputs that were too long."""
    turns: Sequence[Sequence[Mapping[str, Any]]]
    """Of the whole conversation."""
    known: Mapping[str, Any]
    """What retrieval put in scope, of that which the template uses."""
    candidate_labels: Sequence[str]
    strategy: str
    store: Mapping[str, Any] | None
    """The store's name and where it stood; None without one."""
    volume: Volume | None
    renderer: PromptRenderer
    shown: Shown
    rendered: Rendered
    choice: Explanation

    @property
    def examples(self) -> tuple[PromptExample, ...]:
        """See Prompt."""
        ranks = self._ranks
        cost = partial(self.renderer.cost, self.shown)
        return self.choice.chosen(ranks, self.renderer.examples(ranks), cost)

    @property
    def dropped(self) -> tuple[DroppedExample, ...]:
        """See Prompt."""
        return self.choice.dropped()

    @property
    def parts(self) -> tuple[Part, ...]:
        """See Prompt."""
        fit = self.choice.fit
        return measure_parts(self.renderer, self.shown, len(self.turns), fit.tokens, fit.dropped)

    @property
    def stable_prefix(self) -> StablePrefix | None:
        """See Prompt."""
        return self.renderer.stable_prefix(self.shown, self.choice.fit.tokens)

    @property
    def hint(self) -> Hint | None:
        """See Prompt."""
        return None if self.volume is None else volume_hint(self.volume, len(self.shown.ranks))

    @property
    def _ranks(self) -> Sequence[int]:
        """Those shown, in the order of the prompt."""
        return self.renderer.ordered(self.shown.ranks)

    @property
    def left_sections(self) -> tuple[str, ...]:
        """Name the sections that were left out for room."""
        names = (section.name for section in self.renderer.template.sections)
        return tuple(name for name in names if name in self.shown.without)

    @property
    def settings(self) -> dict[str, Any]:
        """See Prompt."""
        settings, template, shown = self.renderer.settings, self.renderer.template, self.shown
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
                "left_out": list(self.left_sections),
            },
            "store": self.store,
            "strategy": self.strategy,
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
            "as_message": self.rendered.messages is not None and not template.is_chat,
            "model": settings.model,
            "encoding": settings.counter.encoding,
            "margin": settings.counter.margin,
            **{name: self.known.get(name) for name in ("labels", "label_definitions")},
            "candidate_labels": list(self.candidate_labels),
            "examples": [_pin(example) for example in self.renderer.examples(self._ranks)],
            "static_examples": [_pin(example) for example in self.renderer.static],
            "static_store": template.static_store,
            "tokens": self.choice.fit.tokens,
            "versions": versions(),
            "result": result_hash(self.rendered.text, self.rendered.messages),
        }  # fmt: skip


def _pin(example: Example) -> dict[str, str]:
    return {"id": example.id, "hash": example.content_hash}

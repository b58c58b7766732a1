"""One prompt's template with its data in scope: rendered and counted with any choice of parts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from promptlib.errors import TemplateError
from promptlib.example import Example
from promptlib.selection.ordering import order_examples
from promptlib.settings import Settings
from promptlib.stability import StablePrefix, find_stable_prefix
from promptlib.templating.template import Rendered, Template
from promptlib.templating.values import JsonList

FetchRanks = Callable[[Sequence[int]], list[Example]]
"""Ranks -> their examples."""


def count_rendered(rendered: Rendered, settings: Settings) -> int:
    """Count the tokens of a text, or of messages with the tools that go along."""
    if rendered.messages is None:
        return settings.counter.count(rendered.text)
    return settings.counter.count_messages(rendered.messages, settings.tools)


@dataclass(frozen=True)
class Shown:
    """Which parts a prompt shows: examples by rank, newest turns, all but some sections."""

    ranks: tuple[int, ...] = ()
    turns: int = 0
    without: frozenset[str] = frozenset()
    static: bool = True
    """Whether the static examples stand there: only measuring leaves them out."""


class PromptRenderer:
    """Renders one prompt again and again, as fitting asks for; remembers the last."""

    def __init__(
        self, template: Template, settings: Settings, scope: Mapping[str, Any],
        turns: Sequence[Sequence[Mapping[str, Any]]], fetch: FetchRanks, ranked: int,
    ) -> None:  # fmt: skip
        self.template = template
        self.settings = settings
        self.ranked = ranked
        self._fetch: FetchRanks | None = fetch
        data = template.data
        self._scope = {name: data(value) for name, value in scope.items()}
        self.static = template.static if "static_examples" in template.uses else ()
        self._messages = [[data(message) for message in turn] for turn in turns]
        self._examples: dict[int, Example] = {}
        self._data: dict[int, Any] = {}
        self._last: tuple[Shown, Rendered] | None = None
        self._bare: tuple[Shown, int] | None = None

    def render(self, shown: Shown) -> Rendered:
        """Render; raises TemplateError."""
        if self._last is not None and self._last[0] == shown:
            return self._last[1]  # what was counted last is most often what is shown
        rendered = self.template.render_scope(self._scope_of(shown), shown.without)
        if rendered.messages is None and (self.settings.as_message or self.settings.tools):
            # A text that goes with tools goes as a message.
            rendered = rendered.as_message()
        self._last = shown, rendered
        return rendered

    def count(self, shown: Shown) -> int:
        """Count the tokens of the whole."""
        return count_rendered(self.render(shown), self.settings)

    def cost(self, shown: Shown, rank: int) -> int:
        """Count what one example costs beside the rest of what is shown, without the others."""
        bare = replace(shown, ranks=())
        if self._bare is None or self._bare[0] != bare:
            try:
                self._bare = bare, self.count(bare)
            except TemplateError:  # the body can't do without an example
                self._bare = bare, 0
        return max(0, self.count(replace(shown, ranks=(rank,))) - self._bare[1])

    def stable_prefix(self, shown: Shown, tokens: int) -> StablePrefix | None:
        """Find where the start ends that doesn't depend on the query."""
        return find_stable_prefix(
            self.template, self._scope_of(shown), shown.without, self.render(shown),
            self.settings.counter, tokens, self.settings.tools,
        )  # fmt: skip

    def ordered(self, ranks: Sequence[int]) -> Sequence[int]:
        """Put ranks in the order of the prompt."""
        return order_examples(ranks, self.settings.order, self.settings.seed)

    def examples(self, ranks: Collection[int]) -> list[Example]:
        """Give the examples of these ranks."""
        self._fetch_missing(ranks)
        return [self._examples[rank] for rank in ranks]

    def keep(self, ranks: Collection[int]) -> None:
        """Let go of the store and of all examples but these: no others are rendered any more."""
        self._examples = {rank: self._examples[rank] for rank in ranks}
        self._data = {}  # made again if they are
        self._fetch = None

    def _scope_of(self, shown: Shown) -> dict[str, Any]:
        kept = self._messages[len(self._messages) - shown.turns :]
        ranks = self.ordered(shown.ranks)
        self._fetch_missing(ranks)
        return self._scope | {
            "static_examples": self.template.static_data if shown.static else JsonList(),
            "examples": JsonList(map(self._data_of, ranks)),
            "history": JsonList(message for turn in kept for message in turn),
        }

    def _data_of(self, rank: int) -> Any:
        if rank not in self._data:
            self._data[rank] = self.template.example(self._examples[rank])
        return self._data[rank]

    def _fetch_missing(self, ranks: Collection[int]) -> None:
        """Ask the database once: for what fits at once, or for everything."""
        missing = [rank for rank in ranks if rank not in self._examples]
        if not missing:
            return
        assert self._fetch is not None
        wanted = missing if not self._examples else range(self.ranked)
        found = self._fetch(wanted)
        if self._examples and (expect := self.settings.counter.expect):  # each is to be measured
            contents = (part for example in found for part in (example.input, example.output))
            expect(part for part in contents if isinstance(part, str))
        self._examples.update(zip(wanted, found, strict=True))

"""Keep what a search found: with the store, for `auto`, and in the template's front matter."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Protocol

from promptlib.evaluation.ways import Way
from promptlib.files.writing import replacing
from promptlib.intervals import Difference
from promptlib.project import Project
from promptlib.selection.pool import Weights
from promptlib.selection.strategies import AUTO, strategy_name
from promptlib.store.rows import now
from promptlib.store.settings import Tuned
from promptlib.store.tuning import save_tuned
from promptlib.templating.rewriting import with_settings


class Search(Protocol):
    """What a search found, by proxies or by a model's answers."""

    @property
    def store(self) -> str:
        """Whose examples were chosen."""

    @property
    def template(self) -> str | None:
        """Whose prompts were built."""

    @property
    def model(self) -> str | None:
        """Whose answers decided; None for proxies."""

    @property
    def yardstick(self) -> str:
        """What ways were compared by."""

    @property
    def queries(self) -> tuple[int, int]:
        """How many chose, and how many judged."""

    @property
    def fingerprint(self) -> str:
        """The embedder's."""

    @property
    def current(self) -> Way:
        """The settings in force."""

    @property
    def winner(self) -> Way:
        """The best way."""

    @property
    def gain(self) -> Difference | None:
        """How much better than the settings in force that is; None where it is the same."""

    @property
    def is_better(self) -> bool:
        """Whether that is clear."""

    @property
    def auto_way(self) -> Way | None:
        """The best way at the k and budget in force; None for a template that asks no query."""

    @property
    def auto_gain(self) -> Difference | None:
        """How much better than the built-in default its strategy is."""

    @property
    def moves_auto(self) -> bool:
        """Whether `auto` should follow it."""

    @property
    def stopped(self) -> str | None:
        """Why less was asked than was meant to be; None where all was."""

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain data."""


def record(project: Project, search: Search, *, by: str | None = None) -> bool:
    """Make the store's `auto` follow the search where it should; else it is the default again.

    What a model's answers decided holds for prompts to that model. A search that was stopped
    changes nothing. Returns whether `auto` has left the default. Raises ReadOnlyError.
    """
    best, gain, tuned = search.auto_way, search.auto_gain, None
    if best is None or search.stopped is not None:
        return False
    if gain is not None and search.moves_auto:
        tuned = Tuned(
            strategy=strategy_name(best.strategy), weights=best.weights.changed(), over=AUTO,
            measure=search.yardstick, difference=gain.value, low=gain.low, high=gain.high,
            queries=search.queries[1], k=best.k, embedder=search.fingerprint, at=now(),
        )  # fmt: skip
    store = project.store(search.store)
    settings = store.settings
    kept = settings.tuned if search.model is None else settings.tuned_for.get(search.model)
    if kept != tuned:
        save_tuned(store, tuned, model=search.model, by=by)
    return tuned is not None


def write_winner(project: Project, search: Search) -> bool:
    """Write the winner into the template's front matter, with the evidence; False if not clear.

    Raises TemplateError for a file without front matter.
    """
    if search.template is None or not search.is_better or search.stopped is not None:
        return False
    if search.gain is None:
        return False
    way, gain, path = search.winner, search.gain, project.registry.path(search.template)
    told = {spec.name: None for spec in fields(Weights)} | way.weights.changed()
    # Without examples any strategy shows as much.
    examples: dict[str, Any] = {"strategy": strategy_name(way.strategy), "k": way.k, **told}
    if way.order is not None:
        examples["order"] = way.order
    if way.static is not None:
        spec = project.registry.working(search.template).front.examples
        known = {} if spec is None or spec.static is None else spec.static.model_dump()
        examples["static"] = {**known, "k": way.static} if way.static else None
    changes = {"examples": examples}
    if way.budget != search.current.budget:
        changes["budget"] = {"tokens": way.budget}
    by = f"{search.model}, " if search.model is not None else ""
    comment = (
        f"{now()[:10]}, {by}{search.yardstick.replace('_', ' ')} {gain} against {search.current}, "
        f"on {search.queries[1]} queries that took no part in choosing"
    )
    source = path.read_bytes().decode()  # as it stands there: line ends, mark and all
    written = with_settings(source, str(path), changes, comment).encode()
    with replacing(path) as out:
        out.write(written)
    return True

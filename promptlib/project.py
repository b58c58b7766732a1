"""A project: stores, templates, indexes and the embedder by name, and `build`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from promptlib.config import ProjectConfig, ProjectProgress
from promptlib.embedding.ahead import embedded_ahead
from promptlib.embedding.embedder import Embedder
from promptlib.embedding.loading import LazyEmbedder
from promptlib.errors import ConfigError, InputsError, PromptlibError
from promptlib.filtering import Where
from promptlib.prompt import Prompt
from promptlib.request import Request, make_request
from promptlib.retrieval import Hit, Query, search_examples
from promptlib.selection.pool import Strategy
from promptlib.selection.strategies import strategy_name
from promptlib.settings import Options, Settings
from promptlib.shortlist import begin_searches, make_shortlist, settled
from promptlib.store.database import Database
from promptlib.store.lookups import ReadOnce
from promptlib.templates import ProjectTemplates
from promptlib.templating.template import Template
from promptlib.usage import UsageLedger, UsageRow, read_usage

if TYPE_CHECKING:
    from promptlib.models.opening import OpenModel
    from promptlib.replaying import Replay

WORKERS = 2
"""Threads that `abuild` works in: more would only wait for each other, and keep the event loop
waiting too."""


class Project(ProjectTemplates):
    """The parts of a project folder, each opened when it is first used; safe to share by threads.

    Open one with `promptlib.open`. A server that forks workers may open it before or after.
    """

    def __init__(
        self,
        root: Path,
        config: ProjectConfig,
        *,
        embedder: Embedder | None = None,
        database: Database | None = None,
        index_folder: Path | None = None,
        progress: ProjectProgress | None = None,
        usage: bool | None = None,
    ) -> None:
        embedder = embedder or LazyEmbedder(**config.embedder.model_dump())
        super().__init__(
            root, config, embedder, database=database, index_folder=index_folder, progress=progress
        )
        self.registry  # noqa: B018 (a label that can't be one is an error now, not later)
        self.ledger = UsageLedger(self.database)
        self._counts_usage = config.usage if usage is None else usage

    def _renew(self) -> None:
        super()._renew()
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="promptlib")
        self._models: dict[str, OpenModel] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End what goes on in the background, and close the database; use opens it again."""
        self._threads.shutdown(cancel_futures=True)
        self.ledger.close()
        for opened in self._models.values():
            opened.model.close()
        super().close()
        self._renew()

    def warm(self, *templates: str) -> None:
        """Load now what the first prompts of these templates, or of all, would wait for.

        Imports starters, embeds rows that lack vectors, builds indexes, loads embedder and
        tokenizers. Raises what `build` would.
        """
        for name in templates or self.registry.list():
            template = self.template(name)
            spec = template.front.examples
            if spec is not None and spec.store is not None and template.uses - {"history"}:
                self.index(spec.store).search("warm up", 1)
            self.settings_of(template).counter.load()

    def model(self, name: str) -> OpenModel:
        """Open a language model by its name in promptlib.toml, or KIND:NAME; each is loaded once.

        Raises ConfigError for an unknown one.
        """
        from promptlib.models.opening import open_model

        with self._lock:
            if name not in self._models:
                self._models[name] = open_model(name, self.config.models)
            return self._models[name]

    def build(
        self,
        template: str,
        query: str | None = None,
        *,
        inputs: Mapping[str, Any] | None = None,
        history: Iterable[Any] | None = None,
        **options: Unpack[Options],
    ) -> Prompt:
        """Build a prompt. Options override front matter, which overrides promptlib.toml.

        `query` fills the template's query input; `history` is a list of chat messages. The budget
        defaults to the model's context window. Raises BudgetError when the prompt doesn't fit
        without examples, and the errors of templates, stores and inputs.
        """
        loaded = self.template(template)
        request = make_request(loaded, query, inputs, history, options, self.settings_of)
        return self._answer([request])[0]

    def build_many(
        self,
        template: str,
        queries: Iterable[str | Mapping[str, Any]],
        *,
        history: Iterable[Any] | None = None,
        **options: Unpack[Options],
    ) -> list[Prompt]:
        """Build a prompt for each query, embedding them in batches: the same prompts, sooner.

        A query is a text, or all inputs of its prompt as an object. Nothing is built unless every
        query can be.
        """
        if isinstance(queries, str | Mapping):
            raise InputsError("build_many takes a list of queries; build takes one")
        messages = list(history or ())
        loaded = self.template(template)  # one, though its label be moved meanwhile
        requests: list[Request] = []

        def settle(template: Template, options: Options) -> Settings:
            return requests[0].settings if requests else self.settings_of(template, options)

        for number, query in enumerate(queries, start=1):
            text, inputs = (None, query) if isinstance(query, Mapping) else (query, None)
            with _numbered(number):
                requests.append(make_request(loaded, text, inputs, messages, options, settle))
        return self._answer(requests)

    async def abuild(
        self,
        template: str,
        query: str | None = None,
        *,
        inputs: Mapping[str, Any] | None = None,
        history: Iterable[Any] | None = None,
        **options: Unpack[Options],
    ) -> Prompt:
        """Build a prompt without holding up the event loop. Cancelling it is safe at any time."""
        import asyncio

        work = partial(self.build, template, query, inputs=inputs, history=history, **options)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def search(
        self,
        store: str,
        query: str,
        k: int = 8,
        *,
        strategy: str | Strategy = "similar",
        where: Where | Mapping[str, Any] | Sequence[str] | None = None,
        seed: int = 0,
    ) -> list[Hit]:
        """Find the k examples of a store that a strategy puts first for a text."""
        if not isinstance(query, str) or not query.strip():
            raise InputsError("the query is empty" if isinstance(query, str) else "no query given")
        if not isinstance(k, int) or k < 1:
            raise ConfigError(f"k must be a whole number, 1 or more, not {k!r}")
        strategy_name(strategy)
        index = self.index(store)
        return search_examples(
            index, query, k, strategy=strategy, seed=seed, where=Where.parse(where)
        )

    def record_outcome(self, prompt: Prompt | Mapping[str, Any], *, correct: bool) -> None:
        """Count whether the answer to a prompt was right, for `promptlib advise`.

        Takes the prompt or its manifest; counts are all that is kept. Raises InputsError for
        anything else.
        """
        manifest = prompt.settings if isinstance(prompt, Prompt) else prompt
        self.ledger.judge(manifest, correct)

    def replay(
        self, manifest: Mapping[str, Any], *, inputs: Mapping[str, Any] | None = None,
        history: Iterable[Any] | None = None,
    ) -> Replay:  # fmt: skip
        """Render the prompt of a manifest again, to the same bytes; without embedder or index.

        A manifest without inputs asks for `inputs` and `history`. Raises ReplayError that says
        which part is missing.
        """
        from promptlib.replaying import replay_prompt

        return replay_prompt(self.registry, self.database, manifest, inputs, history)

    def usage(self, days: int | None = None) -> list[UsageRow]:
        """List what was counted: of the last so many days, or ever."""
        self.ledger.flush()
        return read_usage(self.database, days)

    # -- parts -----------------------------------------------------------------------------------

    def _answer(self, requests: Sequence[Request]) -> list[Prompt]:
        prompts = self._built(requests)
        if self._counts_usage:
            self.ledger.count(prompts)
        return prompts

    def _built(self, requests: Sequence[Request]) -> list[Prompt]:
        """Build the prompts of one template, in one snapshot of its store."""
        name = requests[0].store if requests else None
        if name is None:
            return [request.prompt() for request in requests]
        if requests[0].searches and isinstance(self.embedder, LazyEmbedder):
            self.embedder.start()  # beside the index
        index = self.index(name)
        with self.database.read() as connection:
            state = index.refresh(connection)
            notes = tuple(self._store_notes(index.store, len(state), state.pending))
            # The same for all, as the template is.
            template, settings = requests[0].template, requests[0].settings
            tuned = index.settings(state, connection).tuned_of(settings.model)
            settings = settled(settings, tuned, state.origin.fingerprint)

            fetch = ReadOnce(connection)

            def build(request: Request, query: Query | None) -> Prompt:
                found = make_shortlist(index, state, connection, fetch, query, settings, template)
                settled_on = replace(request, settings=settings, notes=(*notes, *found.notes))
                return settled_on.prompt(found)

            if not requests[0].searches:
                return [build(each, None) for each in requests]
            recipe = index.settings(state, connection).embed
            texts = []
            for number, request in enumerate(requests, start=1):
                with _numbered(number if len(requests) > 1 else 0):
                    texts.append(request.query_text(recipe))
            made = {}
            begin = partial(begin_searches, state, settings, template)
            for at, vector, begun in embedded_ahead(index.embedder, texts, begin):
                with _numbered(at + 1 if len(requests) > 1 else 0):
                    made[at] = build(requests[at], Query(texts[at], vector, begun))
            return [made[at] for at in range(len(made))]


@contextmanager
def _numbered(number: int) -> Iterator[None]:
    """Say of an error which of many queries it is about; 0 is for one alone."""
    try:
        yield
    except PromptlibError as error:
        if number:
            error.args = (f"query {number}: {error}", *error.args[1:])
        raise

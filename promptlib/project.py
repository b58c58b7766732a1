"""A project: stores, templates, indexes and the embedder by name, and `build`."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from promptlib.building import Settings, Shortlist, build_prompt
from promptlib.config import ProjectConfig, ProjectProgress
from promptlib.embedding.embedder import Embedder, Progress
from promptlib.embedding.loading import LazyEmbedder
from promptlib.errors import (
    ConfigError,
    InputsError,
    StoreNotFoundError,
    did_you_mean,
)
from promptlib.example import Message, retrieval_text
from promptlib.index.state import Candidates
from promptlib.index.vector import SHORTLIST, ExampleIndex
from promptlib.prompt import Prompt
from promptlib.selection.strategies import Strategy
from promptlib.settings import Encoding, resolve_settings
from promptlib.store.database import Database
from promptlib.store.files import read_jsonl
from promptlib.store.importing import ImportReport, import_examples
from promptlib.store.settings import StoreSettings
from promptlib.store.starter import Starter
from promptlib.store.store import ExampleStore
from promptlib.templating.registry import TemplateRegistry
from promptlib.templating.template import Template


class Project:
    """The parts of a project folder, each opened when it is first used; safe to share by threads.

    Open one with `promptlib.open`.
    """

    def __init__(
        self,
        root: Path,
        config: ProjectConfig,
        *,
        embedder: Embedder | None = None,
        progress: ProjectProgress | None = None,
    ) -> None:
        self.root = root
        self.config = config
        self.embedder = embedder or LazyEmbedder(config.embedder.model)
        self.registry = TemplateRegistry(root / config.templates)
        url = os.environ.get("PROMPTLIB_DATABASE") or config.database
        self.database = Database(url, root=root)
        self.index_folder = root / ".promptlib" / "index"
        self._progress = progress
        self._starter_files: dict[str, str] = {}
        self._unchanged: dict[str, int] = {}
        self._indexes: dict[str, ExampleIndex] = {}
        self._lock = threading.RLock()

    # -- stores ----------------------------------------------------------------------------------

    def store_names(self) -> list[str]:
        """List the stores of the database and the starters not imported yet."""
        names = set(self.starters())
        if self.database.exists:
            names.update(ExampleStore.names(self.database))
        return sorted(names)

    def starters(self) -> dict[str, Starter]:
        """Find the stores that come as files: name -> starter."""
        folder = self.root / self.config.example_stores
        found = (Starter(file.parent) for file in sorted(folder.glob("*/examples.jsonl")))
        return {starter.name: starter for starter in found}

    def starter(self, name: str) -> Starter | None:
        """Find the files that a store was or will be made from."""
        starter = self._starter(name)
        return starter if starter.file.is_file() else None

    def find_store(self, name: str) -> ExampleStore | None:
        """Find a store in the database; None for one that isn't there, a starter perhaps."""
        store = ExampleStore(self.database, name, self.embedder)
        return store if store.exists else None

    def store(self, name: str) -> ExampleStore:
        """Open a store; a starter is imported on first use. Raises StoreNotFoundError."""
        store = self.find_store(name)
        if store is None and self.starter(name):
            self.sync(name)
            store = self.find_store(name)
        if store is None:
            known = self.store_names()
            raise StoreNotFoundError(f"no store {name!r}; {did_you_mean(name, known)}")
        return store

    def create_store(self, name: str, settings: StoreSettings | None = None) -> ExampleStore:
        """Create an empty store; raises StoreError if the name is taken."""
        return ExampleStore.create(self.database, name, self.embedder, settings)

    def import_file(
        self, name: str, path: Path | str, *, skip_bad: bool = False, restore: bool = False
    ) -> ImportReport:
        """Merge a JSONL file into a store, which is made if need be.

        Raises BadExamplesError with every bad line, unless `skip_bad`; then nothing has changed.
        """
        file = read_jsonl(path, skip_bad=skip_bad)
        starts = self.find_store(name) is None and self.starter(name) is not None
        store = self.store(name) if starts else ExampleStore(self.database, name, self.embedder)
        return import_examples(
            store, file, restore=restore, progress=self._reporting(f"importing {name}"),
            reason=f"import {Path(path).name}",
        )  # fmt: skip

    def sync(self, name: str) -> ImportReport:
        """Merge a store's starter file into it, making the store if need be."""
        starter = self.starter(name)
        if starter is None:
            raise StoreNotFoundError(
                f"store {name!r} has no file {self.config.example_stores}/{name}/examples.jsonl"
            )
        return starter.sync(self.database, self.embedder, self._reporting(f"importing {name}"))

    def index(self, name: str) -> ExampleIndex:
        """Open the index of a store, with every row's vector in place."""
        index = self._indexes.get(name)
        if index is None:
            with self._lock:
                index = self._indexes.get(name)
                if index is None:
                    index = self._opened(self.store(name))
                    self._indexes[name] = index
        return index

    # -- prompts ---------------------------------------------------------------------------------

    def build(
        self,
        template: str,
        query: str | None = None,
        *,
        inputs: Mapping[str, Any] | None = None,
        store: str | None = None,
        k: int | None = None,
        budget: int | None = None,
        reserve: int | None = None,
        model: str | None = None,
        encoding: Encoding | None = None,
        strategy: str | Strategy | None = None,
        order: str | None = None,
        seed: int | None = None,
        history: Sequence[Mapping[str, Any]] | None = None,
    ) -> Prompt:
        """Build a prompt. Arguments override front matter, which overrides promptlib.toml.

        `query` fills the template's query input; `history` is a list of chat messages. The budget
        defaults to the model's context window less the reserve. Raises BudgetError when the prompt
        doesn't fit without examples, and the errors of templates, stores and inputs.
        """
        loaded = self.registry.get(template)
        given = self._with_query(loaded, query, inputs or {})
        turns = [Message.from_dict(message).to_dict() for message in history or ()]
        if turns and "history" not in loaded.uses:
            raise InputsError(f"template {template!r} doesn't use history")
        settings = resolve_settings(
            loaded.front, self.config.model, k=k, budget=budget, reserve=reserve, model=model,
            encoding=encoding, strategy=strategy, order=order, seed=seed,
        )  # fmt: skip
        if store is None and loaded.front.examples is not None:
            store = loaded.front.examples.store
        used = sorted(loaded.uses - {"history"})
        if not used:
            shown = f"template {template} shows no examples: store {store} wasn't asked"
            notes = (shown,) if store is not None else ()
            return build_prompt(loaded, given, settings, history=turns, notes=notes)
        if store is None:
            raise ConfigError(
                f"template {template!r} uses {', '.join(used)} but names no store; "
                "give one, or set examples.store in its front matter"
            )
        if "examples" not in used:
            settings = replace(settings, k=0)
        return self._build_from(store, loaded, given, settings, turns)

    def _build_from(
        self, store: str, template: Template, inputs: Mapping[str, Any], settings: Settings,
        history: Sequence[Mapping[str, str]],
    ) -> Prompt:  # fmt: skip
        index = self.index(store)
        needs_search = settings.k > 0 or "candidate_labels" in template.uses
        if needs_search and isinstance(self.embedder, LazyEmbedder):
            self.embedder.start()
            settings.counter.count("")  # loads the tokenizer while the model is loaded beside it
        vector = None
        if needs_search:
            texts = [retrieval_text(inputs[name]) for name in template.query_inputs]
            if not texts:
                raise InputsError(
                    f"template {template.name!r} doesn't say which input the examples are chosen "
                    f"by; set examples.query to one of: {', '.join(template.inputs) or 'none'}"
                )
            if not any(text.strip() for text in texts):
                raise InputsError(f"input {template.query_inputs[0]!r} is empty")
            vector = index.embedder.embed(["\n".join(texts)], kind="query")[0]
        with self.database.read() as connection:
            state = index.refresh(connection)
            if vector is None:
                found = Candidates.none()
            elif settings.strategy == "random":  # of the whole store, not of the nearest
                found = state.sample(vector, SHORTLIST, settings.seed)
            else:
                found = state.nearest(vector, SHORTLIST)
            shortlist = Shortlist(
                candidates=found,
                fetch=lambda keys: index.store.by_keys(keys, connection),
                labels=state.labels,
                volume=state.volume,
                store=store,
                origin={
                    "uid": state.origin.uid,
                    "revision": state.origin.revision,
                    "embedder": state.origin.fingerprint,
                },
            )
            notes = self._notes(index.store, len(state), state.pending)
            return build_prompt(template, inputs, settings, shortlist, history=history, notes=notes)

    # -- parts -----------------------------------------------------------------------------------

    def _with_query(
        self, template: Template, query: str | None, inputs: Mapping[str, Any]
    ) -> dict[str, Any]:
        given = dict(inputs)
        if query is not None:
            name = template.query_inputs[0] if template.query_inputs else "query"
            if name in given:
                raise InputsError(f"template {template.name!r}: {name!r} is given twice")
            given[name] = query
        return template.checked_inputs(given)

    def _opened(self, store: ExampleStore) -> ExampleIndex:
        index = ExampleIndex(store, folder=self.index_folder / store.name)
        index.embed_missing(self._reporting(f"embedding {store.name}"))
        return index

    def _notes(self, store: ExampleStore, rows: int, pending: int) -> list[str]:
        name, notes = store.name, []
        if pending:
            notes.append(f"{pending:,} rows of {name} are not embedded yet and can't be found")
        elif not rows:
            drafts = "; its drafts wait for approval" if len(store) else ""
            notes.append(f"store {name} has no examples to show{drafts}")
        if self._starter_changed(store):
            notes.append(
                f"{self.config.example_stores}/{name}/examples.jsonl has changed since it was "
                f"imported; merge it with: promptlib store sync {name}"
            )
        return notes

    def _starter(self, name: str) -> Starter:
        return Starter(self.root / self.config.example_stores / name)

    def _starter_changed(self, store: ExampleStore) -> bool:
        """Compare starter file and store; asks the database only when the file's time is new."""
        file = self._starter_files.get(store.name)
        if file is None:
            file = self._starter_files[store.name] = str(self._starter(store.name).file)
        try:
            time = os.stat(file).st_mtime_ns
        except OSError:
            return False
        if self._unchanged.get(store.name) == time:
            return False
        if self._starter(store.name).changed_since(store.state().seed):
            return True
        self._unchanged[store.name] = time
        return False

    def _reporting(self, what: str) -> Progress | None:
        report = self._progress
        return None if report is None else lambda done, total: report(what, done, total)

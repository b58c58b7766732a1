"""Put a converted prompt into a project: a template's file, and a starter store beside it."""

from __future__ import annotations

import io
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from promptlib.converting.converted import Converted
from promptlib.errors import StoreError, TemplateError
from promptlib.files.writing import replacing, write_examples
from promptlib.store.settings import check_name
from promptlib.store.starter import Starter
from promptlib.stores import ProjectStores
from promptlib.templating.closure import compile_template
from promptlib.templating.registry import TemplateRegistry
from promptlib.text import lone_surrogate

LONGEST = 200
"""Characters of a file's name."""


@dataclass(frozen=True)
class Imported:
    """What was made of another tool's prompt."""

    name: str
    file: Path
    store: str | None
    store_file: Path | None
    examples: int
    left_out: tuple[str, ...]
    """What couldn't be carried over."""
    notes: tuple[str, ...]


def import_converted(
    stores: ProjectStores, registry: TemplateRegistry, made: Converted, *,
    name: str | None, store: str | None, replace: bool,
) -> Imported:  # fmt: skip
    """Write the template and its store; raises TemplateError or StoreError for names taken."""
    name = name or made.name
    file = registry.path(name)
    if len(file.name) > LONGEST:
        raise TemplateError(f"the name {name[:20]!r}... is too long for a file")
    if file.exists() and not replace:
        raise TemplateError(f"there is a template {name!r} already; choose another --name")
    store = (store or name.replace("/", "-")) if made.examples else None
    starter = Starter(stores.root / stores.config.example_stores / store) if store else None
    if store is not None and starter is not None:
        check_name(store)
        if (stores.find_store(store) or starter.file.exists()) and not replace:
            raise StoreError(f"there is a store {store!r} already; choose another --store")
    source = made.source(store)
    if problem := lone_surrogate(source):
        raise TemplateError(f"{made.path}: its text {problem}")
    compile_template(name, lambda included: (source, f"{made.path}, as a template"))
    rows = io.BytesIO()
    write_examples(made.examples, rows, "jsonl")
    try:
        with ExitStack() as both:  # both are whole before either takes its place
            if starter is not None:
                starter.folder.mkdir(parents=True, exist_ok=True)
                both.enter_context(replacing(starter.file)).write(rows.getvalue())
            file.parent.mkdir(parents=True, exist_ok=True)
            both.enter_context(replacing(file)).write(source.encode())
    except OSError as error:
        raise TemplateError(f"can't write {file}: {error.strerror}") from None
    notes = made.notes
    if store is not None and stores.find_store(store) is not None:
        sync = f"promptlib store sync {store}"
        notes += (f"the database has store {store} already: merge the new file with {sync}",)
    return Imported(
        name, file, store, starter.file if starter else None, len(made.examples),
        made.left_out, notes,
    )  # fmt: skip

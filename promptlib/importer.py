"""Put a converted prompt into a project: a template's file, and a starter store beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from promptlib.converting.converted import Converted
from promptlib.errors import StoreError, TemplateError
from promptlib.files.writing import replacing, save_examples
from promptlib.store.settings import check_name
from promptlib.store.starter import Starter
from promptlib.stores import ProjectStores
from promptlib.templating.closure import compile_template
from promptlib.templating.registry import TemplateRegistry


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
    if file.exists() and not replace:
        raise TemplateError(f"there is a template {name!r} already; choose another --name")
    store = (store or name.replace("/", "-")) if made.examples else None
    starter = Starter(stores.root / stores.config.example_stores / store) if store else None
    if store is not None and starter is not None:
        check_name(store)
        if (stores.find_store(store) or starter.file.exists()) and not replace:
            raise StoreError(f"there is a store {store!r} already; choose another --store")
    source = made.source(store)
    compile_template(name, lambda included: (source, str(file)))  # says what is wrong with it
    if starter is not None:
        starter.folder.mkdir(parents=True, exist_ok=True)
        save_examples(made.examples, starter.file)
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as out:
        out.write(source.encode())
    notes = made.notes
    if store is not None and stores.find_store(store) is not None:
        sync = f"promptlib store sync {store}"
        notes += (f"the database has store {store} already: merge the new file with {sync}",)
    return Imported(
        name, file, store, starter.file if starter else None, len(made.examples),
        made.left_out, notes,
    )  # fmt: skip

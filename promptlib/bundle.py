"""One read-only folder with all that serving a project needs, and nothing that making it needs.

Templates, stores with their vectors and indexes, and the compiled embedder: many processes can open
it at once, with neither PyTorch nor sentence-transformers installed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqlalchemy import delete, select

from promptlib.budget.huggingface import tokenizer_files, tokenizer_path
from promptlib.config import (
    BUNDLE_FACTS,
    CONFIG_FILE,
    EmbedderConfig,
    ProjectConfig,
    config_text,
    read_config,
)
from promptlib.embedding.embedder import Embedder, HashingEmbedder
from promptlib.embedding.loading import LazyEmbedder
from promptlib.embedding.onnx import OnnxEmbedder
from promptlib.embedding.short import shortened, whole_of
from promptlib.errors import BundleError
from promptlib.files.folders import whole_folder
from promptlib.index.vector import ExampleIndex
from promptlib.project import Project
from promptlib.store.database import Database
from promptlib.store.rows import now
from promptlib.store.store import ExampleStore
from promptlib.store.tables import (
    answers,
    changes,
    embedders,
    examples,
    outcomes,
    usage_counts,
    vectors,
)
from promptlib.templating.frontmatter import split_template
from promptlib.text import file_sha256
from promptlib.version import __version__

FORMAT = 1
DATABASE = "promptlib.db"
EMBEDDER = "embedder"

SERVING = (
    "click", "faiss-cpu", "filelock", "genai-prices", "jinja2", "numpy", "onnxruntime",
    "platformdirs", "pydantic", "pyyaml", "regex", "rich", "sqlalchemy", "tiktoken", "tokenizers",
)  # fmt: skip
"""What a process that serves a bundle imports, beside promptlib."""


@dataclass(frozen=True)
class Bundle:
    """What was put into a folder."""

    folder: Path
    templates: int
    stores: dict[str, int]
    """Name -> rows that prompts can show."""
    size: int
    """In bytes."""


def make_bundle(project: Project, folder: Path | str, *, replace: bool = False) -> Bundle:
    """Write a project's working templates and its stores to a folder, whole or not at all.

    Raises BundleError when the folder is there already, unless it is a bundle and `replace`, and
    when the embedder can't be put into one.
    """
    folder = Path(folder).resolve()
    if around := [above for above in folder.parents if (above / BUNDLE_FACTS).is_file()]:
        raise BundleError(f"{around[0]} is a bundle: nothing is written into it")
    if folder.exists() and not (replace and (folder / BUNDLE_FACTS).is_file()):
        raise BundleError(f"{folder} is there already" + _how_to_replace(folder))
    try:
        with whole_folder(folder, replace=replace) as work:
            made = _fill(project, work)
    except OSError as error:
        raise BundleError(f"can't write {folder}: {error.strerror or error}") from None
    size = sum(path.stat().st_size for path in _files(folder))
    return Bundle(folder, len(project.registry.list()), made, size)


def open_bundle(folder: Path) -> Project:
    """Open a bundle to serve from; raises BundleError if it isn't as it was made."""
    check_bundle(folder)
    config = read_config(folder)
    embedder: Embedder = (
        HashingEmbedder()
        if config.embedder.model == "hashing"
        else shortened(OnnxEmbedder(folder / config.embedder.model), config.embedder.dimensions)
    )
    database = Database(config.database, root=folder, read_only=True)
    return Project(
        folder, config, embedder=embedder, database=database, index_folder=folder / "index"
    )


def check_bundle(folder: Path) -> None:
    """Compare every file with its hash; raises BundleError that names those that differ."""
    try:
        facts = json.loads((folder / BUNDLE_FACTS).read_text(encoding="utf-8"))
        if (form := int(facts["format"])) > FORMAT:
            raise BundleError(
                f"{folder} was made by promptlib {facts.get('promptlib', '?')} in format {form}; "
                f"this is promptlib {__version__}, which reads format {FORMAT}: upgrade promptlib"
            )
        files = dict(facts["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BundleError(f"{folder / BUNDLE_FACTS} can't be read: make the bundle again") from None
    there = {path.relative_to(folder).as_posix() for path in _files(folder)}
    wrong = sorted(there ^ {*files})
    wrong += [name for name in sorted(there & {*files}) if _sha256(folder / name) != files[name]]
    if wrong:
        shown = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise BundleError(f"{folder} isn't as it was made: {shown} changed; make the bundle again")


def _fill(project: Project, work: Path) -> dict[str, int]:
    for name in project.registry.list():
        template = project.registry.get(name)  # a broken one can't be served
        if template.front.examples is not None and template.front.examples.store is not None:
            project.index(template.front.examples.store)
        _copy_tokenizer(project, template.front.encoding, work)
    versions = project.registry.versions
    for name in versions.newest():
        for published in versions.of(name):
            front = split_template(published.files[name], str(published)).front
            _copy_tokenizer(project, front.encoding, work)
    for name in project.store_names():
        project.index(name)  # imports starters, embeds what waits
    _copy_tree(project.root / project.config.templates, work / "templates")
    _copy_tokenizer(project, project.config.encoding, work)
    embedder = _copy_embedder(project, work)
    names = ExampleStore.names(project.database)
    for name in names:
        if pending := project.index(name).refresh().pending:
            raise BundleError(f"{pending:,} rows of {name} are not embedded yet: try again later")
    made = _copy_stores(project, work, names)
    config = ProjectConfig(
        database=f"sqlite:///{DATABASE}", model=project.config.model,
        encoding=project.config.encoding, index=project.config.index,
        embedder=EmbedderConfig(model=embedder, dimensions=project.embedder.dim),
    )  # fmt: skip
    (work / CONFIG_FILE).write_text(config_text(config), encoding="utf-8")
    pins = [f"{name}{_pin(name)}\n" for name in SERVING]
    head = f"# And then: pip install --no-deps promptlib=={__version__}\n"
    (work / "requirements.txt").write_text(head + "".join(pins), encoding="utf-8")
    facts = {
        "format": FORMAT,
        "promptlib": __version__,
        "made": now(),
        "stores": made,
        "embedder": project.embedder.fingerprint,
        "files": {path.relative_to(work).as_posix(): _sha256(path) for path in _files(work)},
    }
    (work / BUNDLE_FACTS).write_text(json.dumps(facts, indent=2), encoding="utf-8")
    return made


def _copy_embedder(project: Project, work: Path) -> str:
    """Copy the compiled model; returns what the bundle's configuration calls it."""
    embedder = project.embedder
    loaded = whole_of(embedder.loaded if isinstance(embedder, LazyEmbedder) else embedder)
    if isinstance(loaded, HashingEmbedder):
        return "hashing"
    if not isinstance(loaded, OnnxEmbedder):
        raise BundleError(
            "the embedding model can't be bundled: only models compiled to ONNX can, "
            f"and this one is a {type(loaded).__name__}"
        )
    _copy_tree(loaded.folder, work / EMBEDDER)
    return EMBEDDER


def _copy_tokenizer(project: Project, encoding: str | None, work: Path) -> None:
    path = tokenizer_path(encoding, project.root) if encoding is not None else None
    if path is None:
        return
    if not path.absolute().is_relative_to(project.root) or ".." in path.parts:
        raise BundleError(f"the tokenizer {encoding} lies outside the project: move it into it")
    for part in tokenizer_files(path):
        if part.is_file():
            target = work / part.relative_to(project.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(part, target)


def _copy_stores(project: Project, work: Path, names: list[str]) -> dict[str, int]:
    """Copy the database without its past: rows that prompts can show, and their vectors."""
    project.database.copy_to(work / DATABASE)
    copy = Database(f"sqlite:///{DATABASE}", root=work)
    fingerprint = project.embedder.fingerprint
    with copy.write() as connection:
        connection.execute(delete(changes))
        for table in (usage_counts, answers, outcomes):
            connection.execute(delete(table))
        unused = (examples.c.status != "approved") | examples.c.deleted
        connection.execute(delete(examples).where(unused))
        mine = select(embedders.c.key).where(embedders.c.fingerprint == fingerprint)
        used = select(examples.c.text_hash)
        kept = vectors.c.embedder.in_(mine) & vectors.c.text_hash.in_(used)
        connection.execute(delete(vectors).where(~kept))
    copy.shrink()
    made = {}
    for name in names:
        store = ExampleStore(copy, name, project.embedder)
        made[name] = len(ExampleIndex(store, folder=work / "index" / name))
        for lock in ("lock", "building"):
            (work / "index" / name / lock).unlink(missing_ok=True)
    copy.close()
    return made


def _copy_tree(source: Path, target: Path) -> None:
    """Copy files, not who may read them: others serve from the copy."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _pin(package: str) -> str:
    """Pin a package to what is installed; one that goes by another name here is left open."""
    try:
        return f"=={version(package)}"
    except PackageNotFoundError:
        return ""


def _files(folder: Path) -> Iterator[Path]:
    return (
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != BUNDLE_FACTS
    )


def _sha256(path: Path) -> str | None:
    try:
        return file_sha256(path)
    except OSError:
        return None


def _how_to_replace(folder: Path) -> str:
    return (
        "; --replace makes it anew"
        if (folder / BUNDLE_FACTS).is_file()
        else ", and it isn't a bundle"
    )

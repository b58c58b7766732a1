"""Open a project. Light by itself, so that a model can be loaded while the rest is imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from promptlib.config import BUNDLE_FACTS, ProjectProgress, find_project, read_config
from promptlib.embedding.loading import LazyEmbedder
from promptlib.errors import ConfigError

if TYPE_CHECKING:
    from promptlib.embedding.embedder import Embedder
    from promptlib.project import Project


def open_project(
    path: Path | str = ".",
    *,
    embedder: Embedder | None = None,
    progress: ProjectProgress | None = None,
    start: bool = False,
    usage: bool | None = None,
) -> Project:
    """Open the project or bundle in a folder or the nearest one above it; raises ConfigError.

    `embedder` takes the place of the one that promptlib.toml names. `progress` is called with
    (what, done, total) while a starter is imported. With `start`, the embedding model is loaded in
    the background at once rather than at the first prompt. With `usage`, prompts are counted, by
    day and template, never with their text; promptlib.toml's `usage` says so for good.
    """
    root = find_project(Path(path))
    if (root / BUNDLE_FACTS).is_file():
        if embedder is not None:
            raise ConfigError(f"{root} is a bundle: it brings the embedder that its vectors are of")
        from promptlib.bundle import open_bundle

        return open_bundle(root)
    config = read_config(root)
    if embedder is None:
        embedder = LazyEmbedder(**config.embedder.model_dump())
        if start:
            embedder.start()
    from promptlib.project import Project

    return Project(root, config, embedder=embedder, progress=progress, usage=usage)

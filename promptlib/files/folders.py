"""Folders that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Fill a folder beside the old one, if there is one, then put it in its place.

    Whatever is raised meanwhile leaves things as they were.
    """
    work = folder.with_name(f"{folder.name}.part-{secrets.token_hex(4)}")
    try:
        work.mkdir(parents=True)
        yield work
        aside = work.with_suffix(".old")
        if folder.exists():
            os.replace(folder, aside)
        os.replace(work, folder)
        shutil.rmtree(aside, ignore_errors=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)

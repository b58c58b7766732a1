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
        if folder.exists():
            _exchange(folder, work)
        else:
            os.replace(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _exchange(folder: Path, work: Path) -> None:
    """Put a folder in another's place, or leave that as it was."""
    aside = work.with_name(f"{work.name}.old")  # work's name is nobody else's, so this isn't
    os.replace(folder, aside)
    try:
        os.replace(work, folder)
    except OSError:
        os.replace(aside, folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)

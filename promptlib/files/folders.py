"""Folders that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """Fill a folder beside its place, then put it there; with `replace`, in place of an old one.

    Whatever is raised meanwhile leaves things as they were. Raises FileExistsError if another
    process was quicker.
    """
    work = folder.with_name(f"{folder.name}.part-{secrets.token_hex(4)}")
    try:
        work.mkdir(parents=True)
        yield work
        if folder.exists() and replace:
            _exchange(folder, work)
        elif folder.exists():
            raise FileExistsError(errno.EEXIST, "it is there already", str(folder))
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

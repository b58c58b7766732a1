"""Where the starter templates and example stores are, in a wheel and in a checkout alike."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def starter_path(kind: Literal["templates", "example_stores"]) -> Path:
    """Find the starters of one kind: inside the installed wheel, or beside the package."""
    here = Path(__file__).resolve().parent
    bundled = here / "starter_files" / kind
    return bundled if bundled.is_dir() else here.parent / kind

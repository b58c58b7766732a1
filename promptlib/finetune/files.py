"""The files of an export: rows, a manifest, and a README that says what to do next."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from promptlib.finetune.formats import FORMATS
from promptlib.finetune.providers import FILE, providers
from promptlib.finetune.rows import TrainingRow
from promptlib.store.rows import now
from promptlib.version import __version__

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class About:
    """Where the rows of an export come from."""

    store: str
    uid: str
    revision: int
    template: str | None
    hash: str | None
    """The template's."""
    with_examples: bool
    provider: str | None
    seed: int


def write_rows(folder: Path, split: str, form: str, rows: Sequence[TrainingRow]) -> Path:
    """Write rows in a format: CSV for setfit, JSONL for all others."""
    made = map(FORMATS[form], rows)
    path = folder / f"{split}.{'csv' if form == 'setfit' else 'jsonl'}"
    with path.open("w", encoding="utf-8", newline="") as file:
        if form == "setfit":
            writer = csv.DictWriter(file, ["text", "label"], lineterminator="\n")
            writer.writeheader()
            writer.writerows(made)
        else:
            file.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in made)
    return path


def write_about(folder: Path, export: Mapping[str, Any], about: About) -> None:
    """Write the manifest and the README."""
    manifest = {
        **export, "folder": Path(export["folder"]).name, **vars(about), "made": now(),
        "promptlib": __version__,
    }  # fmt: skip
    text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(FILE.parent), trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    today = datetime.now(UTC).date()
    offers = [o for o in providers() if export["form"] in o.formats and o.is_open(today)]
    readme = environment.get_template("README.md.j2").render(
        export=export, about=about, offers=offers
    )
    (folder / "README.md").write_text(readme, encoding="utf-8")

"""What a real, small language model makes of each strategy: five data sets, one table.

Answers are kept: a run that was stopped goes on where it was. The sets of this checkout are asked
by default; `--data FOLDER` takes FOLDER/NAME/train.jsonl and test.jsonl for all five.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from common import CHECKOUT, HERE, RESULTS, save

import promptlib
from promptlib.experiment.examining import examine
from promptlib.experiment.results import Experiment
from promptlib.project import Project

ROOT = RESULTS / "models"
MODEL = "small"


@dataclass(frozen=True)
class DataSet:
    """A store, its queries, and how many of them are asked."""

    name: str
    folder: str
    queries: int = 300
    rename: dict[str, str] = field(default_factory=dict)
    own: tuple[Path, Path] | None = None
    """Rows and queries in this checkout."""


STORES, DATA = CHECKOUT / "example_stores", CHECKOUT / "tests" / "data"
SETS = (
    DataSet("banking77", "banking77", own=(
        STORES / "banking77" / "examples.jsonl", DATA / "banking77_test.jsonl",
    )),
    DataSet("trec6", "trec6"),
    DataSet("sst2", "sst2"),
    DataSet("snips", "snips_json", rename={"label": "intent"}),
    DataSet("gsm8k", "gsm8k", queries=40),
)  # fmt: skip


def prepared(data: Path | None) -> tuple[Project, dict[str, Path]]:
    """A project with the stores at hand, and the file of each one's queries."""
    ROOT.mkdir(parents=True, exist_ok=True)
    shutil.copytree(HERE / "models_project", ROOT, dirs_exist_ok=True)
    project = promptlib.open(ROOT, progress=lambda what, done, total: None)
    files = {}
    for each in SETS:
        if data is not None:
            rows, asked = (data / each.folder / f"{part}.jsonl" for part in ("train", "test"))
        elif each.own is not None:
            rows, asked = each.own
        else:
            continue
        if project.find_store(each.name) is None:
            project.import_file(each.name, rows, rename=each.rename)
        files[each.name] = asked
    return project, files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder with all five sets")
    parser.add_argument("--queries", type=int, help="at most so many of each set")
    parser.add_argument("--only", action="append", help="these sets alone")
    told = parser.parse_args()
    project, files = prepared(told.data)
    for each in SETS:
        if each.name not in files or (told.only and each.name not in told.only):
            continue
        found = asked(project, each, files[each.name], told.queries)
        save(f"models_{each.name}", found.to_dict())


def asked(project: Project, each: DataSet, file: Path, most: int | None) -> Experiment:
    count = min(each.queries, most or each.queries)
    source = promptlib.QuerySource(file, sample=count, rename=each.rename)
    return examine(project, [each.name], [MODEL], queries=source)


if __name__ == "__main__":
    main()

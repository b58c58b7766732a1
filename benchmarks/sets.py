"""Data sets for benchmarks: BANKING77 from this checkout, and others from folders of your own.

A set is named NAME=FOLDER[,label=FIELD][,where=FIELD=VALUE]: the folder has a train.jsonl, which
becomes the store, and a test.jsonl, which holds the queries.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from common import CHECKOUT, QUERIES, RESULTS

import promptlib
from promptlib.project import Project

ROOT = RESULTS / "sets"
OWN = f"banking77={CHECKOUT}/example_stores/banking77"


def add_sets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sets", nargs="*", metavar="NAME=FOLDER,...", help=__doc__)


def prepared(sets: list[str]) -> tuple[Project, dict[str, Path]]:
    """A project with a store for each set; gives the file of its queries by name."""
    ROOT.mkdir(parents=True, exist_ok=True)
    (ROOT / "templates").mkdir(exist_ok=True)
    (ROOT / "promptlib.toml").write_text('model = "gpt-4o-mini"\n')
    project = promptlib.open(ROOT, progress=lambda what, done, total: None)
    files = {}
    for spec in sets or [OWN]:
        name, _, rest = spec.partition("=")
        folder, *options = rest.split(",")
        told = dict(option.split("=", 1) for option in options)
        train, test = Path(folder) / "train.jsonl", Path(folder) / "test.jsonl"
        if spec == OWN:
            train, test = Path(folder) / "examples.jsonl", QUERIES
        files[name] = ROOT / f"{name}.jsonl"
        rows = taken(test, told)
        files[name].write_text("".join(json.dumps(row) + "\n" for row in rows))
        if project.find_store(name) is None:
            store = ROOT / f"{name}.train.jsonl"
            store.write_text("".join(json.dumps(row) + "\n" for row in taken(train, told)))
            project.import_file(name, store)
        project.index(name).refresh()
    return project, files


def taken(file: Path, told: dict[str, str]) -> list[dict[str, str]]:
    """Input, output and label of the rows that are asked for."""
    field, _, value = told.get("where", "").partition("=")
    rows = []
    for line in file.read_text(encoding="utf-8").strip().split("\n"):
        row = json.loads(line)
        if not field or row[field] == value:
            label = {"label": row[told["label"]]} if "label" in told else {}
            rows.append({"input": row["input"], "output": row["output"], **label})
    return rows

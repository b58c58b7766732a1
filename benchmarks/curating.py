"""What an audit finds of known faults: python benchmarks/curating.py DATA

Exact duplicates of sms_spam, noisy labels of hausa_newsclass_noisy, labels of BANKING77 flipped at
random, light edits of its rows planted among others, and a store reduced to a quarter. DATA holds
the data sets, one folder each; a set that isn't there is left out.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import CHECKOUT, save

sys.path.insert(0, str(CHECKOUT))

import promptlib
from promptlib.audit.auditing import audit_store, find
from promptlib.audit.duplicates import exact_duplicates, near_duplicates, normalised_duplicates
from promptlib.audit.fixing import plan_dedupe
from promptlib.audit.labels import label_errors
from promptlib.audit.reducing import plan_reduction
from promptlib.audit.rows import read_rows
from promptlib.example import Example
from promptlib.learning.vote import vote
from promptlib.project import Project

FLIPPED, FIRST, PLANTED = 200, 600, 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "promptlib.toml").write_text("")
        with promptlib.open(folder) as project:
            for measure in (banking, spam, noisy):
                found |= measure(project, data)
    save("curating", found)


def banking(project: Project, data: Path) -> dict[str, Any]:
    if not (data / "banking77").is_dir():
        return {}
    project.import_file("banking77", data / "banking77" / "train.jsonl")
    start = time.perf_counter()
    audit_store(project, "banking77")
    took, memory = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "audit_of_banking77": {"seconds": round(took, 1), "peak_memory_gib": memory / 2**20},
        "flipped_labels": flipped(project),
        "planted_copies": planted(project),
        "reduced_to_a_quarter": reduced(project, data),
    }


def flipped(project: Project) -> dict[str, Any]:
    rows = read_rows(project.store("banking77"))
    rng = random.Random(0)
    chosen, labels = rng.sample(range(len(rows)), FLIPPED), list(rows.labels)
    for row in chosen:
        labels[row] = rng.choice([name for name in rows.label_names if name != labels[row]])
    finding = label_errors(replace(rows, labels=labels))
    wrong = {rows.examples[row].id for row in chosen}
    first = {item.ids[0] for item in finding.items[:FIRST]}
    return {"flipped": FLIPPED, "looked_at": FIRST, "found": len(wrong & first) / FLIPPED}


def planted(project: Project) -> dict[str, Any]:
    """Plant light edits among rows of which no two are copies by the same measure."""
    store = project.create_store("planted")
    thin = {edit.before.id for edit in plan_dedupe(project, "banking77").edits}
    base = [example for example in project.store("banking77") if example.id not in thin]
    rng = random.Random(0)
    sources = rng.sample([e for e in base if len(str(e.input).split()) > 5], PLANTED)
    copies = [
        Example(lightly_edited(str(e.input), rng), e.output, id=f"planted-{n}")
        for n, e in enumerate(sources)
    ]
    store.add(*base, *copies)
    rows = read_rows(store)
    wanted = {frozenset((f"planted-{n}", e.id)) for n, e in enumerate(sources)}
    told = set()
    for check in (exact_duplicates, normalised_duplicates, near_duplicates):
        for item in check(rows).items:
            told |= {frozenset((item.ids[0], other)) for other in item.ids[1:]}
    return {
        "planted": PLANTED, "among": len(base), "recall": len(told & wanted) / PLANTED,
        "precision": len(told & wanted) / max(1, len(told)),
    }  # fmt: skip


def lightly_edited(text: str, rng: random.Random) -> str:
    """Mistype a letter or two, change case or punctuation, be polite, move or drop a word."""
    words = text.split()
    kind = rng.randrange(6)
    if kind == 0:
        return mistyped(mistyped(text, rng), rng)
    if kind == 1:
        return text.lower().rstrip("?.!")
    if kind == 2:
        return text + rng.choice([" please", " thanks", "!!", " ??"])
    if kind == 3:
        return rng.choice(["Hi, ", "Hello! ", "ok so "]) + text
    at = rng.randrange(len(words) - 1)
    if kind == 4:
        words[at], words[at + 1] = words[at + 1], words[at]
    else:
        del words[at]
    return " ".join(words)


def mistyped(text: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(text) - 1)
    return rng.choice([
        text[:at] + text[at + 1 :], text[:at] + text[at + 1] + text[at] + text[at + 2 :],
        text[:at] + rng.choice("abcdefghij") + text[at:],
    ])  # fmt: skip


def reduced(project: Project, data: Path) -> dict[str, Any]:
    """Ask the test rows of the whole store, and of a quarter of it."""
    store = project.store("banking77")
    rows = read_rows(store)
    planned = plan_reduction(rows, len(rows) // 4)
    test = [json.loads(line) for line in (data / "banking77" / "test.jsonl").open()]
    asked = project.embedder.embed([row["input"] for row in test], kind="query")
    answers = np.array([rows.label_names.index(row["output"]) for row in test])
    vectors, kept = rows.vectors[rows.text_of], {*planned.kept}
    stays = np.array([example.id in kept for example in rows.examples])

    def accuracy(chosen: Any) -> float:
        said = vote(vectors[chosen], rows.codes[chosen], asked, classes=len(rows.label_names))
        return float((said == answers).mean())

    return {"rows": len(kept), "accuracy": accuracy(np.ones(len(rows), bool)),
            "accuracy_of_a_quarter": accuracy(stays)}  # fmt: skip


def spam(project: Project, data: Path) -> dict[str, Any]:
    file = data / "sms_spam" / "train.jsonl"
    if not file.is_file():
        return {}
    project.import_file("spam", file)
    rows = [json.loads(line) for line in file.open()]
    repeated = len(rows) - len({(row["input"], row["output"]) for row in rows})
    found = find(project, "spam", "exact-duplicates")
    return {"exact_duplicates": {"repeated": repeated, "found": len(found.edits)}}


def noisy(project: Project, data: Path) -> dict[str, Any]:
    """Rank rows whose label came from a rule; a person's label says which of them are wrong."""
    file = data / "hausa_newsclass_noisy" / "train.jsonl"
    if not file.is_file():
        return {}
    project.import_file("noisy", file, rename={"output": "noisy_label", "metadata.right": "output"})
    store = project.store("noisy")
    wrong = {e.id for e in store if e.metadata["right"] != e.output}
    found = find(project, "noisy", "label-errors")
    first = [item.ids[0] for item in found.items[: len(store) // 10]]
    base = len(wrong) / len(store)
    precision = sum(id in wrong for id in first) / len(first)
    return {
        "noisy_labels": {
            "base_rate": base, "looked_at": len(first), "precision": precision,
            "ratio": precision / base,
        }
    }  # fmt: skip


if __name__ == "__main__":
    main()

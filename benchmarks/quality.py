"""Label-hit of the strategies on BANKING77's 3,080 test rows: python benchmarks/quality.py

Label-hit@k: the share of queries whose own label is among the k examples shown. With --int8 the
same for the quantised embedder, and how much its nearest eight differ.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import count
from pathlib import Path

from common import PROJECT, STORE, labels, prepared_project, queries, save

import promptlib
from promptlib.embedding.embedder import Embedder
from promptlib.embedding.loading import load_embedder
from promptlib.index.state import State
from promptlib.index.vector import ExampleIndex
from promptlib.retrieval import Query, find_candidates
from promptlib.selection.strategies import STRATEGIES
from promptlib.shortlisted import pool_of
from promptlib.store.database import Database
from promptlib.store.store import ExampleStore


def asked(embedder: Embedder) -> list[Query]:
    texts = queries()
    return [Query(*pair) for pair in zip(texts, embedder.embed(texts, kind="query"), strict=True)]


def hits(state: State, texts: list[Query], name: str) -> dict[str, float]:
    seeds, shown = count(), []
    for query in texts:
        found = find_candidates(state, query, name, 8, next(seeds))
        ranking = promptlib.select_examples(pool_of(found, next(seeds)), strategy=name)
        shown.append(found.labels[ranking.positions[:8]].tolist())
    return {
        f"label_hit@{k}": round(
            sum(label in row[:k] for label, row in zip(labels(), shown, strict=True)) / len(shown),
            4,
        )
        for k in (2, 4, 6, 8)
    }


def quantised(project: promptlib.Project) -> dict[str, object]:
    """Compare int8 with fp32, in a copy of the database."""
    fp32 = project.index(STORE).refresh()
    embedder = load_embedder(project.config.embedder.model, precision="int8")
    with tempfile.TemporaryDirectory() as folder:
        project.database.copy_to(Path(folder) / "copy.db")
        database = Database("sqlite:///copy.db", root=folder)
        store = ExampleStore(database, STORE, embedder)
        store.embed_missing()
        state = ExampleIndex(store).refresh()
        texts, originals = asked(embedder), asked(project.embedder)
        same = first = 0
        for query, original in zip(texts, originals, strict=True):
            one, two = state.nearest(query.vector, 8), fp32.nearest(original.vector, 8)
            same += len({*one.ids} & {*two.ids})
            first += one.labels[0] == two.labels[0]
        database.close()
        return {
            "similar": hits(state, texts, "similar"),
            "hybrid": hits(state, texts, "hybrid"),
            "share_of_the_nearest_8_kept": round(same / 8 / len(texts), 4),
            "same_label_first": round(first / len(texts), 4),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--int8", action="store_true")
    arguments = parser.parse_args()
    prepared_project()
    project = promptlib.open(PROJECT)
    state = project.index(STORE).refresh()
    texts = asked(project.embedder)
    figures: dict[str, object] = {name: hits(state, texts, name) for name in STRATEGIES}
    if arguments.int8:
        figures["int8"] = quantised(project)
    save("quality", {"queries": len(texts), **figures})


if __name__ == "__main__":
    main()

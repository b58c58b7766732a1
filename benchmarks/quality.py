"""Label-hit of the strategies on BANKING77's 3,080 test rows: python benchmarks/quality.py

Label-hit@k: the share of queries whose own label is among the k examples shown. With --int8 and
--dimensions the same for cheaper forms of the embedder: what they keep of the nearest eight, how
often the nearest has the query's label (1-nn), and how long a query takes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import count
from pathlib import Path

from common import PROJECT, STORE, labels, median, prepared_project, queries, save
from rich.console import Console
from rich.progress import track

import promptlib
from promptlib.embedding.embedder import Embedder
from promptlib.embedding.loading import load_embedder
from promptlib.embedding.short import shortened
from promptlib.index.state import State
from promptlib.index.vector import ExampleIndex
from promptlib.retrieval import Query, find_candidates
from promptlib.selection.strategies import STRATEGIES
from promptlib.shortlisted import rank_candidates
from promptlib.store.database import Database
from promptlib.store.store import ExampleStore


def asked(embedder: Embedder) -> list[Query]:
    texts = queries()
    return [Query(*pair) for pair in zip(texts, embedder.embed(texts, kind="query"), strict=True)]


def hits(state: State, texts: list[Query], name: str, form: str = "") -> dict[str, float]:
    seeds, shown = count(), []
    for query in track(texts, f"{name} {form}", console=Console(stderr=True)):
        found = find_candidates(state, query, name, 8, next(seeds))
        ranking = rank_candidates(found, name, seed=next(seeds), depth=8)
        shown.append(found.labels[ranking.positions[:8]].tolist())
    return {
        f"label_hit@{k}": round(
            sum(label in row[:k] for label, row in zip(labels(), shown, strict=True)) / len(shown),
            4,
        )
        for k in (2, 4, 6, 8)
    }


def cheaper(project: promptlib.Project, embedder: Embedder, form: str) -> dict[str, object]:
    """Compare another form of the embedder with the whole one, in a copy of the database."""
    fp32 = project.index(STORE).refresh()
    with tempfile.TemporaryDirectory() as folder:
        project.database.copy_to(Path(folder) / "copy.db")
        database = Database("sqlite:///copy.db", root=folder)
        store = ExampleStore(database, STORE, embedder)
        store.embed_missing()
        state = ExampleIndex(store).refresh()
        texts, originals = asked(embedder), asked(project.embedder)
        same = 0
        for query, original in zip(texts, originals, strict=True):
            one, two = state.nearest(query.vector, 8), fp32.nearest(original.vector, 8)
            same += len({*one.ids} & {*two.ids})
        database.close()
        return {
            "similar": hits(state, texts, "similar", form),
            "hybrid": hits(state, texts, "hybrid", form),
            "nearest_has_own_label": nearest_is_right(state, texts),
            "share_of_the_nearest_8_kept": round(same / 8 / len(texts), 4),
            "query_ms": query_ms(embedder),
        }


def nearest_is_right(state: State, texts: list[Query]) -> float:
    found = [state.nearest(query.vector, 1).labels[0] for query in texts]
    return round(sum(a == b for a, b in zip(found, labels(), strict=True)) / len(texts), 4)


def query_ms(embedder: Embedder) -> float:
    times = []
    for text in queries()[:300]:
        start = time.perf_counter()
        embedder.embed([text], kind="query")
        times.append(1e3 * (time.perf_counter() - start))
    return round(median(times), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--dimensions", type=int, nargs="*", default=[])
    arguments = parser.parse_args()
    prepared_project()
    project = promptlib.open(PROJECT)
    state = project.index(STORE).refresh()
    texts = asked(project.embedder)
    figures: dict[str, object] = {name: hits(state, texts, name) for name in STRATEGIES}
    figures["nearest_has_own_label"] = nearest_is_right(state, texts)
    figures["query_ms"] = query_ms(project.embedder.loaded)
    name = project.config.embedder.model
    if arguments.int8:
        figures["int8"] = cheaper(project, load_embedder(name, precision="int8"), "int8")
    for dim in arguments.dimensions:
        form = f"{dim} dimensions"
        figures[form] = cheaper(project, shortened(load_embedder(name), dim), form)
    save("quality", {"queries": len(texts), **figures})


if __name__ == "__main__":
    main()

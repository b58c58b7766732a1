"""The index as a replica: python benchmarks/replica.py

10,000 random adds, edits and deletes, and every hundred of them the answers (by meaning and by
words) against those of an index built afresh; then how soon a single add is seen at 200,000 rows.
Words are hashed here: what is measured is the replica, not the model.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from common import median, queries, save

from promptlib.embedding.embedder import HashingEmbedder
from promptlib.example import Example
from promptlib.files.writing import save_examples
from promptlib.index.lexical import terms_of
from promptlib.index.vector import ExampleIndex
from promptlib.store.database import Database
from promptlib.store.store import ExampleStore

TEXTS = queries()


def sentence(chance: random.Random) -> str:
    words = f"{chance.choice(TEXTS)} {chance.choice(TEXTS)}".split()
    return " ".join(chance.sample(words, min(len(words), 9)))


def answers(index: ExampleIndex, asked: list[str]) -> list[object]:
    state = index.refresh()
    found: list[object] = [state.volume]
    for text in asked:
        vector = index.embedder.embed([text], kind="query")[0]
        near = state.nearest(vector, 64)
        words = state.word_scores(state.known_terms(terms_of(text)))
        best = state.joined(near, state.matching(words, 64), vector, words)
        found += [near.ids.tolist(), near.similarity.tolist(), best.ids.tolist()]
        found += [best.lexical.tolist()]
    return found


def edits(folder: Path, count: int, rows: int) -> dict[str, object]:
    chance = random.Random(0)
    store = ExampleStore.create(Database("sqlite:///edits.db", root=folder), "s", HashingEmbedder())
    store.add(*(Example(sentence(chance), "x", str(n % 9), id=f"r{n}") for n in range(rows)))
    index = ExampleIndex(store, folder=folder / "index")
    ids, wrong, compared, bases = [f"r{n}" for n in range(rows)], 0, 0, set()
    for number in range(count):
        step = chance.random()
        if step < 0.4:
            store.add(Example(sentence(chance), "x", str(number % 9), id=f"n{number}"))
            ids.append(f"n{number}")
        elif step < 0.7:
            id = chance.choice(ids)
            store.update(replace(store.get(id), input=sentence(chance)))
        else:
            at = chance.randrange(len(ids))
            ids[at], ids[-1] = ids[-1], ids[at]
            store.delete(ids.pop())
        if number % 100 == 99:
            asked = chance.sample(TEXTS, 3)
            compared += 1
            wrong += answers(index, asked) != answers(ExampleIndex(store), asked)
            bases.add(index.refresh().base.origin.revision)
    index.close()
    store.database.close()
    return {"edits": count, "compared": compared, "different": wrong, "bases": len(bases)}


def single_adds(folder: Path, rows: int) -> dict[str, object]:
    chance = random.Random(1)
    path = folder / "rows.jsonl"
    save_examples((Example(sentence(chance), str(n), id=f"r{n}") for n in range(rows)), path)
    store = ExampleStore(Database("sqlite:///adds.db", root=folder), "s", HashingEmbedder(384))
    store.import_file(path)
    index = ExampleIndex(store, folder=folder / "adds")
    start = time.perf_counter()
    index.refresh()
    built = time.perf_counter() - start
    vector = index.embedder.embed(["zebra"], kind="query")[0]
    seen = []
    for number in range(20):
        store.add(Example(f"zebra {number}", "x", id=f"z{number}"))
        start = time.perf_counter()
        found = index.refresh().nearest(vector, 64)
        seen.append(time.perf_counter() - start)
        assert f"z{number}" in found.ids
    store.database.close()
    return {
        "rows": rows,
        "seconds_to_build": round(built, 2),
        "an_add_is_seen_in_ms": round(median(seen) * 1e3, 1),
        "slowest_ms": round(max(seen) * 1e3, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=200_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = edits(Path(folder), arguments.edits, 2_000)
        save("replica", figures | single_adds(Path(folder), arguments.rows))


if __name__ == "__main__":
    main()

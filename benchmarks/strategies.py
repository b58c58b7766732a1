"""What each strategy costs beyond the search: python benchmarks/strategies.py

Ranking alone, on shortlists of 64 that real queries give; and the whole search for comparison.
"""

from __future__ import annotations

import time

from common import STORE, median, prepared_project, queries, save

import promptlib
from promptlib.building import pool_of
from promptlib.index.lexical import terms_of
from promptlib.retrieval import Query, find_candidates
from promptlib.selection.strategies import STRATEGIES


def main() -> None:
    project = promptlib.open(prepared_project())
    index = project.index(STORE)
    state = index.refresh()
    texts = queries()[:300]
    asked = [
        Query(t, v) for t, v in zip(texts, index.embedder.embed(texts, kind="query"), strict=True)
    ]
    figures: dict[str, object] = {}
    for name, strategy in STRATEGIES.items():
        ranking, whole = [], []
        for query in asked:
            start = time.perf_counter()
            found = find_candidates(state, query, name, 8, 0)
            middle = time.perf_counter()
            strategy(pool_of(found.at(slice(64)), 0))
            end = time.perf_counter()
            ranking.append(end - middle)
            whole.append(end - start)
        figures[name] = {
            "ranking_64_ms": round(median(ranking) * 1e3, 3),
            "search_and_ranking_ms": round(median(whole) * 1e3, 3),
        }
    words = []
    for query in asked:
        start = time.perf_counter()
        state.matching(state.word_scores(terms_of(query.text)), 64)
        words.append(time.perf_counter() - start)
    figures["search by words alone, ms"] = round(median(words) * 1e3, 3)
    save("strategies", figures)


if __name__ == "__main__":
    main()

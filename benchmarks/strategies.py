"""What choosing costs beyond the search: python benchmarks/strategies.py

Ranking alone, on shortlists of 64 that real queries give; the whole search for comparison; and
the exact choice among 64 for budgets of 400 and 4,000 tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from common import STORE, median, prepared_project, queries, save

import promptlib
from promptlib.budget.knapsack import best_set
from promptlib.index.lexical import terms_of
from promptlib.retrieval import Query, find_candidates
from promptlib.selection.pool import example_values
from promptlib.selection.strategies import STRATEGIES
from promptlib.shortlisted import rank_candidates


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def exact_choices() -> dict[str, float]:
    rng = np.random.default_rng(0)
    figures = {}
    for room in (400, 4000):
        times = []
        for _ in range(200):
            values = example_values(np.sort(rng.uniform(0.5, 0.9, 64))[::-1])
            costs = rng.integers(room // 12, room // 4, 64).tolist()
            times.append(timed(lambda: best_set(values, costs, k=8, room=room)))  # noqa: B023
        figures[f"exact choice among 64, {room} tokens, ms"] = round(median(times), 3)
    return figures


def main() -> None:
    project = promptlib.open(prepared_project())
    index = project.index(STORE)
    state = index.refresh()
    texts = queries()[:300]
    asked = [
        Query(t, v) for t, v in zip(texts, index.embedder.embed(texts, kind="query"), strict=True)
    ]
    figures: dict[str, object] = {}
    for name in STRATEGIES:
        ranking, whole = [], []
        for query in asked:
            start = time.perf_counter()
            found = find_candidates(state, query, name, 64, 0)
            search = (time.perf_counter() - start) * 1e3
            best = found.at(slice(64))
            ranking.append(timed(lambda: rank_candidates(best, name)))  # noqa: B023
            whole.append(search + ranking[-1])
        figures[name] = {
            "ranking_64_ms": round(median(ranking), 3),
            "search_and_ranking_ms": round(median(whole), 3),
        }

    def by_words(text: str) -> object:
        known = state.known_terms(terms_of(text))
        return state.matching(state.word_scores(known), 64)

    words = [timed(lambda: by_words(query.text)) for query in asked]  # noqa: B023
    figures["search by words alone, ms"] = round(median(words), 3)
    save("strategies", figures | exact_choices())


if __name__ == "__main__":
    main()

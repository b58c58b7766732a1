"""Label-hit of the strategies on BANKING77's 3,080 test rows: python benchmarks/quality.py

Label-hit@k: the share of queries whose own label is among the k examples shown.
"""

from __future__ import annotations

from itertools import count

from common import PROJECT, STORE, labels, prepared_project, queries, save

import promptlib
from promptlib.selection.strategies import STRATEGIES


def main() -> None:
    prepared_project()
    project = promptlib.open(PROJECT)
    state = project.index(STORE).refresh()
    vectors = project.embedder.embed(queries(), kind="query")
    figures, seeds = {}, count()
    for name in STRATEGIES:
        find = state.nearest
        if name == "random":
            find = lambda vector, k: state.sample(vector, k, seed=next(seeds))  # noqa: E731
        shortlists = [find(vector, 64) for vector in vectors]
        rankings = [promptlib.select_examples(s.similarity, strategy=name) for s in shortlists]
        figures[name] = {
            f"label_hit@{k}": round(
                sum(
                    label in {found.labels[position] for position in ranking.positions[:k]}
                    for found, ranking, label in zip(shortlists, rankings, labels(), strict=True)
                )
                / len(vectors),
                4,
            )
            for k in (2, 4, 6, 8)
        }
    save("quality", {"queries": len(vectors), **figures})


if __name__ == "__main__":
    main()

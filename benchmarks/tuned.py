"""Whether `auto` is ever worse for having been tuned: python benchmarks/tuned.py [SET ...]

For each set: tune on rows of the store, left out one at a time, and record; then compare `auto`
with the built-in default on the set's own test queries, which took no part.
"""

from __future__ import annotations

import argparse

from common import save
from sets import add_sets, prepared

from promptlib.evaluation.recording import record
from promptlib.evaluation.session import QuerySource, evaluate
from promptlib.evaluation.tuning import tune
from promptlib.selection.strategies import AUTO


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_sets(parser)
    parser.add_argument("--sample", type=int, default=500)
    arguments = parser.parse_args()
    project, files = prepared(arguments.sets)
    figures = {}
    for name, file in files.items():
        found = tune(project, store=name, queries=QuerySource(sample=arguments.sample))
        moved = record(project, found)
        judged = evaluate(
            project, store=name, strategies=(AUTO, "auto"), queries=QuerySource(file=file)
        )
        after = judged.outcomes[-1]
        gain = after.against_first.get(judged.yardstick)
        figures[name] = {
            "best in the search": str(found.winner),
            "auto has moved": moved,
            "auto is": after.way.name,
            "gain on test queries": gain
            and [round(x, 4) for x in (gain.value, gain.low, gain.high)],
        }
        save("tuned", figures)


if __name__ == "__main__":
    main()

"""One prompt in process, against the bare parts: python benchmarks/latency.py

Rounds of the two alternate, each in a process of its own, over distinct queries. Nothing caches
query embeddings. The ratio of the medians is what is compared; milliseconds are of this machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time

from common import PROJECT, RESULTS, TEMPLATE, bare_inputs, median, percentile, run, save
from common import queries as all_queries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queries", type=int, default=600, help="per round, distinct")
    parser.add_argument("--budget", type=int, default=400)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, arguments.budget)
        return
    model, vectors = bare_inputs()
    found: dict[str, list[float]] = {"bare": [], "promptlib": []}
    rounds = []
    texts = all_queries()
    for number in range(arguments.rounds):
        start = number * arguments.queries % len(texts)
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", dir=RESULTS) as file:
            part = texts[start : start + arguments.queries]
            file.writelines(json.dumps({"input": text}) + "\n" for text in part)
            file.flush()
            bare = json.loads(run("benchmarks/bare.py", model, vectors, file.name))
            ours = json.loads(
                run(
                    "benchmarks/latency.py",
                    "--measure",
                    file.name,
                    "--budget",
                    str(arguments.budget),
                )
            )
        found["bare"] += bare["times"]
        found["promptlib"] += ours["times"]
        rounds.append(ours["median"] / bare["median"])
    figures = {
        name: {
            "median_ms": round(1e3 * median(times), 2),
            "p95_ms": round(1e3 * percentile(times, 0.95), 2),
        }
        for name, times in found.items()
    }
    ratio = {"of_medians": round(median(rounds), 3), "by_round": [round(r, 3) for r in rounds]}
    save("latency", {"budget": arguments.budget, **figures, "ratio": ratio})


def measure(file: str, budget: int) -> None:
    import promptlib

    project = promptlib.open(PROJECT)
    with open(file, encoding="utf-8") as lines:
        texts = [json.loads(line)["input"] for line in lines]
    times = []
    for text in texts:
        start = time.perf_counter()
        project.build(TEMPLATE, text, k=8, budget=budget, strategy="similar")
        times.append(time.perf_counter() - start)
    json.dump({"median": median(times), "times": times}, sys.stdout)


if __name__ == "__main__":
    main()

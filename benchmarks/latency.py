"""One prompt in process, against the bare parts: python benchmarks/latency.py

`similar` and `hybrid` against tokenizer, ONNX session and FAISS by themselves, on the model as
PyTorch writes it and on promptlib's own, whose attention is fused. Rounds of all alternate, each in
a process of its own, over distinct queries. The ratio of the medians is what is compared;
milliseconds are of this machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time

from common import PROJECT, RESULTS, TEMPLATE, bare_inputs, median, percentile, run, save
from common import queries as all_queries

STRATEGIES = ("similar", "hybrid")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queries", type=int, default=600, help="per round, distinct")
    parser.add_argument("--budget", type=int, default=400)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure, arguments.budget)
        return
    budget = ("--budget", str(arguments.budget))
    scripts = {
        "bare": ("benchmarks/bare.py", *bare_inputs()),
        "bare, fused model": ("benchmarks/bare.py", *bare_inputs(fused=True)),
        **{name: ("benchmarks/latency.py", *budget, "--measure", name) for name in STRATEGIES},
    }
    times: dict[str, list[float]] = {name: [] for name in scripts}
    medians: dict[str, list[float]] = {name: [] for name in scripts}
    texts = all_queries()
    for number in range(arguments.rounds):
        start = number * arguments.queries % len(texts)
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", dir=RESULTS) as file:
            part = texts[start : start + arguments.queries]
            file.writelines(json.dumps({"input": text}) + "\n" for text in part)
            file.flush()
            for name, script in scripts.items():
                done = json.loads(run(*script, file.name))
                times[name] += done["times"]
                medians[name].append(done["median"])
    shown = {
        name: {
            "median_ms": round(1e3 * median(taken), 2),
            "p95_ms": round(1e3 * percentile(taken, 0.95), 2),
        }
        for name, taken in times.items()
    }
    ratios = {
        f"{name} / {bare}": ratio(medians[name], medians[bare])
        for name in STRATEGIES
        for bare in scripts
        if bare not in STRATEGIES
    }
    save("latency", {"budget": arguments.budget, **shown, "ratios": ratios})


def ratio(ours: list[float], theirs: list[float]) -> dict[str, object]:
    by_round = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return {"median": round(median(by_round), 3), "by_round": [round(r, 3) for r in by_round]}


def measure(strategy: str, file: str, budget: int) -> None:
    import promptlib

    project = promptlib.open(PROJECT)
    with open(file, encoding="utf-8") as lines:
        texts = [json.loads(line)["input"] for line in lines]
    times = []
    for text in texts:
        start = time.perf_counter()
        project.build(TEMPLATE, text, k=8, budget=budget, strategy=strategy)
        times.append(time.perf_counter() - start)
    json.dump({"median": median(times), "times": times}, sys.stdout)


if __name__ == "__main__":
    main()

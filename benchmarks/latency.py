"""One prompt in process, against the bare parts: python benchmarks/latency.py

`similar` and `hybrid` against tokenizer, ONNX session and FAISS by themselves, on the model as
PyTorch writes it and on promptlib's own, whose attention is fused. Their processes take turns over
distinct queries. The ratio of the medians is what is compared, of all prompts and of each fifth of
them; milliseconds are of this machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from functools import partial

from common import (
    CHECKOUT,
    PROJECT,
    RESULTS,
    TEMPLATE,
    bare_inputs,
    median,
    percentile,
    queries,
    save,
)
from turns import TURN, answer, side_by_side, timed, turns

STRATEGIES = ("similar", "hybrid")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=3000, help="distinct up to 3,080")
    parser.add_argument("--budget", type=int, default=400)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure, arguments.budget)
        return
    bare = {"bare": bare_inputs(), "bare, fused model": bare_inputs(fused=True)}
    budget = ("--budget", str(arguments.budget))
    texts = queries()[: arguments.queries]
    times: dict[str, list[float]] = {name: [] for name in (*bare, *STRATEGIES)}
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", dir=RESULTS) as file:
        file.writelines(json.dumps({"input": text}) + "\n" for text in texts)
        file.flush()
        commands = {name: ("benchmarks/bare.py", *bare[name], file.name) for name in bare} | {
            name: ("benchmarks/latency.py", *budget, "--measure", name, file.name)
            for name in STRATEGIES
        }
        python = {name: [sys.executable, *command] for name, command in commands.items()}
        for name, _, found in side_by_side(python, len(texts), cwd=CHECKOUT):
            times[name] += found["times"]
    shown = {
        name: {
            "p50_ms": round(1e3 * median(taken), 2),
            "p95_ms": round(1e3 * percentile(taken, 0.95), 2),
        }
        for name, taken in times.items()
    }
    ratios = {f"{name} / {b}": ratio(times[name], times[b]) for name in STRATEGIES for b in bare}
    save("latency", {"budget": arguments.budget, **shown, "ratios": ratios})


def ratio(ours: list[float], theirs: list[float]) -> dict[str, object]:
    """Of the medians; also of each fifth, in the order in which they were taken."""
    fifth = len(ours) // (5 * TURN) * TURN or len(ours)
    by_fifth = [
        median(ours[at : at + fifth]) / median(theirs[at : at + fifth])
        for at in range(0, len(ours) // fifth * fifth, fifth)
    ]
    of_all = round(median(ours) / median(theirs), 3)
    return {"of_all": of_all, "by_fifth": [round(each, 3) for each in by_fifth]}


def measure(strategy: str, file: str, budget: int) -> None:
    import promptlib

    project = promptlib.open(PROJECT)
    build = partial(project.build, TEMPLATE, k=8, budget=budget, strategy=strategy)
    with open(file, encoding="utf-8") as lines:
        texts = [json.loads(line)["input"] for line in lines]
    for some in turns(texts):
        answer({"times": timed(build, some)["times"]})


if __name__ == "__main__":
    main()

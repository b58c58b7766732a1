"""One measure of one tool in a process of its own; prints JSON.

python benchmarks/peers/measure.py MEASURE TOOL MODEL FOLDER QUERIES.json [NUMBER]

MEASURE is import, ingest, first, latency, threads, or many.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")

sys.path.append(str(Path(__file__).resolve().parent.parent))
from tools import TOOLS, Tool
from turns import answer, timed, turns

WARM = 20


def ingest(tool: Tool, folder: Path) -> dict[str, float]:
    rows = json.loads((folder.parent / "rows.json").read_text(encoding="utf-8"))
    start = time.perf_counter()
    tool.ingest(rows)
    seconds = time.perf_counter() - start
    files = [file for file in folder.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files if file.name != "rows.jsonl")
    return {"rows": len(rows), "seconds": seconds, "disk_mb": size / 1e6}


def latency(tool: Tool, queries: list[str]) -> None:
    tool.open()
    for some in turns(queries):
        answer(timed(tool.prompt, some))


def threads(tool: Tool, queries: list[str], count: int) -> dict[str, object]:
    tool.open()
    for query in queries[:WARM]:
        tool.prompt(query)
    with ThreadPoolExecutor(count) as pool:
        start = time.perf_counter()
        made = list(pool.map(tool.prompt, queries[WARM:]))
        seconds = time.perf_counter() - start
    return {"per_second": len(made) / seconds, "texts": [text for text, _ in made]}


def many(tool: Tool, queries: list[str]) -> dict[str, object]:
    tool.open()
    tool.prompts(queries[:WARM])
    start = time.perf_counter()
    made = tool.prompts(queries[WARM:])
    seconds = time.perf_counter() - start
    return {"per_second": len(made) / seconds, "texts": [text for text, _ in made]}


def main() -> None:
    measure, name, model, folder, queries_file, *rest = sys.argv[1:]
    here = Path(folder)
    tool = TOOLS[name](model, here)
    queries = json.loads(Path(queries_file).read_text(encoding="utf-8"))
    found: dict[str, object] = {}
    if measure == "import":
        for module in tool.modules:
            import_module(module)
    elif measure == "ingest":
        found = dict(ingest(tool, here))
    elif measure == "first":
        tool.open()
        tool.prompt(queries[0])
    elif measure == "latency":
        latency(tool, queries)
    elif measure == "threads":
        found = threads(tool, queries, int(rest[0]))
    elif measure == "many":
        found = many(tool, queries)
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.flush()
    print("\n" + json.dumps(found), flush=True)
    os._exit(0)  # threads of some tools would wait


if __name__ == "__main__":
    main()

"""How the cost of a prompt grows with a store, ours and the peers': python benchmarks/growth.py

Needs the project of million.py and the peers' environment of `make bench`. Peers get promptlib's
vectors of the same rows, and as many rows as they can: a tool stops where holding them takes longer
than LONGEST seconds or more memory than there is, or a prompt longer than SLOWEST. Adds their
figures to results/million.json and draws docs/growth.png anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import CHECKOUT, RESULTS, save
from compare import PEERS, model
from million import SMALLER, draw, largest

LONGEST, SLOWEST = 400, 1_000.0
SCRIPT = CHECKOUT / "benchmarks" / "peers" / "grow.py"
TOOLS = ("LangChain", "LlamaIndex", "DSPy", "Chroma")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, default=RESULTS / "million")
    parser.add_argument("--tools", nargs="*", default=TOOLS, choices=TOOLS)
    arguments = parser.parse_args()
    root: Path = arguments.project
    rows = write_vectors(root)
    figures = json.loads((RESULTS / "million.json").read_text())
    peers: dict[str, dict[str, Any]] = figures.setdefault("peers", {})
    for tool in arguments.tools:
        peers[tool] = {}
        for count in (*SMALLER, rows):
            found = grown(tool, root, count)
            print(tool, count, json.dumps(found), file=sys.stderr, flush=True)
            if found is None:
                break
            peers[tool][str(count)] = found
            if found["p50_ms"] > SLOWEST:
                break
    save("million", figures)
    draw(figures, CHECKOUT / "docs" / "growth.png")


def write_vectors(root: Path) -> int:
    """Write the vectors of the large store in the order of its file; returns how many."""
    import promptlib

    file = root / "vectors.npy"
    with promptlib.open(root) as project:
        store = project.store(largest(root))
        rows = len(store)
        if not file.exists():
            state = project.index(store.name).refresh()
            order = np.argsort(state.base.rows.keys)  # keys count as rows came
            out = np.lib.format.open_memmap(
                file, "w+", np.float16, (len(order), project.embedder.dim)
            )
            for start in range(0, len(order), 10_000):
                out[start : start + 10_000] = state.vectors_at(order[start : start + 10_000])
            out.flush()
    return rows


def grown(tool: str, root: Path, count: int) -> dict[str, Any] | None:
    """Measure a tool over so many rows in a process of its own; None where it can't."""
    command = [str(PEERS), str(SCRIPT), tool, model(str(PEERS)), str(root), str(count)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        print(done.stderr[-500:], file=sys.stderr)
        return None
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    main()

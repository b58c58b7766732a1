"""A fresh process, warm files, to its first prompt: python benchmarks/fresh.py

`promptlib build` beside a bare interpreter that imports the same parts and finds the examples.
Runs alternate; the wall clock and the peak memory of each process are taken from outside.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from common import CHECKOUT, QUERIES, TEMPLATE, bare_inputs, median, prepared_project, save


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds and peak MiB of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=11)
    arguments = parser.parse_args()
    promptlib = shutil.which("promptlib", path=str(Path(sys.executable).parent))
    if promptlib is None:
        raise SystemExit("promptlib is not installed beside this Python: run make test first")
    project = str(prepared_project())
    model, vectors = bare_inputs()
    commands = {
        "bare": [sys.executable, "benchmarks/bare.py", model, vectors, str(QUERIES), "--once"],
        "promptlib build": [promptlib, "-C", project, "build", TEMPLATE, "My card was stolen"],
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for run in range(arguments.runs + 1):
        for name, command in commands.items():
            figures = measured(command)
            if run:  # the first warms the files
                found[name].append(figures)
    save(
        "fresh",
        {
            name: {
                "median_s": round(median([seconds for seconds, _ in runs]), 3),
                "max_s": round(max(seconds for seconds, _ in runs), 3),
                "peak_mib": round(max(mib for _, mib in runs)),
            }
            for name, runs in found.items()
        },
    )


if __name__ == "__main__":
    main()

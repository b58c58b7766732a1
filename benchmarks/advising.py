"""How long advice takes, in a fresh process with vectors in place: whole, and quick."""

from __future__ import annotations

import subprocess
import sys
import time

from common import CHECKOUT, save
from sets import ROOT, prepared

ROUNDS = 3


def main() -> None:
    project, _ = prepared([])
    project.close()
    figures = {}
    for name, options in (("quick", ["--quick"]), ("whole", [])):
        times = []
        for _ in range(ROUNDS if options else 1):
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "cli", "-C", str(ROOT), "advise", "banking77", *options],
                cwd=CHECKOUT, check=True, capture_output=True,
            )  # fmt: skip
            times.append(time.perf_counter() - start)
        figures[f"{name}_s"] = round(sorted(times)[len(times) // 2], 1)
    save("advising", figures)


if __name__ == "__main__":
    main()

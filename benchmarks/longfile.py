"""A long file: python benchmarks/longfile.py [FILE.jsonl.gz]

Imported by a process that is killed half-way, and by another that goes on; exported, and imported
and exported once more. Without FILE, 200,000 variations of BANKING77 are made.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from common import CHECKOUT, RESULTS, queries, run, save

CODE = """
import json, resource, sys, time
import promptlib
project = promptlib.open(sys.argv[1])
start = time.perf_counter()
report = project.import_file("long", sys.argv[2])
print(json.dumps({
    "added": report.added, "embedded": report.coverage.texts,
    "seconds": round(time.perf_counter() - start, 1),
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
}))
"""


def made(path: Path, rows: int = 200_000) -> Path:
    chance = random.Random(0)
    texts = queries()
    with path.open("w") as out:
        for n in range(rows):
            text = f"{chance.choice(texts)} {chance.randint(1, 99)}"
            out.write(json.dumps({"input": text, "output": str(n % 50)}) + "\n")
    return path


def vectors(database: Path) -> int:
    import sqlite3

    with sqlite3.connect(database) as connection:
        return int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])


def killed(root: Path, file: Path, share: float, texts: int) -> int:
    """Start an import, kill it when that share of the texts is embedded; returns how many were."""
    process = subprocess.Popen([sys.executable, "-c", CODE, str(root), str(file)], cwd=CHECKOUT)
    database = root / ".promptlib" / "promptlib.db"
    while process.poll() is None:
        time.sleep(0.5)
        if database.is_file() and vectors(database) > share * texts:
            process.send_signal(signal.SIGKILL)
    process.wait()
    return vectors(database)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path)
    arguments = parser.parse_args()
    work = RESULTS / "longfile"
    shutil.rmtree(work, ignore_errors=True)
    run("-m", "cli", "init", str(work))
    file = arguments.file or made(work / "long.jsonl")
    shutil.rmtree(work / "example_stores")
    from promptlib.files.reading import ExamplesFile
    from promptlib.files.source import open_source

    with open_source(file) as source:
        texts = len({str(example.input) for example in ExamplesFile(source)})
    before = killed(work, file, 0.5, texts)
    resumed = json.loads(run("-c", CODE, str(work), str(file)))
    again = json.loads(run("-c", CODE, str(work), str(file)))
    one, two = work / "one.jsonl", work / "two.jsonl"
    run("-m", "cli", "-C", str(work), "store", "export", "long", str(one))
    run("-m", "cli", "-C", str(work), "store", "import", "copy", str(one))
    run("-m", "cli", "-C", str(work), "store", "export", "copy", str(two))
    same = one.read_bytes() == two.read_bytes()
    shutil.rmtree(work, ignore_errors=True)
    save(
        "longfile",
        {
            "rows": resumed["added"],
            "distinct_texts": texts,
            "embedded_before_the_kill": before,
            "embedded_after_it": resumed["embedded"],
            "embedded_twice": before + resumed["embedded"] - texts,
            "rows_per_second_embedding": round(resumed["embedded"] / resumed["seconds"]),
            "seconds_to_import_again": again["seconds"],
            "peak_mib": resumed["peak_mib"],
            "export_import_export_identical": same,
            "cores": os.cpu_count(),
        },
    )


if __name__ == "__main__":
    main()

"""Import BANKING77 with embedding, then import it again: python benchmarks/ingest.py"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from common import CHECKOUT, save

import promptlib
from promptlib.config import STARTER_CONFIG

FILE = CHECKOUT / "example_stores" / "banking77" / "examples.jsonl"


def timed_import(project: promptlib.Project, file: Path) -> float:
    start = time.perf_counter()
    project.import_file("bank", file)
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "promptlib.toml").write_text(STARTER_CONFIG)
        project = promptlib.open(folder)
        project.embedder.embed(["warm"])  # compiling and loading the model is not importing
        first = timed_import(project, FILE)
        again = sorted(timed_import(project, FILE) for _ in range(5))[2]
        rows = len(project.store("bank"))
        # One row in a hundred edited at its source, under ids of its own: a working day's file.
        edited = Path(folder, "edited.jsonl")
        examples = [example.to_dict() for example in project.store("bank")]
        for example in examples[::100]:
            example["input"] += " please"
        edited.write_text("".join(json.dumps(example) + "\n" for example in examples))
        part = timed_import(project, edited)
        size = project.database.path.stat().st_size
        project.database.close()
    save(
        "ingest",
        {
            "rows": rows,
            "first_s": round(first, 2),
            "rows_per_s": round(rows / first),
            "again_s": round(again, 3),
            "again_times_as_fast": round(first / again, 1),
            "one_in_a_hundred_changed_s": round(part, 2),
            "database_mb": round(size / 1e6, 1),
        },
    )


if __name__ == "__main__":
    main()

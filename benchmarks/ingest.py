"""Import BANKING77 with embedding, beside a loop that embeds and keeps nothing, then import it
again: python benchmarks/ingest.py
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np
from bare_model import open_bare
from common import CHECKOUT, bare_inputs, median, save

import promptlib
from promptlib.config import STARTER_CONFIG

FILE = CHECKOUT / "example_stores" / "banking77" / "examples.jsonl"


def timed_import(project: promptlib.Project, file: Path) -> float:
    start = time.perf_counter()
    project.import_file("bank", file)
    return time.perf_counter() - start


def bare_loop(texts: list[str], size: int = 64) -> float:
    """Seconds of tokenizer and ONNX session alone on the compiled model, texts sorted by length."""
    tokenizer, session = open_bare(bare_inputs(fused=True)[0])
    start = time.perf_counter()
    encoded = sorted(tokenizer.encode_batch(texts), key=len)
    for at in range(0, len(encoded), size):
        part = encoded[at : at + size]
        ids = np.zeros((len(part), len(part[-1])), np.int64)
        mask = np.zeros_like(ids)
        for row, each in enumerate(part):
            ids[row, : len(each)], mask[row, : len(each)] = each.ids, 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        session.run(None, feed)
    return time.perf_counter() - start


def first_imports(rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of first imports, and of the bare loop, in turn."""
    texts = [json.loads(line)["input"] for line in FILE.read_text(encoding="utf-8").splitlines()]
    firsts, loops = [], []
    for _ in range(rounds):
        loops.append(bare_loop(texts))
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "promptlib.toml").write_text(STARTER_CONFIG)
            with promptlib.open(folder) as project:
                project.embedder.embed(["warm"])  # loading the model is not importing
                firsts.append(timed_import(project, FILE))
    return firsts, loops


def main() -> None:
    firsts, loops = first_imports(3)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "promptlib.toml").write_text(STARTER_CONFIG)
        project = promptlib.open(folder)
        project.embedder.embed(["warm"])
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
            "rows_per_s": round(rows / median(firsts)),
            "bare_loop_rows_per_s": round(rows / median(loops)),
            "of_bare_loop": [round(b / f, 3) for f, b in zip(firsts, loops, strict=True)],
            "again_s": round(again, 3),
            "again_rows_per_s": round(rows / again),
            "one_in_a_hundred_changed_s": round(part, 2),
            "database_mb": round(size / 1e6, 1),
        },
    )


if __name__ == "__main__":
    main()

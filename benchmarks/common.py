"""What the benchmarks share: a real project, real queries, and how figures are taken."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
RESULTS = HERE / "results"
PROJECT = RESULTS / "project"
QUERIES = CHECKOUT / "tests" / "data" / "banking77_test.jsonl"
TEMPLATE = "banking/intent"
STORE = "banking77"


def queries() -> list[str]:
    """The 3,080 test messages of BANKING77, none of them in the store."""
    with QUERIES.open(encoding="utf-8") as file:
        return [json.loads(line)["input"] for line in file]


def labels() -> list[str]:
    with QUERIES.open(encoding="utf-8") as file:
        return [json.loads(line)["output"] for line in file]


def prepared_project() -> Path:
    """A project with the starter imported and indexed; made once, used by all benchmarks."""
    if not (PROJECT / ".promptlib" / "index").is_dir():
        run("-m", "cli", "init", str(PROJECT))
        run("-m", "cli", "-C", str(PROJECT), "build", TEMPLATE, "warm up")
    return PROJECT


def bare_inputs(*, fused: bool = False) -> tuple[str, str]:
    """A folder with the model as ONNX, and a file with the store's vectors as float32.

    The model is as PyTorch writes it and ONNX Runtime optimises it, or with `fused` promptlib's.
    """
    import numpy as np

    import promptlib
    from promptlib.embedding.export import export_model
    from promptlib.embedding.reference import TorchEmbedder
    from promptlib.embedding.source import find_model

    project = promptlib.open(prepared_project())
    vectors = RESULTS / "vectors.npy"
    if not vectors.is_file():
        np.save(vectors, project.index(STORE).refresh().base.rows.vectors.astype(np.float32))
    if fused:
        return str(project.embedder.loaded.folder), str(vectors)
    plain = RESULTS / "plain"
    if not (plain / "embedder.json").is_file():
        plain.mkdir(exist_ok=True)
        reference = TorchEmbedder(find_model(project.embedder.model).folder)
        export_model(reference, plain, "plain", "fp32", fused=False)
    return str(plain), str(vectors)


def run(*arguments: str) -> str:
    """Run Python in a process of its own; returns its stdout."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def median(values: list[float]) -> float:
    return statistics.median(values)


def save(name: str, figures: object) -> None:
    """Keep figures as JSON beside the project, and print them."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))

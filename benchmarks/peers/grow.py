"""One prompt of a tool over so many rows whose vectors are known; prints JSON.

python benchmarks/peers/grow.py TOOL MODEL FOLDER COUNT, where FOLDER holds rows.jsonl, vectors.npy
and queries.json. Rows come with their vectors, so that a tool has only to hold and to search them;
queries are embedded as the tool does it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")

import numpy as np
from tools import TOOLS, Chroma, DSPy, K, LangChain, LlamaIndex, Row

WARM, TIMED, FEWEST = 20, 500, 10
PATIENCE = 30
"""Seconds after which no more than FEWEST prompts are timed."""
BRACES = str.maketrans("{}", "()")
"""LangChain's template reads what stands in examples as fields, and fails; so all get none."""


def hold_langchain(tool: Any, rows: list[Row], vectors: np.ndarray) -> None:
    from langchain_community.vectorstores import FAISS

    pairs = zip((row["input"] for row in rows), list(vectors), strict=True)
    tool._ready(FAISS.from_embeddings(pairs, tool._embeddings(), metadatas=rows))


def hold_llamaindex(tool: Any, rows: list[Row], vectors: np.ndarray) -> None:
    from llama_index.core import VectorStoreIndex
    from llama_index.core.schema import TextNode

    nodes = [
        TextNode(text=row["input"], metadata={"output": row["output"]}, embedding=vector.tolist())
        for row, vector in zip(rows, vectors, strict=True)
    ]
    index = VectorStoreIndex(nodes, embed_model=tool._embeddings())
    tool.retriever = index.as_retriever(similarity_top_k=K)


def hold_dspy(tool: Any, rows: list[Row], vectors: np.ndarray) -> None:
    import dspy
    from sentence_transformers import SentenceTransformer

    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    encode = SentenceTransformer(tool.model).encode

    def embed(texts: Sequence[str]) -> np.ndarray:
        return vectors if len(texts) == len(rows) else encode(texts)

    trainset = [dspy.Example(**row).with_inputs("input") for row in rows]
    vectorizer = dspy.Embedder(embed, batch_size=len(rows))
    tool.knn = dspy.KNN(k=K, trainset=trainset, vectorizer=vectorizer)


def hold_chroma(tool: Any, rows: list[Row], vectors: np.ndarray) -> None:
    tool.collection = tool._collection()
    for start in range(0, len(rows), 5_000):
        part = rows[start : start + 5_000]
        tool.collection.add(
            ids=[str(start + n) for n in range(len(part))],
            documents=[row["input"] for row in part],
            metadatas=[{"output": row["output"]} for row in part],
            embeddings=list(vectors[start : start + 5_000]),
        )


HOLD = {
    LangChain: hold_langchain, LlamaIndex: hold_llamaindex, DSPy: hold_dspy, Chroma: hold_chroma,
}  # fmt: skip


def main() -> None:
    name, model, folder, count = sys.argv[1:]
    here = Path(folder)
    with (here / "rows.jsonl").open(encoding="utf-8") as file:
        rows = [
            {name: value.translate(BRACES) for name, value in json.loads(line).items()}
            for line in islice(file, int(count))
        ]
    vectors = np.load(here / "vectors.npy", mmap_mode="r")[: len(rows)].astype(np.float32)
    queries = json.loads((here / "queries.json").read_text(encoding="utf-8"))
    tool = TOOLS[name](model, here / f"{name}-{count}")
    start = time.perf_counter()
    HOLD[TOOLS[name]](tool, rows, vectors)
    held, times = time.perf_counter() - start, []
    end = time.perf_counter() + PATIENCE
    for query in queries[: WARM + TIMED]:
        start = time.perf_counter()
        if start > end and len(times) >= WARM + FEWEST:
            break
        tool.prompt(query)
        times.append(1e3 * (time.perf_counter() - start))
    times = sorted(times[WARM:])
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
    figures = {"p50_ms": times[len(times) // 2], "held_s": held, "memory_mib": resident}
    print("\n" + json.dumps(figures), flush=True)
    os._exit(0)  # threads of some tools would wait


if __name__ == "__main__":
    main()

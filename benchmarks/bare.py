"""The least that finding examples takes: tokenizer, ONNX session, flat FAISS. No promptlib.

python benchmarks/bare.py MODEL_FOLDER VECTORS.npy QUERIES.jsonl [--once]

Without --once it takes turns; see turns.py.
"""

import json
import sys

import faiss
import numpy as np
from bare_model import open_bare
from turns import answer, timed, turns

model, vectors_file, queries_file = sys.argv[1:4]
tokenizer, session = open_bare(model)
vectors = np.load(vectors_file)
index = faiss.IndexFlatIP(vectors.shape[1])
index.add(vectors)
faiss.omp_set_num_threads(1)


def find(query: str) -> np.ndarray:
    ids = np.array([tokenizer.encode(query).ids], dtype=np.int64)
    feed = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
    return index.search(session.run(None, feed)[0], 8)


with open(queries_file, encoding="utf-8") as file:
    queries = [json.loads(line)["input"] for line in file]
if "--once" in sys.argv:
    import jinja2  # noqa: F401
    import sqlalchemy  # noqa: F401
    import tiktoken  # noqa: F401  # a fresh process that builds prompts needs these too

    find(queries[0])
else:
    for some in turns(queries):
        answer({"times": timed(find, some)["times"]})

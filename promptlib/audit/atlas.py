"""A store as a table for embedding-atlas: texts, places, vectors and neighbours, as Parquet."""

from __future__ import annotations

import json
from pathlib import Path

from promptlib.audit.auditing import Audit
from promptlib.audit.projection import project_rows
from promptlib.errors import MissingDependencyError
from promptlib.files.writing import replacing

NEIGHBOURS = 10


def write_atlas(audit: Audit, path: Path | str, *, umap: bool = False) -> int:
    """Write a row for each row of the store, with what the audit has found; returns how many.

    Neighbours are places of rows in the table, with cosine distances. Raises
    MissingDependencyError without pyarrow, or for `umap` without its extra.
    """
    try:
        import pyarrow
        from pyarrow.parquet import write_table
    except ImportError:
        raise MissingDependencyError("Parquet files", "parquet") from None
    rows = audit.looked.rows
    places = project_rows(rows.vectors, umap=umap)[rows.text_of]
    first = [members[0] for members in rows.rows_of_text]
    near = rows.neighbours
    found: dict[str, list[str]] = {}
    for finding in audit.findings:
        for id in finding.rows:
            found.setdefault(id, []).append(finding.id)
    columns = {
        "id": [example.id for example in rows.examples],
        "text": rows.inputs,
        "output": rows.outputs,
        "label": list(rows.labels),
        "status": [example.status for example in rows.examples],
        "findings": [", ".join(found.get(example.id, ())) for example in rows.examples],
        "metadata": [json.dumps(dict(e.metadata), ensure_ascii=False) for e in rows.examples],
        "x": places[:, 0].tolist(),
        "y": places[:, 1].tolist(),
        "vector": [rows.vectors[text].tolist() for text in rows.text_of.tolist()],
        "neighbors": [
            {
                "ids": [first[at] for at in near.places[text, :NEIGHBOURS].tolist() if at >= 0],
                "distances": [
                    1 - cosine
                    for at, cosine in zip(
                        near.places[text, :NEIGHBOURS].tolist(),
                        near.cosine[text, :NEIGHBOURS].tolist(),
                        strict=True,
                    )
                    if at >= 0
                ],
            }
            for text in rows.text_of.tolist()
        ],
    }
    with replacing(path) as out:
        write_table(pyarrow.table(columns), out, compression="zstd")
    return len(rows)

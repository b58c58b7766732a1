"""A process that reads a store again and again, and stops at the first thing that is wrong.

python tests/crash_reader.py PROJECT SECONDS; it says how often it has read.
"""

import sys
import time

import promptlib
from promptlib.example import Example

project = promptlib.open(sys.argv[1])
store, end, reads = project.store("crash"), time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < end:
    seen = store.revision
    rows = list(store.rows())
    for row in rows:
        whole = Example.from_dict(row.example.to_dict() | {"status": row.status})
        assert whole.content_hash == row.content_hash, row.id
    ids = [row.id for row in rows]
    assert ids == sorted(set(ids))
    assert [row.id for row in store.rows(at=seen)] == [row.id for row in store.rows(at=seen)]
    assert len(project.search("crash", "a card that was lost", 8)) == 8
    assert store.revision >= seen
    reads += 1
print(reads, flush=True)
project.close()

"""A process to be killed: imports a file, then adds, edits, dedupes and undoes without end.

python tests/crash_writer.py PROJECT FILE; it says what is done.
"""

import os
import sys
from dataclasses import replace
from itertools import count

import promptlib
from promptlib.audit.duplicates import exact_duplicates
from promptlib.audit.rows import read_rows
from promptlib.errors import ConflictError
from promptlib.example import Example

project = promptlib.open(sys.argv[1])
print("ready", flush=True)
report = project.import_file("crash", sys.argv[2])
print("imported", flush=True)
store = project.store("crash")
for number in count():
    id = f"w-{os.getpid()}-{store.revision}-{number}"
    store.add(Example(f"a card that was lost {id}", "x", id=id))
    print("added", id, flush=True)
    store.update(replace(store.get(id), output="edited"))
    print("edited", id, flush=True)
    if number % 4:
        continue
    store.add(replace(store.get(id), id=f"{id}-copy"))
    try:
        found = exact_duplicates(read_rows(store)).edits
        revision = store.edit(
            [edit for edit in found if edit.before.id.startswith(id)], reason="dedupe"
        )
        print("deduped", id, flush=True)
        store.undo(revision)
    except ConflictError:  # another process was quicker
        continue
    print("undone", id, flush=True)

"""A process to be killed: imports a file, then adds and edits without end, saying what is done.

python tests/crash_writer.py PROJECT FILE
"""

import sys
from dataclasses import replace
from itertools import count

import promptlib
from promptlib.example import Example

project = promptlib.open(sys.argv[1])
print("ready", flush=True)
report = project.import_file("crash", sys.argv[2])
print("imported", flush=True)
store = project.store("crash")
for number in count():
    id = f"w-{store.revision}-{number}"
    store.add(Example(f"a card that was lost {number}", "x", id=id))
    print("added", id, flush=True)
    store.update(replace(store.get(id), output="edited"))
    print("edited", id, flush=True)

"""200 kills at random instants of imports, edits, dedupes and undos, then four writers beside four
readers for two minutes, then four importers at once: python benchmarks/crashes.py

The same checks as tests/test_crash.py, for longer: no committed row lost, none torn, and the index
answers like one built afresh.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from common import CHECKOUT, save

sys.path.insert(0, str(CHECKOUT))

import promptlib
from tests.test_crash import big_file, check_whole, kill_once, write_and_read
from tests.test_crash import test_four_importers_at_once_make_one_import as four_importers


def project_in(folder: str) -> Path:
    root = Path(folder)
    (root / "promptlib.toml").write_text('embedder.model = "hashing"\n')
    return root


def seconds_of_import(file: Path) -> float:
    with tempfile.TemporaryDirectory() as folder, promptlib.open(project_in(folder)) as project:
        start = time.monotonic()
        project.import_file("crash", file)
        return time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=2)
    arguments = parser.parse_args()
    chance, said, start = random.Random(time.time_ns()), [], time.monotonic()
    during_import = kills = 0
    with tempfile.TemporaryDirectory() as folder:
        root = project_in(folder)
        file = big_file(root, 6_000)
        # Over twice the time of an import: half of the kills into a new database meet it.
        longest = 2 * seconds_of_import(file)
        for kill in range(arguments.kills):
            if kill % 3 == 0:  # a new database: kills meet the import as well as edits
                for path in root.glob(".promptlib/promptlib.db*"):
                    path.unlink()
                said = []
            told = kill_once(root, file, chance, signal.SIGKILL, longest)
            during_import += "imported" not in told
            said += told
            project = promptlib.open(root)
            check_whole(project, file, said)
            project.database.close()
            kills += 1
    with tempfile.TemporaryDirectory() as folder:
        root = project_in(folder)
        file = big_file(root, 2_000)
        said, reads = write_and_read(root, file, seconds=60 * arguments.minutes, each=4)
        with promptlib.open(root) as project:
            check_whole(project, file, said)
    with tempfile.TemporaryDirectory() as folder:
        four_importers(project_in(folder))
    save(
        "crashes",
        {
            "kills": kills,
            "of_them_during_an_import": during_import,
            "writes_beside_readers": len(said),
            "reads_beside_writers": reads,
            "lost_or_torn": 0,  # any would have stopped the run with an assertion
            "seconds": round(time.monotonic() - start),
        },
    )


if __name__ == "__main__":
    main()

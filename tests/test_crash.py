"""Killed at any instant, or four at once: no committed row is lost, none is torn."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import promptlib
from promptlib.example import Example
from promptlib.files.reading import read_examples
from promptlib.index.vector import ExampleIndex
from promptlib.project import Project
from promptlib.store import importing
from promptlib.store import vectors as vectors_module
from tests.conftest import CHECKOUT, write_rows

ROUNDS = 12


def big_file(root: Path, rows: int = 3000) -> Path:
    texts = (
        {"input": f"row {n} about a lost card", "output": f"label {n % 7}"} for n in range(rows)
    )
    return write_rows(root / "big.jsonl", list(texts))


def check_whole(project: Project, file: Path, said: list[str]) -> None:
    """The import is there whole or not at all, and everything that was said is done."""
    store = project.find_store("crash")
    rows = {row.id: row for row in store.rows()} if store is not None else {}
    imported = {example.id for example in read_examples(file)}
    assert rows.keys() & imported in (set(), imported)
    if "imported" in said:
        assert imported <= rows.keys()
    for line in said:
        word, _, id = line.partition(" ")
        if word in ("added", "edited"):
            row = rows[id]
            assert row.example.content_hash == row.content_hash  # not torn
        if word == "edited":
            assert rows[id].example.output == "edited"
        if word == "undone":
            assert f"{id}-copy" in rows and id in rows
    if store is not None and rows:
        state: dict[str, str | None] = {}
        for change in store.log():
            assert state.get(change.id) == change.before
            state[change.id] = change.after
        live = {id for id, text in state.items() if not json.loads(text or "{}")["deleted"]}
        assert live == rows.keys() == {row.id for row in store.rows(at=store.revision)}
        with project.database.read() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        index = project.index("crash")
        found, fresh = (
            index.search("lost card 17", 20),
            ExampleIndex(store).search("lost card 17", 20),
        )
        assert (found.ids == fresh.ids).all() and (found.similarity == fresh.similarity).all()


def kill_once(
    root: Path, file: Path, chance: random.Random, sign: signal.Signals, longest: float = 1.5
) -> list[str]:
    """Start a writer and kill it after some seconds; returns what it had said was done."""
    command = [sys.executable, str(CHECKOUT / "tests" / "crash_writer.py"), str(root), str(file)]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, longest))
        process.send_signal(sign)
        lines = process.stdout.read().splitlines(keepends=True)
        return [line.strip() for line in lines if line.endswith("\n")]  # the last may be cut


def test_a_killed_writer_loses_nothing_that_it_committed(root: Path) -> None:
    file, chance, said = big_file(root), random.Random(0), []
    for number in range(ROUNDS):
        sign = signal.SIGKILL if number % 3 else signal.SIGINT
        said += kill_once(root, file, chance, sign)
        project = promptlib.open(root)
        check_whole(project, file, said)
        project.database.close()
    project = promptlib.open(root)
    project.import_file("crash", file)
    check_whole(project, file, [*said, "imported"])
    project.database.close()


def write_and_read(root: Path, file: Path, seconds: float, each: int) -> tuple[list[str], int]:
    """Let writers and readers work at once; returns what was said to be done, and the reads."""
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}

    def start(script: str, argument: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(CHECKOUT / "tests" / script), str(root), argument],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    with promptlib.open(root) as project:
        project.import_file("crash", file)
    writers = [start("crash_writer.py", str(file)) for _ in range(each)]
    readers = [start("crash_reader.py", str(seconds)) for _ in range(each)]
    told = [reader.communicate() for reader in readers]
    for writer in writers:
        assert writer.poll() is None, writer.communicate()[1]
        writer.send_signal(signal.SIGKILL)
    said = [line.strip() for writer in writers for line in writer.communicate()[0].splitlines(True)
            if line.endswith("\n")]  # fmt: skip
    assert [reader.returncode for reader in readers] == [0] * each, told
    return said, sum(int(out) for out, _ in told)


def test_writers_and_readers_at_once_see_whole_rows(root: Path) -> None:
    file = big_file(root, 300)
    said, reads = write_and_read(root, file, seconds=4, each=2)
    assert reads and any(line.startswith("edited") for line in said)
    with promptlib.open(root) as project:
        check_whole(project, file, said)


def test_four_importers_at_once_make_one_import(root: Path) -> None:
    file = big_file(root)
    command = [sys.executable, "-m", "cli", "-C", str(root), "store", "import", "crash", str(file)]
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(subprocess.run, command, cwd=CHECKOUT, capture_output=True, text=True)
            for _ in range(4)
        ]
    talk = [run.result().stderr for run in runs]
    assert [run.result().returncode for run in runs] == [0] * 4, talk
    assert sum("3,000 added" in text for text in talk) == 1
    assert sum("3,000 unchanged" in text for text in talk) == 3
    project = promptlib.open(root)
    check_whole(project, file, ["imported"])
    assert project.store("crash").revision == 1
    project.database.close()


def test_a_first_import_that_fails_leaves_no_store(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(importing.RevisionWriter, "put", None)
        with pytest.raises(TypeError):
            project.build("tickets/route", "I lost my card")
    assert project.find_store("tickets") is None
    assert len(project.build("tickets/route", "I lost my card").examples) == 4


def test_writers_in_many_threads_wait_for_each_other(project: Project) -> None:
    store = project.store("tickets")
    before = store.revision
    with ThreadPoolExecutor(8) as pool:
        revisions = list(pool.map(lambda n: store.add(Example(f"thread {n}", "x")), range(80)))
    assert sorted(revisions) == list(range(before + 1, before + 81))


@pytest.mark.parametrize("fail_at", ["vectors", "rows"])
def test_an_import_that_fails_half_way_is_as_if_it_never_was(
    project: Project, monkeypatch: pytest.MonkeyPatch, fail_at: str
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError("disk full")

    file = big_file(project.root, 600)
    store = project.create_store("half")
    with monkeypatch.context() as patch:
        if fail_at == "vectors":
            patch.setattr(vectors_module, "put_vectors", full)
        else:
            patch.setattr(importing.RevisionWriter, "put", full)
        with pytest.raises(OSError, match="disk full"):
            store.import_file(file)
    assert len(store) == 0 and store.revision == 0
    report = store.import_file(file)
    assert report.added == 600 and report.coverage.texts == (600 if fail_at == "vectors" else 0)

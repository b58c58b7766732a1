"""The usage ledger: counts that add up, off the request's path, and never a text."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import promptlib
import promptlib.usage as ledger_module
from promptlib.errors import InputsError
from promptlib.project import Project
from promptlib.store.database import Database
from promptlib.usage import Counts, UsageLedger, read_usage

SECRET = "my very own card number 4929"


@pytest.fixture
def counting(root: Path) -> Iterator[Project]:
    project = promptlib.open(root, usage=True)
    project.index("tickets")
    yield project
    project.close()


def test_prompts_and_tokens_are_counted(counting: Project) -> None:
    built = [counting.build("tickets/route", f"I lost my card {n}") for n in range(3)]
    built += counting.build_many("tickets/route", ["top up", "pin"])
    built.append(counting.build("tickets/route", "no examples", k=0))
    rows = {row.key.k: row for row in counting.usage()}
    assert rows[4].counts.prompts == 5 and rows[0].counts.prompts == 1
    assert rows[4].counts.tokens == sum(prompt.tokens for prompt in built[:5])
    assert 0 < rows[4].counts.cacheable < rows[4].counts.tokens
    assert rows[4].key.template == "tickets/route" and rows[4].key.store == "tickets"
    assert rows[4].key.model == "gpt-4o-mini"


def test_outcomes_are_counted_by_prompt_or_manifest(counting: Project) -> None:
    prompt = counting.build("tickets/route", "lost")
    counting.record_outcome(prompt, correct=True)
    counting.record_outcome(prompt.manifest(), correct=False)
    counting.record_outcome(prompt.manifest(), correct=True)
    assert counting.usage()[0].counts == Counts(1, prompt.tokens, 0, 2, 1)
    odd = [{"template": {"name": ["a"]}}, {"k": 10**30}, {"k": -1}, {"model": "\ud800"}]
    for wrong in ({}, {"template": 3}, "prompt", None, *({**prompt.manifest(), **o} for o in odd)):
        with pytest.raises(InputsError, match="manifest"):
            counting.record_outcome(wrong, correct=True)  # type: ignore[arg-type]
    with pytest.raises(InputsError, match="True or False"):
        counting.record_outcome(prompt, correct="yes")  # type: ignore[arg-type]


def test_nothing_is_counted_unless_asked(project: Project, root: Path) -> None:
    project.build("tickets/route", "lost")
    assert project.usage() == []
    toml = root / "promptlib.toml"
    toml.write_text("usage = true\n" + toml.read_text())
    with promptlib.open(root) as counting:
        counting.build("tickets/route", "lost")
        assert len(counting.usage()) == 1
    with promptlib.open(root, usage=False) as silent:
        silent.build("tickets/route", "lost")
        assert silent.usage()[0].counts.prompts == 1


def test_no_text_is_ever_written(counting: Project, root: Path) -> None:
    prompt = counting.build("tickets/route", SECRET)
    counting.record_outcome(prompt, correct=True)
    counting.close()
    for file in root.rglob("*"):
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes(), file


def test_closing_writes_what_waits(counting: Project, root: Path) -> None:
    counting.build("tickets/route", "lost")
    counting.close()
    assert not [t for t in threading.enumerate() if t.name == "promptlib-usage"]
    assert read_usage(Database("sqlite:///.promptlib/promptlib.db", root=root))
    counting.build("tickets/route", "again")
    assert counting.usage()[0].counts.prompts == 2


def test_threads_and_processes_add_up(counting: Project, root: Path) -> None:
    threads = [
        threading.Thread(target=lambda: [counting.build("tickets/route", "x y") for _ in range(20)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    worker = multiprocessing.get_context("fork").Process(target=_build_and_close, args=(counting,))
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    assert sum(row.counts.prompts for row in counting.usage()) == 85


def _build_and_close(project: Project) -> None:
    for _ in range(5):
        project.build("tickets/route", "from a worker")
    project.close()


def test_counts_wait_for_a_locked_database(
    counting: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = counting.build("tickets/route", "lost")
    ledger = counting.ledger
    real, failing = ledger._write, [True]

    def write(summed: object) -> None:
        if failing:
            raise promptlib.StoreError("database is locked")
        real(summed)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger, "_write", write)
    with pytest.raises(promptlib.StoreError):
        ledger.flush()
    failing.clear()
    assert counting.usage()[0].counts == Counts(1, prompt.tokens)


def test_a_crowd_is_written_at_once(counting: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "CROWD", 3)
    monkeypatch.setattr(ledger_module, "PAUSE", 3600)
    done = threading.Event()
    real = counting.ledger._write
    monkeypatch.setattr(counting.ledger, "_write", lambda summed: (real(summed), done.set()))
    for _ in range(3):
        counting.build("tickets/route", "lost")
    assert done.wait(10)


def test_a_bundle_says_once_that_it_cannot_count(
    counting: Project, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from promptlib.bundle import make_bundle

    make_bundle(counting, tmp_path / "bundle")
    served = promptlib.open(tmp_path / "bundle")
    prompt = served.build("tickets/route", "lost")
    for _ in range(2):
        served.record_outcome(prompt, correct=True)
        served.ledger._flush_quietly()
    served.close()
    assert served.usage() == [] and caplog.text.count("usage isn't counted") == 1


def test_a_ledger_of_nothing_writes_nothing(tmp_path: Path) -> None:
    database = Database("sqlite:///none.db", root=tmp_path)
    ledger = UsageLedger(database)
    ledger.flush()
    ledger.close()
    assert not (tmp_path / "none.db").exists() and read_usage(database) == []


def test_closing_loses_nothing_that_comes_meanwhile(counting: Project) -> None:
    prompt = counting.build("tickets/route", "lost")
    going, recorded = threading.Event(), [0]

    def record() -> None:
        going.set()
        for _ in range(2_000):
            counting.record_outcome(prompt, correct=True)
            recorded[0] += 1

    thread = threading.Thread(target=record)
    thread.start()
    going.wait()
    for _ in range(5):
        counting.ledger.close()
    thread.join()
    assert sum(row.counts.correct for row in counting.usage()) == recorded[0] == 2_000


def test_without_a_thread_prompts_are_built_all_the_same(
    counting: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "promptlib-usage":
            raise RuntimeError("can't start new thread")
        real(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        counting.build("tickets/route", "lost")
    assert "can't start new thread" in caplog.text
    assert counting.usage()[0].counts.prompts == 1


def test_what_waits_is_bounded(counting: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "CROWD", 10)
    monkeypatch.setattr(counting.ledger, "_start", lambda: None)
    for number in range(55):
        counting.build("tickets/route", f"card {number}")
    assert len(counting.ledger._waiting) < 20
    assert counting.usage()[0].counts.prompts == 55 and len(counting.ledger._last) == 1

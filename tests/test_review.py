"""Looking at rows one by one: the queue, decisions, and the keys at a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import cli
from promptlib.audit.reviewing import Review, review_queue
from promptlib.curation.history import read_history
from promptlib.errors import ConfigError, ConflictError, ExampleError
from promptlib.example import Example
from promptlib.project import Project
from tests.test_store import exported


@pytest.fixture
def drafts(project: Project) -> Project:
    store = project.store("tickets")
    store.add(Example("it ate my card", "card_swallowed", id="d1", status="draft"))
    store.add(Example("no answer yet", id="d2", status="draft"))
    store.add(Example("ignore me", "card_lost", id="d3", status="rejected"))
    return project


def ids(project: Project, **options: object) -> list[str]:
    return [doubt.example.id for doubt in review_queue(project, "tickets", **options)]  # type: ignore[arg-type]


def test_drafts_are_asked_about_once(drafts: Project) -> None:
    store = drafts.store("tickets")
    assert {"d1", "d2"} <= {*ids(drafts, where=["status=draft"])}
    review = Review(store, by="Ada")
    review.approve(store.get("d1"))
    assert store.get("d1").status == "approved"
    with pytest.raises(ExampleError, match="output is missing"):
        review.approve(store.get("d2"))
    assert ids(drafts, where=["status=draft"]) == ["d2"]
    last = store.revisions(1)[0]
    assert (last.by, last.reason) == ("Ada", "review")


def test_what_was_looked_at_and_left_is_not_brought_up_again(drafts: Project) -> None:
    store = drafts.store("tickets")
    store.add(Example("lost my card!", "pin_forgotten", id="x"))
    store.add(Example("lost my card", "card_lost", id="y"))
    [item] = [
        d for d in review_queue(drafts, "tickets", finding="conflicts") if d.example.id == "x"
    ]
    assert "answered" in item.reasons[0] and {e.id for e in item.others} >= {"y"}
    before = exported(store)
    review = Review(store)
    for doubt in review_queue(drafts, "tickets", finding="conflicts"):
        review.approve(store.get(doubt.example.id))
    assert exported(store) == before and store.revisions(1)[0].edited == 1
    assert ids(drafts, finding="conflicts") == []
    store.update(replace(store.get("x"), output="card_lost"))
    store.update(replace(store.get("x"), output="pin_forgotten"))  # touched since: asked again
    assert "x" in ids(drafts, finding="conflicts")


def test_each_decision_can_be_taken_back(drafts: Project) -> None:
    store = drafts.store("tickets")
    before = exported(store)
    review = Review(store)
    assert review.undo() is None
    review.reject(store.get("d1"), "not a customer")
    review.relabel(store.get("d2"), "card_lost")
    assert store.get("d2").status == "approved" and store.revisions(2)[1].note == "not a customer"
    assert review.undo() == store.revision - 1 and review.undo() == store.revision - 3
    assert exported(store) == before


def test_a_corrected_answer_is_kept_as_a_preference(drafts: Project) -> None:
    store, row = drafts.store("tickets"), drafts.store("tickets").get("d1")
    Review(store).correct(row, replace(row, output="card_lost", status="approved"))
    [pair] = read_history(store).corrections
    assert (pair.rejected, pair.chosen) == ("card_swallowed", "card_lost")


def test_a_row_that_somebody_else_has_changed_is_not_written_over(drafts: Project) -> None:
    store, row = drafts.store("tickets"), drafts.store("tickets").get("d1")
    store.update(replace(row, input="another"), by="Bo")
    with pytest.raises(ConflictError, match="by Bo"):
        Review(store).reject(row)


def test_suggestions_are_followed(drafts: Project) -> None:
    store = drafts.store("tickets")
    store.add(*(Example("my card is lost", "card_lost", id=f"twin {n}") for n in range(3)))
    queue = review_queue(drafts, "tickets", finding="exact-duplicates")
    review = Review(store)
    for doubt in queue:
        if doubt.takes_out:
            review.follow(doubt)
    assert sum(f"twin {n}" in store for n in range(3)) == 1
    kept = next(doubt for doubt in queue if not doubt.takes_out)
    with pytest.raises(ConfigError, match="no suggestion"):
        review.follow(kept)


def by_key(terminal: int) -> bool:
    """Whether a program reads a terminal by keys; what was typed before it did is dropped."""
    return not termios.tcgetattr(terminal)[3] & termios.ICANON


def at_terminal(root: Path, keys: str, *arguments: str) -> tuple[str, int]:
    """Run the command at a terminal, and press keys one by one as it asks."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "-C", str(root), "store", "review", "tickets", *arguments],
        stdin=slave, stdout=slave, stderr=slave, close_fds=True,
    )  # fmt: skip
    os.close(slave)
    shown, sent, end = "", 0, time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([master], [], [], 0.3)[0]:
            try:
                shown += os.read(master, 4096).decode(errors="replace")
            except OSError:  # it has ended
                break
        elif shown.count("[q] quit") > sent and sent < len(keys) and by_key(master):
            os.write(master, keys[sent].encode())  # it waits for one
            sent += 1
    os.close(master)
    return shown, process.wait(timeout=10)


def test_keys_decide_at_a_terminal(drafts: Project) -> None:
    root = drafts.root
    drafts.close()
    shown, code = at_terminal(root, "?auq", "--where", "status=draft", "--where", "id=d1")
    assert code == 0, shown
    assert "1 of 1" in shown and "it ate my card" in shown
    assert "that was the last one" in shown and "took back: approved" in shown
    store = drafts.store("tickets")
    assert store.get("d1").status == "draft"
    assert [r.reason for r in store.revisions(2)][1] == "review"


def test_without_a_terminal_the_queue_can_be_listed(drafts: Project) -> None:
    root = drafts.root
    drafts.close()

    def run(*arguments: str):  # type: ignore[no-untyped-def]
        return CliRunner().invoke(cli, ["-C", str(root), "store", "review", "tickets", *arguments])

    assert run().exit_code == 2 and "there is no terminal" in run().stderr
    listed = json.loads(run("--list", "--where", "status=draft").stdout)
    assert {row["id"] for row in listed} >= {"d1", "d2"}
    assert "there is no finding 'labels'" in run("--list", "--finding", "labels").stderr

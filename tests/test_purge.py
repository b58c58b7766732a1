"""Rows that are destroyed leave no trace in any file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import promptlib
from cli.main import cli
from promptlib.errors import ConflictError, ExampleNotFoundError, ReplayError, StoreError
from promptlib.example import Example
from promptlib.project import Project
from promptlib.purge import purge
from promptlib.store.planning import Edit
from tests.test_store import exported

SECRET = "xylophonist zanzibar quetzalcoatl"
WORDS = [word.encode() for word in SECRET.split()]


def traces(root: Path) -> list[str]:
    """Name the files that hold any of the secret's words, written in any way of theirs."""
    found = []
    for file in root.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            wide = [word.decode().encode("utf-32-le") for word in WORDS]
            if any(word in data for word in (*WORDS, *wide)):
                found.append(file.name)
    return found


@pytest.fixture
def leaked(project: Project) -> Project:
    """Rows with the secret in each state: shown, edited away, rejected, deleted."""
    store = project.store("tickets")
    store.add(*(Example(f"{SECRET} {n}", "card_lost", id=f"s{n}") for n in range(4)))
    store.add(Example("first", SECRET, id="was"))
    store.update(replace(store.get("was"), output="card_lost"))
    store.update(replace(store.get("s1"), status="rejected"))
    store.delete("s2")
    for query in (SECRET, "lost my card"):
        project.build("tickets/route", query)
    project.index("tickets").close()
    return project


def test_no_file_has_a_trace_of_what_was_purged(leaked: Project) -> None:
    assert traces(leaked.root)
    store, before = leaked.store("tickets"), leaked.store("tickets").revision
    rest = [row.example for row in store.rows() if row.id not in ("s0", "s3", "was")]
    done = purge(leaked, "tickets", ["s0", "s1", "s2", "s3", "was"], by="Ada", note="request 7")
    assert traces(leaked.root) == []
    assert done.done.revision == before + 1 and list(store) == [e for e in rest if e.id != "s1"]
    newest = store.revisions(1)[0]
    assert (newest.by, newest.reason, newest.note) == ("Ada", "purge", "request 7")
    assert not any(
        e.id in ("s0", "s1", "s2", "s3", "was")
        for e in leaked.build("tickets/route", SECRET).examples
    )
    leaked.close()
    with promptlib.open(leaked.root) as again:
        shown = again.build("tickets/route", "something else")
        assert not {e.id for e in shown.examples} & {"s0", "s3", "was"}
    assert traces(leaked.root) == []


def test_what_was_said_of_it_is_forgotten_too(leaked: Project) -> None:
    store = leaked.store("tickets")
    ours, others = store.get("s0"), store.get("s1")
    store.edit([Edit(ours, replace(ours, output="x"))], note=SECRET)
    store.edit([Edit(others, replace(others, output="y"))], note="of another")
    both = [store.get("s0"), store.get("s1")]
    number = store.edit([Edit(e, replace(e, output="z")) for e in both], note="of both")
    done = purge(leaked, "tickets", ["s0"]).done
    assert done.notes == [number]
    assert [r.note for r in store.revisions(4)[1:]] == ["of both", "of another", ""]


def test_another_process_notices(leaked: Project) -> None:
    with promptlib.open(leaked.root) as other:
        assert "s0" in {hit.example.id for hit in other.search("tickets", SECRET, 2)}
        purge(leaked, "tickets", ["s0", "s1", "s2", "s3"])
        assert not {hit.example.id for hit in other.search("tickets", SECRET, 9)} & {"s0", "s3"}


def test_what_was_purged_cannot_be_taken_back_or_replayed(leaked: Project) -> None:
    store = leaked.store("tickets")
    prompt = leaked.build("tickets/route", SECRET)
    assert "s0" in {example.id for example in prompt.examples}
    purge(leaked, "tickets", ["s0"])
    with pytest.raises(ReplayError, match="example 's0' of store 'tickets'"):
        leaked.replay(prompt.manifest())
    with pytest.raises(StoreError, match="has changed nothing that could be taken back"):
        store.undo()
    with pytest.raises((StoreError, ConflictError)):
        store.undo(2)
    assert SECRET not in "".join(e.id for e in store) and exported(store)


def test_rows_that_never_were_are_refused(leaked: Project) -> None:
    before = exported(leaked.store("tickets"))
    with pytest.raises(ExampleNotFoundError, match="never had nobody"):
        purge(leaked, "tickets", ["s0", "nobody"])
    assert exported(leaked.store("tickets")) == before


def test_static_examples_of_published_templates_lose_it(project: Project) -> None:
    store = project.store("tickets")
    store.add(Example(SECRET, "card_lost", id="s"))
    (project.root / "templates" / "tickets" / "fixed.j2").write_text(
        "---\nexamples: {store: tickets, k: 1, static: {k: 60, strategy: random}}\n---\n"
        "{% for e in static_examples + examples %}{{ e.input }}\n{% endfor %}{{ query }}"
    )
    project.registry.publish("tickets/fixed", "first")
    assert SECRET in project.build("tickets/fixed@1", "x").text
    done = purge(project, "tickets", ["s"])
    assert done.done.versions == ["tickets/fixed@1"]
    assert SECRET not in project.build("tickets/fixed@1", "x").text
    project.close()
    assert traces(project.root) == []


def test_the_command_asks_and_says_what_it_leaves(leaked: Project) -> None:
    root = leaked.root
    leaked.close()

    def run(*arguments: str):  # type: ignore[no-untyped-def]
        return CliRunner().invoke(cli, ["-C", str(root), "store", "purge", "tickets", *arguments])

    assert run("s0").exit_code == 2 and "give --yes" in run("s0").stderr
    assert run().exit_code == 2
    done = run("s0", "s1", "s2", "s3", "was", "--yes", "--why", "request 7")
    assert done.exit_code == 0 and "destroyed 5 rows of tickets" in done.stderr
    assert traces(root) == []
    assert "nothing to destroy" in run("--where", "label=nothing", "--yes").stderr

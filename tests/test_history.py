"""What a store was, what was done to it, and taking it back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.asof import project_at
from promptlib.embedding.embedder import HashingEmbedder
from promptlib.errors import ConflictError, ExampleNotFoundError, StoreError
from promptlib.example import Example
from promptlib.project import Project
from promptlib.store.database import Database
from promptlib.store.planning import Edit, Planned
from promptlib.store.settings import StoreSettings
from promptlib.store.store import ExampleStore
from tests.conftest import write_rows
from tests.test_store import exported

FRESH = Path("fresh")


def make(folder: Path) -> ExampleStore:
    database = Database("sqlite:///store.db", root=folder)
    return ExampleStore.create(database, "tickets", HashingEmbedder(dim=8))


def snapshot(store: ExampleStore, at: int | None = None) -> list[Example]:
    return [row.example for row in store.rows(at=at)]


def test_what_is_taken_back_is_not_taken_back_again(store: ExampleStore) -> None:
    number = store.add(Example("q", "x", id="a"))
    store.undo()
    with pytest.raises(StoreError, match=f"revision {number} is taken back"):
        store.undo(number)


STEP = st.tuples(
    st.sampled_from(["add", "edit", "delete", "reject", "undo", "undo any"]),
    st.integers(0, 5), st.integers(0, 3),
)  # fmt: skip


def step(store: ExampleStore, what: str, row: int, value: int) -> None:
    id = f"row {row}"
    if what.startswith("undo"):
        last = store.revision
        store.undo(last if what == "undo" else value * last // 4)
    elif what == "add":
        store.add(Example(f"text {value}", f"output {value}", id=id))
    elif what == "edit":
        store.update(replace(store.get(id), output=f"output {value}"))
    elif what == "reject":
        store.update(replace(store.get(id), status="rejected"))
    else:
        store.delete(id)


@given(st.lists(STEP, max_size=12))
def test_every_revision_can_be_read_and_taken_back(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    store = make(tmp_path_factory.mktemp("store"))
    known = {0: exported(store)}
    for what, row, value in steps:
        before = store.revision
        try:
            step(store, what, row, value)
        except (StoreError, ExampleNotFoundError):
            assert store.revision == before and exported(store) == known[before]
            continue
        known[store.revision] = exported(store)
        assert store.revision - before in (0, 1)
    states = {number: snapshot(store, number) for number in known}
    for number, text in known.items():
        wanted = sorted(states[number], key=lambda e: e.id)
        assert states[number] == wanted
        assert [f'"{e.id}"' in text for e in wanted] == [True] * len(wanted)
        assert len(wanted) == text.count("\n")
    # Back to the beginning, one revision after the other.
    last = store.revision
    for number in range(last, 0, -1):
        store.undo(number)
        assert exported(store) == known[number - 1]
    assert [r.number for r in store.revisions()] == list(range(store.revision, -1, -1))
    store.database.close()


def test_the_log_counts_what_a_revision_did(store: ExampleStore) -> None:
    store.add(*(Example(f"text {n}", "x", id=f"r{n}") for n in range(4)), by="Ada", note="a start")
    store.update(replace(store.get("r0"), output="y"))
    store.delete("r1", "r2")
    store.undo(by="Bo")
    newest, deleted, edited, added, created = store.revisions()
    assert (newest.by, newest.reason, newest.added, newest.removed) == ("Bo", "undo 3", 2, 0)
    assert (deleted.removed, deleted.added, edited.edited) == (2, 0, 1)
    assert (added.by, added.note, added.added, added.edited) == ("Ada", "a start", 4, 0)
    assert created.reason == "create" and not created.settings
    assert store.revisions(1) == [newest]


def test_an_undo_is_refused_with_the_list_of_what_came_later(store: ExampleStore) -> None:
    store.add(Example("a", "x", id="a"), Example("b", "x", id="b"))
    store.update(replace(store.get("a"), output="y"), by="Ada")
    with pytest.raises(ConflictError, match=r"1 of its 2 rows: a \(revision 2, by Ada\)"):
        store.undo(1)
    assert len(store) == 2
    store.undo(2)
    store.undo(1)  # what the two left behind is as the first one left it
    assert len(store) == 0


def test_what_cannot_be_taken_back_says_so(store: ExampleStore) -> None:
    with pytest.raises(StoreError, match="nothing has been done"):
        store.undo()
    store.add(Example("a", "x"))
    with pytest.raises(StoreError, match="there is no revision 7: the store is at 1"):
        store.undo(7)
    with pytest.raises(StoreError, match="revision 0 has changed nothing"):
        store.undo(0)
    with pytest.raises(StoreError, match="there is no revision 2"):
        list(store.rows(at=2))


def test_an_import_that_was_undone_can_be_made_again(store: ExampleStore, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [{"id": "a", "input": "x", "output": "y"}])
    store.import_file(file)
    before, settings = exported(store), store.settings
    store.undo()
    assert exported(store) == "" and store.settings.label is None
    assert store.import_file(file).updated == 1
    assert exported(store) == before and store.settings == settings


def test_settings_are_taken_back_alone_and_kept_where_they_changed_since(
    store: ExampleStore,
) -> None:
    def with_(**values: object) -> Callable[..., Planned]:
        return lambda _, state: Planned([], state.settings.model_copy(update=values))

    store.write(with_(description="one"), reason="describe")
    store.write(with_(language="en"), reason="speak")
    store.undo(1)
    assert store.settings == StoreSettings(language="en")
    store.write(with_(language="de"), reason="speak")
    with pytest.raises(ConflictError, match="the store's language has been changed since"):
        store.undo(2)
    assert [r.settings for r in store.revisions()] == [True, True, True, True, False]


def test_a_second_writer_is_told_what_the_first_has_changed(store: ExampleStore) -> None:
    store.add(Example("a", "x", id="a"), Example("b", "x", id="b"))
    seen = store.get("a")
    store.update(replace(seen, output="theirs"), by="Ada")
    mine = [Edit(seen, replace(seen, output="mine")), Edit(store.get("b"), None)]
    with pytest.raises(ConflictError, match=r"a \(revision 2, by Ada\); look at them again"):
        store.edit(mine)
    assert store.get("a").output == "theirs" and "b" in store
    store.edit(mine, force=True)
    assert store.get("a").output == "mine" and "b" not in store
    with pytest.raises(ConflictError):
        store.edit([Edit(mine[1].before, replace(seen, id="b"))])


def test_a_row_is_shown_as_it_was(store: ExampleStore) -> None:
    store.add(Example("a", "x", id="a"))
    store.update(replace(store.get("a"), output="y"))
    assert store.get("a", at=1).output == "x" and store.get("a", at=2).output == "y"
    with pytest.raises(ExampleNotFoundError, match="had no 'a' at revision 0"):
        store.get("a", at=0)


def test_a_prompt_is_built_from_the_store_as_it_was(project: Project) -> None:
    asked = ("tickets/route", "my card is gone")
    project.store("tickets")
    first = project.build(*asked)
    shown = [example.id for example in first.examples]
    store = project.store("tickets")
    revision = store.revision
    store.delete(*shown)
    store.add(Example("my card is gone", "elsewhere"))
    now = project.build(*asked)
    with project_at(project, "tickets", revision) as past:
        then = past.build(*asked)
        assert past.store("tickets").revision == revision
    assert then.text == first.text and then.manifest() == first.manifest() != now.manifest()
    assert project.replay(then.manifest()).text == first.text
    assert project.store("tickets").revision == revision + 2 and project.build(*asked) == now
    with (
        pytest.raises(StoreError, match="there is no revision 99"),
        project_at(project, "tickets", 99),
    ):
        pass


def test_a_curators_work_outlives_its_source_and_can_all_be_taken_back(
    store: ExampleStore, tmp_path: Path
) -> None:
    rows = [
        {"input": f"row {n} of {n % 7}", "output": f"label {n % 7}", "id": f"r{n}"}
        for n in range(300)
    ]
    file = write_rows(tmp_path / "source.jsonl", rows)
    store.import_file(file)
    states = [exported(store)]

    def edit(numbers: range, **values: object) -> None:
        seen = [store.get(f"r{n}") for n in numbers]
        store.edit([Edit(row, replace(row, **values) if values else None) for row in seen])  # type: ignore[arg-type]
        states.append(exported(store))

    edit(range(100), output="mended")
    edit(range(100, 150), status="rejected")
    edit(range(150, 200))
    again = store.import_file(file)
    assert exported(store) == states[-1] and again.kept == 200 and again.unchanged == 100
    for before in reversed(states[:-1]):
        store.undo(states.index(before) + 2)
        assert exported(store) == before

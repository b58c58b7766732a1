"""The index is a replica: whatever happens, it answers like a fresh one built from the store."""

import os
import random
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptlib.embedding.embedder import HashingEmbedder
from promptlib.errors import ConfigError, StaleIndexError
from promptlib.example import Example
from promptlib.filtering import Where
from promptlib.index.lexical import terms_of
from promptlib.index.vector import ExampleIndex
from promptlib.store.database import Database
from promptlib.store.store import ExampleStore

WORDS = ["card", "pin", "cash", "top", "up", "lost", "fee", "rate", "bank", "app", "code", "new"]


def sentence(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(1, 6)))


def fill(store: ExampleStore, count: int, seed: int = 0) -> None:
    chance = random.Random(seed)
    rows = [
        Example(sentence(chance), "x", chance.choice("abc"), id=f"{n:04}") for n in range(count)
    ]
    chance.shuffle(rows)
    store.add(*rows)


QUERIES = ("lost card", "new pin code", "zebra", "fee")


def answers(index: ExampleIndex, k: int = 10) -> list[object]:
    """What an index says: nearest rows, best matching rows, filtered rows and counts."""
    given: list[object] = []
    with index.store.database.read() as connection:
        state = index.refresh(connection)
        labelled = index.allowed(state, connection, Where.parse({"label": ["a", "relabelled"]}))
        short = index.allowed(state, connection, Where.parse(["output=x", "label!=b"]))
        for query in QUERIES:
            vector = index.embedder.embed([query], kind="query")[0]
            words = state.word_scores(state.known_terms(terms_of(query)))
            for mask in (None, labelled, short):
                near = state.nearest(vector, k, mask)
                for begun in (*state.scan(vector[None], k), *state.scan(vector[None], k + 1)):
                    again = state.nearest(vector, k, mask, begun)
                    assert again.ids.tolist() == near.ids.tolist()
                given += [near.ids.tolist(), near.labels.tolist(), near.similarity.tolist()]
                best = state.joined(near, state.matching(words, k, mask), vector, words)
                given += [best.ids.tolist(), best.lexical.tolist()]
    return [*given, state.volume]


def fresh(store: ExampleStore) -> list[object]:
    return answers(ExampleIndex(store))


def test_the_nearest_are_found_exactly_and_ties_break_by_id(store: ExampleStore) -> None:
    fill(store, 400)
    rows = sorted((row.id, row.example.input) for row in store.rows())
    vectors = store.embedder.embed([text for _, text in rows]).astype(np.float16)
    query = store.embedder.embed(["lost card fee"], kind="query")[0]
    cosine = (vectors.astype(np.float64) @ query.astype(np.float64)).round(5)
    expected = sorted(zip(-cosine, (id for id, _ in rows), strict=True))
    index = ExampleIndex(store)
    for k in (1, 7, 64, 399, 400, 1000):
        found = index.search("lost card fee", k)
        assert list(zip(-found.similarity, found.ids, strict=True)) == expected[:k]


def test_many_equal_rows_are_cut_by_id(store: ExampleStore) -> None:
    ids = [f"{n:03}" for n in range(300)]
    store.add(*(Example("the same text", "x", id=id) for id in random.Random(1).sample(ids, 300)))
    assert list(ExampleIndex(store).search("the same text", 20).ids) == ids[:20]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from("aaueedr"), st.integers(0, 10**6)), max_size=12))
def test_after_any_writes_it_answers_like_a_fresh_one(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    database = Database("sqlite:///db", root=tmp_path_factory.mktemp("index"))
    store = ExampleStore.create(database, "s", HashingEmbedder(64))
    fill(store, 150)
    index = ExampleIndex(store, folder=database.path.parent / "index")
    index.refresh()
    for number, (step, seed) in enumerate(steps):
        chance = random.Random(seed)
        ids = [row.id for row in store.rows()]
        id = chance.choice(ids)
        if step == "a":
            store.add(Example(sentence(chance), "x", f"new {seed % 3}", id=f"n{number}"))
        elif step == "u":
            store.update(Example(sentence(chance), "y", "u", id=id))
        elif step == "r":
            store.update(replace(store.get(id), status=chance.choice(["rejected", "approved"])))
        elif step == "d":
            store.delete(id)
        else:
            store.update(replace(store.get(id), label="relabelled"))
        assert answers(index) == fresh(store)
    reopened = ExampleIndex(store, folder=database.path.parent / "index")
    assert answers(reopened) == fresh(store)
    database.close()


def test_a_mask_is_of_the_rows_that_are_there(store: ExampleStore) -> None:
    """Of a base's rows it remembers what they meet, not that they live, nor for which snapshot."""
    store.add(*(Example(f"text {n}", "x", id=f"r{n}") for n in range(100)))
    store.add(Example("bonjour", "x", metadata={"lang": "fr"}, id="fr"))
    index, where = ExampleIndex(store), Where.parse(["lang=fr"])

    def found() -> int:
        with store.database.read() as connection:
            state = index.refresh(connection)
            return int((index.allowed(state, connection, where) & state.alive).sum())

    with store.database.read() as old:
        before = index.refresh(old)
        store.delete("r7")
        assert found() == 1
        assert (
            int((index.allowed(before, old, Where.parse(["output=x"])) & before.alive).sum()) == 101
        )
    store.delete("fr")
    with pytest.raises(ConfigError, match="no row has a field 'lang'"):
        found()


def test_few_changes_keep_the_base_and_many_make_a_new_one(
    store: ExampleStore, tmp_path: Path
) -> None:
    fill(store, 200)
    index = ExampleIndex(store, folder=tmp_path / "index")
    base = index.refresh().base
    store.add(*(Example(f"late {n}", "x") for n in range(5)))
    store.delete("0003")
    state = index.refresh()
    assert state.base is base and state.changed == 6 and len(state) == 204
    store.add(*(Example(f"later {n}", "x") for n in range(70)))
    index.refresh()
    index.close()  # waits for the new base
    state = index.refresh()
    assert state.base is not base and state.changed == 0
    folders = [entry for entry in os.listdir(tmp_path / "index") if entry.startswith("4-")]
    assert len(folders) == 1 and answers(index) == fresh(store)


def test_it_is_opened_from_its_files_not_built_again(
    store: ExampleStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 200)
    folder = tmp_path / "index"
    expected = answers(ExampleIndex(store, folder=folder))
    store.add(Example("one more card", "x"))
    monkeypatch.setattr(ExampleIndex, "_built", None)  # building would fail
    opened = ExampleIndex(store, folder=folder)
    assert opened.refresh().changed == 1 and answers(opened) == fresh_after(store, monkeypatch)
    assert expected != answers(opened)


def fresh_after(store: ExampleStore, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    monkeypatch.undo()
    return fresh(store)


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "facts", "pointer", "all"])
def test_damaged_files_are_never_believed(
    store: ExampleStore, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, 120)
    folder = tmp_path / "index"
    ExampleIndex(store, folder=folder).refresh()
    here = folder / (folder / "current").read_text()
    victim = here / "vectors.faiss"
    data = bytearray(victim.read_bytes())
    if damage == "missing":
        victim.unlink()
    elif damage == "cut":
        victim.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[len(data) // 2] ^= 0x40
        victim.write_bytes(data)
    elif damage == "facts":
        (here / "base.json").write_text("{")
    elif damage == "pointer":
        (folder / "current").write_text("../../elsewhere")
    else:
        shutil.rmtree(folder)
    opened = ExampleIndex(store, folder=folder)
    assert answers(opened) == fresh(store)
    assert caplog.text.count("built again") == (damage != "all")  # said once
    assert answers(ExampleIndex(store, folder=folder)) == fresh(store)


def copy(store: ExampleStore, name: str) -> Path:
    """Copy the database as a backup would: closed, so that nothing is left in its log."""
    store.database.close()
    target = store.database.path.with_name(name)
    shutil.copyfile(store.database.path, target)
    return target


def test_an_older_copy_of_the_database_gets_its_own_answers(
    store: ExampleStore, tmp_path: Path
) -> None:
    fill(store, 100)
    older = copy(store, "older.db")
    store.add(*(Example(f"newer card {n}", "x") for n in range(20)))
    folder = tmp_path / "index"
    index = ExampleIndex(store, folder=folder)
    newer_answers = answers(index)
    store.database.close()
    shutil.copyfile(older, store.database.path)
    assert answers(index) == fresh(store) != newer_answers  # also in a process that goes on
    assert answers(ExampleIndex(store, folder=folder)) == fresh(store)


def test_another_history_with_the_same_revision_number_is_seen(
    store: ExampleStore, tmp_path: Path
) -> None:
    fill(store, 100)
    fork = copy(store, "fork.db")
    folder = tmp_path / "index"
    store.add(Example("lost card here", "x"))
    index = ExampleIndex(store, folder=folder)
    index.refresh()
    store.database.close()
    shutil.copyfile(fork, store.database.path)
    store.add(Example("lost card there", "y"))
    assert store.revision == 2 and answers(index) == fresh(store)
    assert answers(ExampleIndex(store, folder=folder)) == fresh(store)


def test_a_new_store_of_the_same_name_is_another_store(
    tmp_path: Path, embedder: HashingEmbedder
) -> None:
    folder = tmp_path / "index"
    for number in range(2):
        database = Database(f"sqlite:///{number}.db", root=tmp_path)
        store = ExampleStore.create(database, "s", embedder)
        fill(store, 60, seed=number)
        assert answers(ExampleIndex(store, folder=folder)) == fresh(store)
        database.close()


def test_another_embedder_gets_vectors_of_its_own(store: ExampleStore, tmp_path: Path) -> None:
    fill(store, 80)
    folder = tmp_path / "index"
    ExampleIndex(store, folder=folder).refresh()
    wider = ExampleStore(store.database, store.name, HashingEmbedder(128))
    index = ExampleIndex(wider, folder=folder)
    state = index.refresh()
    assert state.pending == 80 and len(index.search("lost card")) == 0
    reports: list[tuple[int, int]] = []
    made = index.embed_missing(lambda done, total: reports.append((done, total)))
    assert made == len({row.text_hash for row in store.rows()}) and reports[-1] == (80, 80)
    assert index.refresh().pending == 0 and answers(index) == fresh(wider)


def test_vectors_that_another_process_makes_are_found(store: ExampleStore) -> None:
    fill(store, 10)
    wider = ExampleStore(store.database, store.name, HashingEmbedder(128))
    index = ExampleIndex(wider)
    assert index.refresh().pending == 10
    wider.embed_missing()
    index._looked -= 10  # as if a second had passed
    assert index.refresh().pending == 0


def test_an_index_that_takes_long_to_build_is_not_built_every_second(store: ExampleStore) -> None:
    fill(store, 10)
    index = ExampleIndex(ExampleStore(store.database, store.name, HashingEmbedder(128)))
    state = index.refresh()
    index._took = 100.0
    index._looked -= 500  # half of what it waits then
    assert index.refresh() is state
    index.embed_missing()  # by this process: it knows that there is something to find
    assert index.refresh().pending == 0


def test_missing_vectors_in_a_read_only_project_are_an_error(
    store: ExampleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 10)
    monkeypatch.setattr(Database, "read_only", property(lambda self: True))
    index = ExampleIndex(ExampleStore(store.database, store.name, HashingEmbedder(128)))
    with pytest.raises(StaleIndexError, match="10 rows of store 'tickets' have no vectors"):
        index.embed_missing()


def test_an_older_snapshot_is_exchanged_not_rebuilt(
    store: ExampleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 100)
    index = ExampleIndex(store)
    index.refresh()
    with store.database.read() as old:
        store.state(old)  # the snapshot begins here
        store.add(Example("written meanwhile", "x"))
        newer = index.refresh()
        monkeypatch.setattr(ExampleIndex, "_built", None)
        assert index.refresh(old) is newer


def test_readers_go_on_while_rows_are_written(store: ExampleStore) -> None:
    fill(store, 200)
    index = ExampleIndex(store)
    index.refresh()
    wrong: list[object] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            found = index.search("lost card", 5)
            if len(found) != 5 or list(found.similarity) != sorted(found.similarity)[::-1]:
                wrong.append(found)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(30):
        store.add(Example(f"lost card number {number}", "x"))
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong and answers(index) == fresh(store)


def test_a_sample_is_drawn_from_all_rows_by_its_seed(store: ExampleStore) -> None:
    fill(store, 300)
    index = ExampleIndex(store)
    query = store.embedder.embed(["lost card"], kind="query")[0]
    one, two = (index.refresh().sample(query, 50, seed) for seed in (1, 2))
    assert len(set(one.ids)) == 50 and one.ids.tolist() != two.ids.tolist()
    again = ExampleIndex(store).refresh().sample(query, 50, 1)
    assert again.ids.tolist() == one.ids.tolist()
    drawn = {id for seed in range(60) for id in index.refresh().sample(query, 50, seed).ids}
    assert len(drawn) == 300


def test_a_forked_child_answers_too(store: ExampleStore, tmp_path: Path) -> None:
    fill(store, 200)
    index = ExampleIndex(store, folder=tmp_path / "index")
    expected = answers(index)
    child = os.fork()
    if child == 0:
        try:
            store.add(Example("from the child", "x", id="child"))
            os._exit(0 if answers(index)[0] == fresh(store)[0] else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert "child" in store and answers(index) == fresh(store) != expected

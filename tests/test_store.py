import io
import json
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select, update

from promptlib.embedding.embedder import HashingEmbedder
from promptlib.errors import (
    BadExamplesError,
    ConfigError,
    ExampleNotFoundError,
    StoreError,
    StoreNotFoundError,
)
from promptlib.example import Example
from promptlib.files.writing import save_examples, write_examples
from promptlib.store.database import Database
from promptlib.store.migrations import NEWEST, migrate
from promptlib.store.settings import StoreSettings
from promptlib.store.store import ExampleStore
from promptlib.store.tables import changes, schema_version, vectors
from promptlib.store.vectors import BATCH, _parts
from tests.conftest import DATA, ROWS, write_rows
from tests.test_example import examples


def exported(store: ExampleStore) -> str:
    out = io.BytesIO()
    write_examples(store, out, "jsonl")
    return out.getvalue().decode()


def test_add_get_update_delete(store: ExampleStore) -> None:
    example = Example("I lost my card", "card_lost")
    assert store.add(example) == 1
    assert store.get(example.id) == example and example.id in store and len(store) == 1
    changed = replace(example, output="card_stolen")
    assert store.update(changed, by="Ada") == 2
    assert store.get(example.id).output == "card_stolen"
    assert store.update(changed) == 2  # nothing to change is no revision
    assert store.delete(example.id) == 3
    assert len(store) == 0 and example.id not in store
    assert [(c.revision, c.reason) for c in store.log(example.id)] == [
        (1, "add"), (2, "edit"), (3, "delete"),
    ]  # fmt: skip
    assert store.log()[1].by == "Ada"
    assert json.loads(store.log()[2].after or "")["deleted"]


def test_two_new_rows_of_one_id_are_refused(store: ExampleStore) -> None:
    with pytest.raises(StoreError, match="two of the examples have one id"):
        store.add(Example("a", "x", id="r"), Example("b", "x", id="r"))
    assert store.revision == 0


def test_an_id_never_changes_on_edit(store: ExampleStore) -> None:
    example = Example("q", "x")
    store.add(example)
    store.update(replace(example, input="another question"))
    assert store.get(example.id).input == "another question"


def test_what_is_not_there_is_named(store: ExampleStore, database: Database) -> None:
    store.add(Example("q", "x", id="abcdef"))
    with pytest.raises(ExampleNotFoundError, match=r"no example 'abcdxx' .* near it: abcdef"):
        store.get("abcdxx")
    with pytest.raises(StoreNotFoundError, match="no store 'tickts'; did you mean 'tickets'"):
        ExampleStore(database, "tickts", store.embedder).state()
    with pytest.raises(StoreError, match="there is a store 'tickets' already"):
        ExampleStore.create(database, "tickets", store.embedder)
    with pytest.raises(StoreError, match="has abcdef already"):
        store.add(Example("q", "x", id="abcdef"))
    with pytest.raises(StoreError, match="can't be a store's name"):
        ExampleStore.create(database, "../x", store.embedder)


def test_a_deleted_id_can_be_added_again(store: ExampleStore) -> None:
    store.add(Example("q", "x", id="a"))
    store.delete("a")
    store.add(Example("q", "y", id="a"))
    assert store.get("a").output == "y"


def test_import_says_what_it_did_and_twice_changes_nothing(
    store: ExampleStore, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [*ROWS, ROWS[0], {"input": "to do"}])
    report = store.import_file(path)
    assert (report.added, report.repeats, report.drafts) == (13, 1, 1)
    assert report.label_guess == "output" and report.revision == 1
    again = store.import_file(path)
    assert again.unchanged == 13 and again.revision == 1 and again.coverage.texts == 0


def test_bad_lines_import_nothing(store: ExampleStore, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [*ROWS, {"input": ""}])
    with pytest.raises(BadExamplesError):
        store.import_file(path)
    assert len(store) == 0 and store.revision == 0
    assert len(store.import_file(path, skip_bad=True).problems) == 1
    assert len(store) == len(ROWS)


@given(st.lists(examples, max_size=6, unique_by=lambda example: example.id))
def test_export_then_import_is_the_identity(
    tmp_path_factory: pytest.TempPathFactory, given_examples: list[Example]
) -> None:
    folder = tmp_path_factory.mktemp("identity")
    embedder = HashingEmbedder(8)
    stores = []
    for name in ("one", "two"):
        database = Database("sqlite:///db", root=folder / name)
        stores.append(ExampleStore.create(database, "s", embedder))
    one, two = stores
    if given_examples:
        one.add(*given_examples)
        save_examples(one, folder / "out.jsonl")
        two.import_file(folder / "out.jsonl")
    assert exported(one) == exported(two)
    assert [e.id for e in one] == sorted(e.id for e in given_examples)
    for store in stores:
        store.database.close()


def test_status_survives_export_and_import(store: ExampleStore, tmp_path: Path) -> None:
    store.add(Example("a", "x"), Example("b", status="draft"), Example("c", "x", status="rejected"))
    save_examples(store, tmp_path / "out.jsonl")
    before = exported(store)
    for example in store.list():
        store.delete(example.id)
    store.import_file(tmp_path / "out.jsonl")
    assert exported(store) == before


def test_the_log_tells_every_state_of_every_row(store: ExampleStore, tmp_path: Path) -> None:
    store.import_file(write_rows(tmp_path / "rows.jsonl", ROWS))
    first = store.list()[0]
    store.update(replace(first, output="other"))
    store.delete(store.list()[1].id)
    states: dict[str, str | None] = {}
    for change in store.log():
        assert states.get(change.id) == change.before
        states[change.id] = change.after
    now = {row.id: row for row in store.rows()}
    live = {id: json.loads(state or "") for id, state in states.items()}
    live = {id: state for id, state in live.items() if not state["deleted"]}
    assert live.keys() == now.keys()
    assert all(live[id]["content"] == row.content for id, row in now.items())


def test_a_text_is_embedded_once_whatever_store_or_edit_it_comes_from(
    store: ExampleStore, database: Database
) -> None:
    class Counting(HashingEmbedder):
        texts = 0

        def embed(self, texts, **options):  # type: ignore[no-untyped-def]
            self.texts += len(texts)
            return super().embed(texts, **options)

    embedder = Counting()
    one = ExampleStore.create(database, "one", embedder)
    two = ExampleStore.create(database, "two", embedder)
    example = Example("the same text", "x")
    one.add(example, Example("the same text", "y"))
    two.add(example)
    two.update(replace(example, output="z"))
    assert embedder.texts == 1
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(vectors)) == 1
        blob = connection.scalar(select(vectors.c.vector))
    stored = np.frombuffer(blob, "<f2")
    assert np.abs(stored - embedder.embed(["the same text"])[0]).max() < 1e-3


def test_labels(database: Database, tmp_path: Path, embedder: HashingEmbedder) -> None:
    by_field = ExampleStore.create(database, "f", embedder, StoreSettings(label="intent"))
    by_field.add(Example("a", "long answer", metadata={"intent": "greet"}))
    assert by_field.stats().volume.classes == {"greet": 1}
    late = ExampleStore.create(database, "late", embedder)
    late.add(Example("added by hand", "card_lost"))
    late.import_file(write_rows(tmp_path / "rows.jsonl", ROWS))
    assert late.stats().volume.classes["card_lost"] == 5  # the row from before the decision too


def test_stats_count_what_prompts_may_show(store: ExampleStore) -> None:
    store.add(Example("a", "x", "l"), Example("a", "y", "l"), Example("b", status="draft"))
    store.add(Example("c", "x", "m", id="gone"))
    store.delete("gone")
    stats = store.stats()
    assert stats.statuses == {"approved": 2, "draft": 1} and stats.deleted == 1
    assert (stats.volume.rows, stats.volume.distinct) == (2, 1)
    assert stats.volume.classes == {"l": 2}


def test_settings_come_from_store_toml(tmp_path: Path) -> None:
    path = tmp_path / "store.toml"
    assert StoreSettings.from_toml(path) == StoreSettings()
    path.write_text('label = "output"\nlanguage = "en"\n')
    assert StoreSettings.from_toml(path).label == "output"
    path.write_text('lable = "output"\n')
    with pytest.raises(ConfigError, match=r"store.toml: unknown key 'lable'; did you mean 'label'"):
        StoreSettings.from_toml(path)
    path.write_text("label = 3\n")
    with pytest.raises(ConfigError, match="label: input should be a valid string, not 3"):
        StoreSettings.from_toml(path)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("promptlib.db", "is not a URL"),
        ("postgresql://me:secret@host/db", "only SQLite is supported so far"),
        ("sqlite://", "needs a database file"),
    ],
)
def test_other_databases_are_refused_in_one_line(url: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        Database(url)
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)


def test_a_file_that_is_no_database(tmp_path: Path, embedder: HashingEmbedder) -> None:
    (tmp_path / "db").write_text("this is a text file, and a long one at that\n" * 50)
    with pytest.raises(StoreError, match="db is not a sound SQLite database"):
        ExampleStore.create(Database("sqlite:///db", root=tmp_path), "s", embedder)


def test_a_damaged_database_is_one_clear_line(store: ExampleStore, database: Database) -> None:
    store.add(*(Example(f"text {n} " + "x" * 500, "y") for n in range(500)))
    database.close()
    with database.path.open("r+b") as file:
        file.seek(20_000)
        file.write(os.urandom(200_000))
    with pytest.raises(StoreError, match=r"put a backup in its place|is damaged"):
        database.check()
        store.list()


def test_another_programs_database_is_left_alone(tmp_path: Path, embedder: HashingEmbedder) -> None:
    with closing(sqlite3.connect(tmp_path / "db")) as other, other:
        other.execute("CREATE TABLE mine (x)")
    before = (tmp_path / "db").read_bytes()
    with pytest.raises(StoreError, match="db is another program's database"):
        ExampleStore.create(Database("sqlite:///db", root=tmp_path), "s", embedder)
    assert (tmp_path / "db").read_bytes() == before


def test_a_newer_database_is_refused_and_an_older_one_lifted(
    store: ExampleStore, database: Database, tmp_path: Path
) -> None:
    lifted = []
    with database.write() as connection:
        migrate(connection, {NEWEST + 1: lambda connection: lifted.append("once")})
        migrate(connection, {NEWEST + 1: lambda connection: lifted.append("twice")})
        connection.execute(update(schema_version).values(promptlib="9.1"))
    assert lifted == ["once"]
    database.close()
    with (
        pytest.raises(StoreError, match=r"needs promptlib 9\.1, or a later one"),
        database.read(),
    ):
        pass
    again = Database("sqlite:///promptlib.db", root=tmp_path)
    with pytest.raises(StoreError, match=f"has schema {NEWEST + 1}"), again.read():
        pass


@pytest.mark.parametrize("asked_by", ["the driver", "SQLAlchemy", "both"])
def test_each_read_is_one_snapshot_on_a_connection_that_is_kept(
    store: ExampleStore, asked_by: str
) -> None:
    def seen(connection: Connection) -> set[int]:
        found = set()
        if asked_by != "SQLAlchemy":
            found.add(store.position(connection)[2])
        if asked_by != "the driver":
            found.add(store.state(connection).revision)
        return found

    other = Database("sqlite:///" + str(store.database.path))
    elsewhere = ExampleStore(other, store.name, store.embedder)
    kept = []
    for number in range(1, 4):
        with store.database.read() as connection:
            kept.append(connection)
            assert seen(connection) == {number - 1}
            elsewhere.add(Example(f"text {number}", "x"))
            assert seen(connection) == {number - 1}
    assert kept[0] is kept[1] is kept[2]
    other.close()


def test_a_connection_that_something_went_wrong_with_is_not_kept(store: ExampleStore) -> None:
    with pytest.raises(StoreError), store.database.read() as broken:
        broken.exec_driver_sql("SELECT nothing FROM nowhere")
    with store.database.read() as next_one:
        assert broken.closed and next_one is not broken
    with store.database.read() as open_one:
        store.database.close()  # another thread does
    assert next_one.closed or open_one.closed
    with store.database.read() as connection:
        assert connection not in (next_one, open_one) and store.position(connection)[2] == 0


def _columns(path: Path) -> dict[str, list[tuple[str, str, int]]]:
    """Say of each table which columns it has: name, type, whether it may not be null."""
    with closing(sqlite3.connect(path)) as raw:
        names = [row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        found = {name: list(raw.execute(f"PRAGMA table_info({name})")) for name in names}
    return {name: sorted(row[1:4] for row in rows) for name, rows in found.items()}


def test_the_first_schema_becomes_the_newest_and_keeps_its_rows(
    tmp_path: Path, embedder: HashingEmbedder
) -> None:
    """The file is a database as promptlib first made them."""
    with closing(sqlite3.connect(tmp_path / "old.db")) as raw:
        raw.executescript((DATA / "schema_1.sql").read_text())
    before = _columns(tmp_path / "old.db")
    old = Database("sqlite:///old.db", root=tmp_path)
    store = ExampleStore(old, "tickets", HashingEmbedder(dim=8))
    assert [example.output for example in store] == ["pin_forgotten", "card_lost"]
    assert [change.by for change in store.log()] == ["tests", "tests"]
    old.close()
    fresh = Database("sqlite:///new.db", root=tmp_path)
    ExampleStore.create(fresh, "tickets", embedder)
    fresh.close()
    assert _columns(tmp_path / "old.db") == _columns(tmp_path / "new.db") != before


def test_revisions_and_tokens_are_one_per_write(store: ExampleStore, database: Database) -> None:
    tokens = {store.state().token}
    for number in range(3):
        store.add(Example(str(number), "x"))
        tokens.add(store.state().token)
    assert len(tokens) == 4 and store.revision == 3
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(changes)) == 3
        assert connection.scalar(select(schema_version.c.number)) == NEWEST
    with database.write() as connection:
        connection.execute(update(schema_version).values(number=NEWEST))


def test_embedding_what_waits_holds_no_reader_open(tmp_path: Path, store: ExampleStore) -> None:
    """Where there is no write-ahead log, a reader would keep the writer waiting without end."""
    store.add(*(Example(f"text {n}", "x") for n in range(20)))
    store.database.copy_to(tmp_path / "copy.db")
    copy = Database("sqlite:///copy.db", root=tmp_path)
    copy.shrink()
    with closing(sqlite3.connect(copy.path)) as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert ExampleStore(copy, "tickets", HashingEmbedder(32)).embed_missing() == 20
    copy.close()
    again = Database("sqlite:///copy.db", root=tmp_path)
    assert len(ExampleStore(again, "tickets", HashingEmbedder(32))) == 20
    with closing(sqlite3.connect(copy.path)) as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    again.close()


@given(st.lists(st.integers(0, 3 * BATCH), max_size=30))
def test_texts_are_embedded_in_parts_of_bounded_length(lengths: list[int]) -> None:
    names = [str(at) for at in range(len(lengths))]
    parts = [[int(name) for name in part] for part in _parts(names, lengths)]
    assert [at for part in parts for at in part] == [*range(len(lengths))] and all(parts)
    sizes = [sum(lengths[at] for at in part) for part in parts]
    assert all(size <= BATCH or len(part) == 1 for size, part in zip(sizes, parts, strict=True))
    firsts = [lengths[part[0]] for part in parts[1:]]
    assert all(size + first > BATCH for size, first in zip(sizes, firsts, strict=False))

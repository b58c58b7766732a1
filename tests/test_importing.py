"""What becomes of a store when files come: by import, as a mirror, as edits."""

import gzip
import io
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptlib.embedding.embedder import HashingEmbedder
from promptlib.errors import BadExamplesError, ConfigError, ReadOnlyError, StoreError
from promptlib.example import Example
from promptlib.files import reading
from promptlib.files.writing import save_examples
from promptlib.project import Project
from promptlib.store.database import Database
from promptlib.store.store import ExampleStore
from tests.conftest import ROWS, write_rows

Save = Callable[[list[dict[str, Any]]], Path]


def row(id: str, output: str = "x", **more: Any) -> dict[str, Any]:
    return {"id": id, "input": f"question {id}", "output": output, **more}


@pytest.fixture
def save(tmp_path: Path) -> Save:
    return lambda rows: write_rows(tmp_path / "rows.jsonl", rows)


def outputs(store: ExampleStore) -> dict[str, Any]:
    return {example.id: example.output for example in store}


def test_a_dry_run_says_what_would_happen_and_does_nothing(store: ExampleStore, save: Save) -> None:
    store.import_file(save([row("a"), row("b"), row("c"), row("d")]))
    store.update(replace(store.get("c"), output="mine"))
    before, revision = outputs(store), store.revision
    file = save([row("a"), row("b", "new"), row("c", "theirs"), row("e")])
    report = store.import_file(file, dry_run=True, mirror=True)
    assert (report.added, report.updated, report.unchanged, report.removed) == (1, 1, 1, 1)
    assert report.conflicts == ["c"] and report.dry_run
    assert report.samples == {"added": ["e"], "updated": ["b"], "removed": ["d"]}
    assert outputs(store) == before and store.revision == revision
    done = store.import_file(file, mirror=True)
    assert (done.added, done.updated, done.unchanged, done.removed) == (1, 1, 1, 1)
    assert outputs(store) == {"a": "x", "b": "new", "c": "mine", "e": "x"}


def test_a_dry_run_of_a_new_store_makes_none(project: Project, save: Save) -> None:
    assert project.import_file("new", save(ROWS), dry_run=True).added == len(ROWS)
    assert project.find_store("new") is None


def test_mirror_removes_what_the_file_lost_but_no_curators_work(
    store: ExampleStore, save: Save
) -> None:
    store.import_file(save([row("a"), row("b"), row("c")]))
    store.add(Example("by hand", "x", id="hand"))
    store.update(replace(store.get("b"), output="mine"))
    file = save([row("a")])
    assert store.import_file(file).gone == 2
    report = store.import_file(file, mirror=True)
    assert (report.removed, report.kept) == (1, 1)
    assert outputs(store) == {"a": "x", "b": "mine", "hand": "x"}
    assert store.import_file(file, mirror=True, restore=True).removed == 1
    assert outputs(store) == {"a": "x", "hand": "x"}


def test_mirror_knows_repeats_by_their_number(store: ExampleStore, save: Save) -> None:
    twin = {"input": "same", "output": "x"}
    store.import_file(save([twin, twin, twin]))
    assert store.import_file(save([twin, twin]), mirror=True).removed == 1
    assert len(store) == 2


def test_update_edits_by_id_and_leaves_the_rest_alone(store: ExampleStore, tmp_path: Path) -> None:
    rows = [row("a", metadata={"n": 1, "m": 2}), row("b"), row("c")]
    store.import_file(write_rows(tmp_path / "rows.jsonl", rows))
    table = tmp_path / "edits.csv"
    table.write_text("id,output,status,n\na,better,,one\nb,,rejected,\nc,x,,\n")
    report = store.import_file(table, update=True)
    assert (report.updated, report.unchanged, report.revision) == (2, 1, 2)
    assert store.get("a").output == "better" and store.get("a").metadata == {"n": "one", "m": 2}
    assert store.get("b").status == "rejected" and store.get("b").output == "x"
    assert store.import_file(tmp_path / "rows.jsonl").kept == 2  # they are edits
    assert store.log("a")[-1].reason == "edit"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id,output\nzz,y\n", r"edits.csv:2: there is no example 'zz' in the store"),
        ("id,metadata\na,{bad\n", ":2: metadata must be a JSON object"),
        ("input,output\nq,y\n", "has no 'id', it has input, output"),
        ("id,output\n,y\n", ":2: id is missing"),
        ("id,output\na,y\na,z\n", ":3: id 'a' stands twice"),
        ("id,output\na,y,z\n", ":2: 3 cells"),
        ("id,status\na,aproved\n", "did you mean 'approved'"),
        ("id,output\n", "holds no rows to update by"),
    ],
)
def test_edits_that_cannot_be_taken_change_nothing(
    store: ExampleStore, tmp_path: Path, text: str, reason: str
) -> None:
    store.add(Example("q", "x", id="a"), Example("q", "x", id="b"))
    table = tmp_path / "edits.csv"
    table.write_text(text + ("b,new\n" if "id,output" in text and text.count("\n") > 1 else ""))
    with pytest.raises(StoreError, match=reason):
        store.import_file(table, update=True)
    assert outputs(store) == {"a": "x", "b": "x"} and store.revision == 1
    with pytest.raises(ConfigError, match="update takes every row"):
        store.import_file(table, update=True, limit=3)


def test_bad_rows_go_to_a_file_with_their_reasons(store: ExampleStore, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("input,output\na,b\nc,d,e\n")
    bad = tmp_path / "bad.jsonl"
    report = store.import_file(table, skip_bad=True, bad_rows=bad)
    assert report.added == 1 and len(report.problems) == 1
    assert [json.loads(line) for line in bad.read_text().splitlines()] == [
        {"line": 3, "reason": "3 cells, where the header has 2 columns", "row": "c,d,e"}
    ]
    lines = tmp_path / "rows.jsonl"
    lines.write_bytes(b'{"input": ""}\n{oops\n\xff\n{"input": "x", "output": "y"}\n')
    store.import_file(lines, skip_bad=True, bad_rows=bad)
    kept = [json.loads(line) for line in bad.read_text().splitlines()]
    assert [(one["line"], one["row"]) for one in kept] == [
        (1, '{"input": ""}'), (2, "{oops"), (3, "\ufffd"),
    ]  # fmt: skip


def test_labels_by_option(database: Database, embedder: HashingEmbedder, save: Save) -> None:
    file = save([row("a", category="c1"), row("b", {"intent": "ask"}, category="c2")])
    by_field = ExampleStore(database, "f", embedder)
    by_field.import_file(file, label="category")
    assert set(by_field.stats().volume.classes) == {"c1", "c2"}
    by_path = ExampleStore(database, "p", embedder)
    by_path.import_file(file, label="output.intent", where=["label=ask"])
    assert by_path.stats().volume.classes == {"ask": 1} and len(by_path) == 1
    with pytest.raises(ConfigError, match="no field 'categry' for labels; did you mean 'category'"):
        ExampleStore(database, "g", embedder).import_file(file, label="categry")
    with pytest.raises(ConfigError, match="is 'category' already, it can't be 'output'"):
        by_field.import_file(file, label="output")
    assert "g" not in ExampleStore.names(database)


def test_stdin_and_packed_files(store: ExampleStore) -> None:
    data = "".join(json.dumps(r) + "\n" for r in ROWS).encode()
    assert store.import_file(io.BytesIO(gzip.compress(data))).added == len(ROWS)
    assert store.log()[0].reason == "import stdin"


def test_a_recipe_decides_what_is_embedded_and_a_new_one_reads_all_rows_anew(root: Path) -> None:
    import promptlib

    folder = root / "example_stores" / "qa"
    rows = [
        {"input": {"question": f"why {n}?", "noise": "zzz"}, "output": str(n)} for n in range(5)
    ]
    write_rows(folder / "examples.jsonl", rows)
    toml = folder / "store.toml"
    toml.write_text('[embed]\nfields = ["question"]\n')
    with promptlib.open(root) as project:
        assert project.search("qa", "why 3?", 1)[0].similarity == pytest.approx(1, abs=1e-3)
        revision = project.store("qa").revision
        toml.write_text('[embed]\nfields = ["noise", "question"]\n')
        notes = project.build("tickets/route", "x", store="qa").notes
        assert any("store.toml has changed" in note for note in notes)
        project.sync("qa")
        assert project.store("qa").revision == revision + 1
        assert project.search("qa", "noise zzz question why 3?", 1)[0].similarity > 0.99
        assert project.sync("qa").revision == revision + 1
        toml.write_text('[embed]\nfields = ["title"]\n')
        with pytest.raises(StoreError, match="none of the fields that are embedded: title"):
            project.sync("qa")
        assert project.search("qa", "noise zzz question why 3?", 1)[0].similarity > 0.99


def test_label_definitions_reach_templates(root: Path) -> None:
    import promptlib

    folder = root / "example_stores" / "tickets"
    (folder / "store.toml").write_text('[label_definitions]\ncard_lost = "The card is gone."\n')
    (root / "templates" / "defined.j2").write_text(
        "---\ninputs: {query: {}}\nexamples: {store: tickets}\nbudget: {tokens: 200}\n---\n"
        "{% for label in candidate_labels %}\n"
        "{{ label }}: {{ label_definitions[label] | default('-') }}\n"
        "{% endfor %}\n{{ query }}"
    )
    with promptlib.open(root) as project:
        text = project.build("defined", "I lost my card").text
        assert "card_lost: The card is gone.\n" in text and "pin_forgotten: -\n" in text


class Forgetful(HashingEmbedder):
    """Reads no more than three words and knows no digits: what coverage is there to tell."""

    def coverage(self, texts: Any) -> Any:
        from promptlib.embedding.embedder import Coverage

        words = [text.split() for text in texts]
        return Coverage(
            len(words), sum(len(w) > 3 for w in words), sum(map(len, words)),
            sum(word.isdigit() for text in words for word in text),
        )  # fmt: skip


def test_what_the_embedder_does_not_read_is_told(database: Database, save: Save) -> None:
    store = ExampleStore(database, "s", Forgetful())
    report = store.import_file(save([{"input": "one two three four", "output": "x"},
                                     {"input": "1 2", "output": "x"}]))  # fmt: skip
    told = report.coverage.findings()
    assert "1 of 2 texts are longer than the embedder reads" in told[0]
    assert "33% of the tokens are unknown to the embedder" in told[1]
    assert store.import_file(save(ROWS)).coverage.longer == 8


def test_a_read_only_project_refuses_an_import(
    store: ExampleStore, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "read_only", property(lambda self: True))
    with pytest.raises(ReadOnlyError):
        store.import_file(save(ROWS))


def test_a_long_file_streams_and_comes_out_as_it_went_in(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is what parts of a file need, however long it is."""
    monkeypatch.setattr(reading, "HELD", 1000)
    peaks = []
    for count in (3_000, 12_000):
        rows = [
            Example(f"text {n % 50}", str(n), metadata={"pad": "x" * 500}) for n in range(count)
        ]
        path = tmp_path / f"{count}.jsonl"
        save_examples(sorted(rows, key=lambda example: example.id), path)
        store = ExampleStore(database, f"s{count}", HashingEmbedder(8))
        del rows
        tracemalloc.start()
        assert store.import_file(path).added == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        save_examples(store, tmp_path / "out.jsonl")
        assert (tmp_path / "out.jsonl").read_bytes() == path.read_bytes()
    assert peaks[1] < 1.5 * peaks[0]


def test_an_import_that_was_killed_goes_on_without_embedding_twice(
    database: Database, save: Save
) -> None:
    class Dies(HashingEmbedder):
        texts: list[str]
        limit = 4000

        def embed(self, texts, **options):  # type: ignore[no-untyped-def]
            if len(self.texts) > self.limit:
                raise KeyboardInterrupt
            self.texts += texts
            return super().embed(texts, **options)

    embedder = Dies(8)
    embedder.texts = []
    file = save([{"input": f"text {n} " + 20 * "word ", "output": "x"} for n in range(6000)])
    store = ExampleStore(database, "s", embedder)
    with pytest.raises(KeyboardInterrupt):
        store.import_file(file)
    assert not store.exists
    done = len(embedder.texts)
    assert 4000 < done < 6000
    embedder.texts = []
    embedder.limit = 10_000
    report = store.import_file(file)
    assert report.added == 6000
    assert len(embedder.texts) == 6000 - done == report.coverage.texts


def test_every_bad_line_is_known_but_a_message_lists_twenty(
    store: ExampleStore, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("oops\n" * 250)
    with pytest.raises(BadExamplesError) as caught:
        store.import_file(path)
    assert len(caught.value.problems) == 250 and "and 230 more" in str(caught.value)


def test_what_is_edited_during_an_update_is_kept(
    store: ExampleStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(Example("q", "x", id="a"))
    table = tmp_path / "edits.csv"
    table.write_text("id,output\na,better\n")
    embed = ExampleStore.embed

    def meanwhile(self, *arguments, **options):  # type: ignore[no-untyped-def]
        monkeypatch.setattr(ExampleStore, "embed", embed)
        store.update(replace(store.get("a"), label="mine", metadata={"by": "me"}))
        return embed(self, *arguments, **options)

    monkeypatch.setattr(ExampleStore, "embed", meanwhile)
    store.import_file(table, update=True)
    found = store.get("a")
    assert (found.output, found.label, found.metadata) == ("better", "mine", {"by": "me"})


def test_an_update_says_what_it_cannot_take_and_keeps_a_status(
    store: ExampleStore, tmp_path: Path
) -> None:
    store.add(Example("q", "x", id="a", status="rejected"))
    lines = tmp_path / "edits.jsonl"
    lines.write_text('{"id": "a", "output": "y", "status": null}\n{"id": "b"}\n')
    bad = tmp_path / "bad.jsonl"
    report = store.import_file(lines, update=True, skip_bad=True, bad_rows=bad)
    assert report.updated == 1 and store.get("a").status == "rejected"
    assert json.loads(bad.read_text())["reason"] == "there is no example 'b' in the store"
    with pytest.raises(ConfigError, match="it can't go with restore"):
        store.import_file(lines, update=True, restore=True)


def test_update_and_import_of_a_starter_that_was_not_used_yet(project: Project, save: Save) -> None:
    id = Example(ROWS[0]["input"], ROWS[0]["output"]).id
    report = project.import_file("tickets", save([{"id": id, "output": "better"}]), update=True)
    assert report.updated == 1 and len(project.store("tickets")) == len(ROWS)


@pytest.mark.parametrize(
    "options", [{"limit": 1}, {"where": ["output=x"]}, {"skip_bad": True}], ids=str
)
def test_mirror_never_takes_a_part_for_the_whole(
    store: ExampleStore, save: Save, options: dict[str, Any]
) -> None:
    file = save([row("a"), row("b")])
    store.import_file(file)
    with pytest.raises(ConfigError, match="mirror needs the whole file"):
        store.import_file(file, mirror=True, **options)
    assert len(store) == 2


def test_a_file_and_its_own_export_can_be_put_together(store: ExampleStore, save: Save) -> None:
    twin = {"input": "same", "output": "x"}
    id = Example("same", "x").id
    own = {"id": f"{id}-2", "input": "another", "output": "x"}
    store.import_file(save([twin, twin, own, twin]))
    assert {e.id for e in store} == {id, f"{id}-2", f"{id}-3", f"{id}-4"}
    assert store.get(f"{id}-2").input == "another"


def test_a_spreadsheets_round_trip_keeps_objects_and_conversations(
    store: ExampleStore, tmp_path: Path
) -> None:
    store.add(
        Example({"q": "why?"}, {"a": 1}, id="object"),
        Example([{"role": "user", "content": "hi"}], "hello", id="talk"),
        Example("text", '{"looks": "like JSON"}', id="text", metadata={"n": 1}),
    )
    table = tmp_path / "all.csv"
    save_examples(store, table)
    report = store.import_file(table, update=True)
    assert (report.updated, report.unchanged) == (0, 3)
    table.write_text('id,input,output\nobject,"{""q"": ""how?""}",\ntalk,,bye\n')
    assert store.import_file(table, update=True).updated == 2
    assert store.get("object").input == {"q": "how?"} and store.get("talk").output == "bye"
    table.write_text("id,input\nobject,how?\n")
    with pytest.raises(
        BadExamplesError, match=":2: a cell must be JSON, as an object stands there"
    ):
        store.import_file(table, update=True)


def test_bad_rows_never_replace_what_is_read(store: ExampleStore, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"input": "a", "output": "b"}\noops\n')
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="it is what is read"):
        store.import_file(path, skip_bad=True, bad_rows=path)
    assert path.read_bytes() == before
    path.write_text("oops\n")
    with pytest.raises(BadExamplesError, match=":1: not JSON"):
        store.import_file(path, skip_bad=True)


def test_a_column_can_be_used_twice(store: ExampleStore, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("text\nhello\n")
    store.import_file(table, rename={"input": "text", "output": "text"})
    assert store.list()[0].output == "hello"


@pytest.mark.parametrize("charset", ["utf-16", "utf-32", "base64"])
def test_charsets_that_do_not_fit(store: ExampleStore, tmp_path: Path, charset: str) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("input,output\na,b\n")
    with pytest.raises((StoreError, ConfigError)) as caught:
        store.import_file(table, charset=charset)
    assert "\n" not in str(caught.value)

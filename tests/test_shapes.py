"""Rows as other tools write them: in, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.curation.annotators import measure_agreement
from promptlib.errors import BadExamplesError, ConfigError, StoreError
from promptlib.example import Example
from promptlib.files.shapes import SHAPES, shape_of
from promptlib.files.writing import save_examples
from promptlib.store.store import ExampleStore
from tests.conftest import DATA

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    str.strip
)

ROWS: dict[str, dict[str, list[dict[str, Any]]]] = json.loads((DATA / "shapes.json").read_text())
"""Shape -> the same rows as theirs and as ours."""


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_rows_of_other_tools_are_known_by_themselves(
    store: ExampleStore, tmp_path: Path, shape: str, suffix: str
) -> None:
    theirs, ours = ROWS[shape]["theirs"], ROWS[shape]["ours"]
    file = tmp_path / f"rows.{suffix}"
    lines = map(json.dumps, theirs)
    file.write_text(json.dumps(theirs) if suffix == "json" else "\n".join(lines))
    store.import_file(file)
    assert sorted(store, key=lambda e: e.id) == sorted(
        map(Example.from_dict, ours), key=lambda e: e.id
    )
    again = store.import_file(file, shape=shape)
    assert (again.added, again.unchanged) == (0, len(ours))


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_written_for_a_tool_is_read_as_it_was(
    store: ExampleStore, tmp_path: Path, shape: str
) -> None:
    rows = [Example.from_dict(row) for row in ROWS[shape]["ours"] if row.get("output")]
    rows = [e for e in rows if e.status == "approved"]
    file = tmp_path / "out.json"
    assert save_examples(rows, file, shape=shape) == len(rows)
    assert shape_of(json.loads(file.read_text())[0]) is SHAPES[shape]
    store.import_file(file, shape=shape)
    assert sorted(map(told, store)) == sorted(map(told, rows))


@pytest.mark.parametrize("shape", ["argilla", "label-studio"])
def test_what_a_store_has_decided_comes_back_from_annotation_tools(
    store: ExampleStore, tmp_path: Path, shape: str
) -> None:
    store.add(
        Example("one", "x", id="a", metadata={"id": "M1", "split": "test"}),
        Example("two", '{"intent": "x"}', "x", {"id": "M1"}, id="b"),
        Example("three", "x", id="c", status="draft"),
        Example("four", "x", "x", {"annotations": {"ada": "x", "bo": "y"}}, id="d"),
    )
    before, file = list(store), tmp_path / "rows.json"
    save_examples(before, file, shape=shape)
    assert store.import_file(file).updated == 0
    again = ExampleStore.create(store.database, "again", store.embedder)
    again.import_file(file)
    assert [row.to_dict() for row in again] == [row.to_dict() for row in before]


def test_bad_rows_are_kept_as_the_file_has_them(store: ExampleStore, tmp_path: Path) -> None:
    rows = [{"instruction": "do", "output": "ok"}, {"instruction": ["a"], "input": {"b": 1}}]
    file, bad = tmp_path / "rows.jsonl", tmp_path / "bad.jsonl"
    file.write_text("".join(json.dumps(row | {"output": "ok"}) + "\n" for row in rows))
    store.import_file(file, skip_bad=True, bad_rows=bad)
    assert json.loads(json.loads(bad.read_text())["row"]) == rows[1] | {"output": "ok"}


def told(example: Example) -> str:
    """Give what every shape can say of a row."""
    facts = [example.input, example.output, example.metadata.get("annotations")]
    return json.dumps(facts, sort_keys=True)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), st.sampled_from([*SHAPES]))
def test_texts_survive_every_shape(pairs: list[tuple[str, str]], shape: str) -> None:
    for input, output in pairs:
        written = json.loads(json.dumps(SHAPES[shape].write(Example(input, output))))
        read = Example.from_dict(SHAPES[shape].read(written))
        assert (read.input, read.output) == (input, output)


def test_annotators_come_with_the_rows(store: ExampleStore, tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    file.write_text(json.dumps(ROWS["argilla"]["theirs"]))
    store.import_file(file)
    assert measure_agreement(store).disputed == ["r1", "r3"]


def test_rows_that_are_not_written_so_say_why(store: ExampleStore, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    for row, shape, reason in (
        ({"messages": [{"role": "user", "content": "x"}]}, None, "end with the assistant's answer"),
        ({"messages": "hello"}, "openai", "messages must be a list of objects, not text"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, None, "nothing that is answered"),
        ({"text": "x"}, "label-studio", "data must be an object, not null"),
        ({"data": {"text": "x"}, "annotations": "x"}, None, "annotations must be a list, not text"),
        ({"fields": {"text": "x"}, "responses": [1]}, None, "responses must be an object, not a l"),
        ({"instruction": ["x"], "output": "y"}, None, "instruction must be text, not a list"),
        ({"conversations": [{"from": "human"}]}, None, "end with the assistant"),
    ):
        file.write_text(json.dumps(row) + "\n")
        with pytest.raises(BadExamplesError, match=reason):
            store.import_file(file, shape=shape)
    with pytest.raises(ConfigError, match="no shape 'chatml'"):
        store.import_file(file, shape="chatml")


def test_folders_of_datasets_come_with_splits_and_names_of_classes(
    store: ExampleStore, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["ham", "spam"])}
    )
    train = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}, features=features)
    test = datasets.Dataset.from_dict({"text": ["c"], "label": [1]}, features=features)
    both = datasets.DatasetDict({"train": train, "test": test})
    both.save_to_disk(tmp_path / "arrow")
    (tmp_path / "hub" / "data").mkdir(parents=True)
    for name, part in both.items():
        part.to_parquet(tmp_path / "hub" / "data" / f"{name}-00000-of-00001.parquet")
    for folder in ("arrow", "hub"):
        rename = {"input": "text", "output": "label"}
        report = store.import_file(tmp_path / folder, rename=rename)
        assert report.added == (3 if folder == "arrow" else 0)
        rows = {e.input: (e.output, e.metadata["split"]) for e in store}
        assert rows == {"a": ("ham", "train"), "b": ("spam", "train"), "c": ("spam", "test")}
    next((tmp_path / "arrow" / "train").glob("*.arrow")).write_bytes(b"nothing")
    with pytest.raises(StoreError, match=r"can't read .*arrow"):
        store.import_file(tmp_path / "arrow", rename=rename)

import csv
import gzip
import io
import json
import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptlib.errors import BadExamplesError, ConfigError, StoreError
from promptlib.example import Example
from promptlib.files import raw, reading
from promptlib.files.reading import ExamplesFile
from promptlib.files.source import open_source
from promptlib.files.writing import save_examples
from promptlib.filtering import Where
from tests.test_example import examples


def file(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(data)
    return path


def read(path: Path, **options: object) -> ExamplesFile:
    with open_source(path) as source:
        return ExamplesFile(source, **options)  # type: ignore[arg-type]


GOOD = b'{"input": "a", "output": "b"}\n'


def test_every_bad_line_is_listed_with_its_number(tmp_path: Path) -> None:
    lines = [
        GOOD.strip(),
        b"not json",
        b'{"input": "a"',
        b'{"output": "b"}',
        b'{"input": "caf\xe9", "output": "b"}',
        b"[1]",
        b'{"input": "", "output": "b"}',
        b"",
        b'{"input": "x\\ud800", "output": "b"}',
        b'{"input": "x\\u0000", "output": "b"}',
        b'{"input": "x", "output": "b", "n": NaN}',
        b"[" * 100_000,
    ]
    with pytest.raises(BadExamplesError) as caught:
        read(file(tmp_path, b"\n".join(lines)))
    assert [line for line, _ in caught.value.problems] == [2, 3, 4, 5, 6, 7, 9, 10, 11, 12]
    assert "rows.jsonl:5: not UTF-8: byte 0xe9 at column 15" in str(caught.value)
    assert "bad lines: 10 of 11; nothing was taken" in str(caught.value)


def test_bad_lines_can_be_left_out(tmp_path: Path) -> None:
    found = read(file(tmp_path, b"oops\n" + GOOD), skip_bad=True)
    assert len(list(found)) == 1 and [line for line, _ in found.problems] == [1]


def test_an_id_that_is_used_twice_is_bad(tmp_path: Path) -> None:
    rows = b'{"id": "a", "input": "x", "output": "y"}\n' * 2
    with pytest.raises(BadExamplesError, match=r":2: id 'a' was used on line 1"):
        read(file(tmp_path, rows))


def test_what_would_be_lost_or_cannot_be_seen_is_bad(tmp_path: Path) -> None:
    rows = (
        b'{"input": "a", "input": "b", "output": "c"}\n{"id": "a\\tb", "input": "a", "output": "b"}'
    )
    with pytest.raises(BadExamplesError) as caught:
        read(file(tmp_path, rows))
    assert "'input' stands twice in one object" in str(caught.value)
    assert "characters that can't be seen" in str(caught.value)


def test_line_ends_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    text = "line one\u2028still line one\u0085and still"
    row = json.dumps({"input": text, "output": "b"}, ensure_ascii=False).encode()
    found = read(file(tmp_path, b"\xef\xbb\xbf" + row + b"\r\n\r\n" + GOOD))
    assert [example.input for example in list(found)] == [text, "a"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "holds no examples"),
        (b"\n \n", "holds no examples"),
        ('{"input": "a"}'.encode("utf-16"), "is UTF-16; say so with --charset utf-16"),
        (b"\x1f\x8b\x08", "can't read"),
        (bytes(range(256)) * 8 + b"\0" * 200, "full of NUL bytes"),
        ('{"input": "a"}'.encode("utf-16-le"), "full of NUL bytes"),
    ],
)
def test_files_that_hold_no_rows(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(StoreError, match=reason):
        read(file(tmp_path, data))


def test_a_json_array_is_read_whatever_the_name(tmp_path: Path) -> None:
    for name in ("a.json", "a.jsonl", "a"):
        path = tmp_path / name
        path.write_bytes(b' [{"input": "a", "output": "b"},\n {"input": "c", "output": "d"}]')
        assert [e.output for e in read(path)] == ["b", "d"]
    with pytest.raises(StoreError, match=r"rows.jsonl:2: not JSON: Expecting value at column 1"):
        read(file(tmp_path, b'[{"input": "a"},\n'))
    with pytest.raises(BadExamplesError, match="a row must be an object, not a number"):
        read(file(tmp_path, b'[{"input": "a", "output": "b"}, 3]'))
    with pytest.raises(StoreError, match="holds no examples"):
        read(file(tmp_path, b"[]"))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no file"):
        read(tmp_path / "missing.jsonl")
    with pytest.raises(StoreError, match="is a folder without Arrow or Parquet files"):
        read(tmp_path)


def test_links_modes_and_devices_are_respected(tmp_path: Path) -> None:
    real, link, pipe = tmp_path / "real", tmp_path / "link", tmp_path / "pipe"
    real.write_text("old")
    real.chmod(0o600)
    link.symlink_to(real)
    save_examples([Example("a", "b")], link)
    assert link.is_symlink() and '"input": "a"' in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o600
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    save_examples([Example("a", "b")], pipe)
    assert b'"input": "a"' in os.read(reader, 1000)
    os.close(reader)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    assert save_examples([Example("a", "b")], path) == 1
    before = path.read_bytes()

    def failing() -> object:
        yield Example("c", "d")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_examples(failing(), path)  # type: ignore[arg-type]
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["out.jsonl"]
    with pytest.raises(StoreError, match="can't write"):
        save_examples([], tmp_path / "nowhere" / "out.jsonl")


# -- tables --------------------------------------------------------------------------------------


def table(tmp_path: Path, text: str, name: str = "rows.csv", charset: str = "utf-8") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode(charset))
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(tmp_path: Path, delimiter: str) -> None:
    rows = [["input", "output"], ["why, oh; why", "a|b"], ['say "hi"', "two\nlines"]]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    found = list(read(table(tmp_path, out.getvalue())))
    assert [[e.input, e.output] for e in found] == rows[1:]


def test_cells_are_texts_and_empty_ones_are_absent(tmp_path: Path) -> None:
    text = 'input,output,label,score,metadata\n1,007,,3.50,"{""a"": 1}"\n2,,,,\n'
    one, two = read(table(tmp_path, "\ufeff" + text))
    assert (one.input, one.output, one.label) == ("1", "007", None)
    assert one.metadata == {"score": "3.50", "a": 1}
    assert two.status == "draft" and two.metadata == {}


def test_columns_are_mapped(tmp_path: Path) -> None:
    path = table(tmp_path, "q,ctx,a\nwhy?,because,yes\n")
    rename = {"input.question": "q", "input.context": "ctx", "output": "a"}
    (row,) = read(path, rename=rename)
    assert row.input == {"question": "why?", "context": "because"} and row.output == "yes"
    assert row.metadata == {}


def test_ragged_rows_are_bad_and_told_by_the_line_they_start_on(tmp_path: Path) -> None:
    text = 'input,output\na,b\n"two\nlines",x,y\nlonely\n\nc,d\n'
    with pytest.raises(BadExamplesError) as caught:
        read(table(tmp_path, text))
    assert caught.value.problems == (
        (3, "3 cells, where the header has 2 columns"),
        (5, "1 cell, where the header has 2 columns"),
    )
    assert [e.input for e in read(table(tmp_path, text), skip_bad=True)] == ["a", "c"]


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        ("text,label\na,b\n", {}, "has no 'input', it has text, label; say which"),
        ("text,label\na,b\n", {"rename": {"input": "txt"}}, "has no 'txt'; did you mean 'text'"),
        ("input,output\na,b\n", {"rename": {"inptu": "x"}}, "no 'inptu' to map to; did you mean"),
        ("input,input\na,b\n", {}, "two columns 'input'"),
        ("input,\na,b\n", {}, "column 2 has no name"),
        ('input,output\n"a,b\n', {}, "csv:2: not CSV: unexpected end"),
        ("", {}, "holds no examples"),
        ("input,output\n", {}, "holds no examples"),
        (
            "input,output\na,b\n",
            {"where": Where.parse(["outptu=b"])},
            "no row has a field 'outptu'",
        ),
        ("input,output\na,b\n", {"where": Where.parse(["output=x"])}, "that meet the conditions"),
    ],
)
def test_tables_that_cannot_be_taken(
    tmp_path: Path, text: str, options: dict[str, object], reason: str
) -> None:
    with pytest.raises((StoreError, ConfigError), match=reason) as caught:
        read(table(tmp_path, text), **options)
    assert "\n" not in str(caught.value)


def test_charsets(tmp_path: Path) -> None:
    path = table(tmp_path, "input,output\ncafé,été\n", charset="cp1252")
    with pytest.raises(
        StoreError, match=r"is not UTF-8 \(byte 0xe9\); say what it is, with --char"
    ):
        read(path)
    with open_source(path, charset="cp1252") as source:
        assert [e.input for e in ExamplesFile(source)] == ["café"]
    with (
        pytest.raises(ConfigError, match="no charset 'cp1253x'"),
        open_source(path, charset="cp1253x"),
    ):
        pass
    with (
        pytest.raises(StoreError, match="is not ascii"),
        open_source(path, charset="ascii") as source,
    ):
        ExamplesFile(source)
    wide = table(tmp_path, '{"input": "caf\u00e9\u2028", "output": "b"}\n' * 2, "w.jsonl", "utf-16")
    with open_source(wide, charset="utf-16") as source:
        assert [e.input for e in ExamplesFile(source)] == ["café\u2028"] * 2


def test_a_stream_is_told_by_how_it_begins(tmp_path: Path) -> None:
    for data, form in (
        (GOOD, "jsonl"), (b"input,output\na,b\n", "csv"), (b"input\toutput\na\tb\n", "tsv"),
        (gzip.compress(GOOD), "jsonl"),
    ):  # fmt: skip
        with open_source(io.BytesIO(data)) as source:
            assert source.format == form and source.name == "stdin"
            assert [e.input for e in ExamplesFile(source)] == ["a"]
    save_examples([Example("a", "b")], tmp_path / "x.parquet")
    with (tmp_path / "x.parquet").open("rb") as stream, open_source(stream) as source:
        assert source.format == "parquet" and [e.input for e in ExamplesFile(source)] == ["a"]


def test_what_is_not_what_its_name_says(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a Parquet file"):
        read(table(tmp_path, "input,output\n", "rows.parquet"))
    packed = tmp_path / "cut.jsonl.gz"
    packed.write_bytes(gzip.compress(GOOD * 1000)[:-20])
    with pytest.raises(StoreError, match=r"can't read .*cut.jsonl.gz"):
        read(packed)
    data = bytearray(gzip.compress(GOOD * 1000))
    for at in (15, len(data) // 2):
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        packed.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"cut.jsonl.gz"):
            read(packed)
    with pytest.raises(StoreError, match="Parquet is packed by itself"):
        save_examples([Example("a", "b")], tmp_path / "x.parquet.gz")


def test_a_line_without_end_is_told_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw, "LONGEST", 1000)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"[" * 5000 + b"\n" + GOOD + b'"' * 999 + b"\n" + GOOD)
    found = read(path, skip_bad=True)
    assert [line for line, _ in found.problems] == [1, 3] and len(found) == 2
    assert "the line is longer than" in found.problems[0][1]


def test_quotes_in_cells_do_not_mislead(tmp_path: Path) -> None:
    rows = "".join(f"\"'x';'y' {n}\",label\n" for n in range(20))
    assert len(read(table(tmp_path, f"input,output\n{rows}"))) == 20


def test_rows_that_weigh_much_are_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "HELD_BYTES", 100)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(GOOD + b'{"input": "c", "output": "d"}\n' * 9)
    found = read(path)
    assert found._held is None and len(list(found)) == 10


# -- there and back ------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    st.lists(examples, max_size=5, unique_by=lambda example: example.id),
    st.sampled_from(["x.jsonl", "x.jsonl.gz", "x.parquet"]),
)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Example], name: str
) -> None:
    path = tmp_path_factory.mktemp("written") / name
    assert save_examples(rows, path) == len(rows)
    if rows:
        assert [e.to_dict() for e in read(path)] == [e.to_dict() for e in rows]


texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20
).filter(str.strip)


@settings(max_examples=40)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=5), st.sampled_from(["csv", "tsv"]))
def test_texts_survive_a_table(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], suffix: str
) -> None:
    path = tmp_path_factory.mktemp("table") / f"x.{suffix}"
    rows = [Example(a, b, metadata={"n": n}, id=f"r{n}") for n, (a, b) in enumerate(pairs)]
    save_examples(rows, path)
    assert [e.to_dict() for e in read(path)] == [e.to_dict() for e in rows]


def test_a_long_file_is_read_anew_and_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"input": f"q {n % 7}", "output": "x"} for n in range(30)]
    rows += [{"id": f"own {n % 20}", "input": f"own {n}", "output": "y"} for n in range(25)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "oops\n")
    held = read(path, skip_bad=True)
    monkeypatch.setattr(reading, "HELD", 10)
    streamed = read(path, skip_bad=True)
    assert streamed._held is None and held._held is not None
    assert [e.to_dict() for e in streamed] == [e.to_dict() for e in held]
    for found in (held, streamed):
        assert found.problems == (
            *((n, f"id 'own {n - 51}' was used on line {n - 20}") for n in range(51, 56)),
            (56, "not JSON: Expecting value at column 1"),
        )
        assert (found.count, found.repeats, found.label_guess) == (50, 23, "output")
        assert len({e.id for e in found}) == len(list(found)) == 50
    first = [e.id for e in held][:8]
    assert first[7] == f"{first[0]}-2"


def test_limit_where_and_labels(tmp_path: Path) -> None:
    rows = [{"input": str(n), "output": "even" if n % 2 == 0 else "odd", "n": n} for n in range(20)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read(path, where=Where.parse(["label=odd"]), limit=3, label_of=lambda e: str(e.output))
    assert [e.input for e in found] == ["1", "3", "5"]
    assert [e.input for e in read(path, where=Where.parse({"n": [4, 5]}))] == ["4", "5"]


def test_parquet_of_others(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    cells = {
        "input": [{"q": "why?", "none": None}], "output": ["x"], "when": [datetime(2026, 1, 2)],
        "tags": [["a", "b"]], "price": [Decimal("1.5")],
    }  # fmt: skip
    parquet.write_table(pyarrow.table(cells), tmp_path / "x.parquet")
    (row,) = read(tmp_path / "x.parquet")
    assert row.input == {"q": "why?"}
    assert row.metadata == {"when": "2026-01-02T00:00:00", "tags": ["a", "b"], "price": 1.5}
    parquet.write_table(pyarrow.table({"input": [b"\xff"]}), tmp_path / "y.parquet")
    with pytest.raises(BadExamplesError, match=", row 1: column 'input': a cell holds bytes"):
        read(tmp_path / "y.parquet")


def test_what_has_no_lines_is_told_by_rows(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text('[\n  {"input": "a"},\n\n  {"input": 5}]')
    with pytest.raises(BadExamplesError, match=r"x\.json, row 2: (?s:.*)bad rows: 1 of 2"):
        read(file)

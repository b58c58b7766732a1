import json
import os
from pathlib import Path

import pytest

from promptlib.errors import BadExamplesError, StoreError
from promptlib.example import Example
from promptlib.files.reading import ExamplesFile
from promptlib.files.source import open_source
from promptlib.files.writing import save_examples


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


def test_a_json_array_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="a row must be an object, not a list"):
        read(file(tmp_path, b'[{"input": "a", "output": "b"}]'))
    with pytest.raises(StoreError, match="it is a JSON array"):
        read(file(tmp_path, b'[{"input": "a", "output": "b"}]'), skip_bad=True)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no file"):
        read(tmp_path / "missing.jsonl")
    with pytest.raises(StoreError, match=r"can't read .* directory"):
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
